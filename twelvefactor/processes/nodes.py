"""One long-lived object, as a node of the graph, and the way that led to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twelvefactor.processes.blocks import Block, Kind


class Way(NamedTuple):
    """
    How an object was reached.

    Attributes:
        parent: The node that it hangs at, or None.
        key: What the parent's path is followed by: ``.name``, ``['key']``, ``[*]``.
        edge: Under what the parent's table of children will know it.
        depth: How many steps from a root.
        foreign: Whether other people's code may change it too.
        away: How many objects of other people's it went through since it left the app's own.
    """

    parent: Node | None
    key: str
    edge: Any
    depth: int = 0
    foreign: bool = False
    away: int = 0

    def on(self, key: str = "") -> Way:
        """One step further, still at the same node."""
        return self._replace(key=self.key + key, depth=self.depth + 1)

    def at(self, node: Node, key: str, edge: Any) -> Way:
        """One step further, at a node of its own."""
        return Way(node, key, edge, self.depth + 1, node.foreign, self.away)

    @property
    def path(self) -> str:
        """The dotted path so far."""
        return (self.parent.path if self.parent is not None else "") + self.key


class Node:
    """
    One long-lived object, and how it is reached.

    Attributes:
        block: Where its last state is kept.
        kind: How it is read.
        parent: The node it hangs at; None for a module.
        key: What the parent's path is followed by: ``.name``, ``['key']``, ``[*]``.
        edge: Under what the parent's table of children knows it.
        owner: Whose names these are (a module, a class, a function), the type of an instance, or None.
        role: ``module``, ``class``, ``instance``, ``closure``, ``default``, ``function``, or the kind's own name.
        foreign: Whether other people's code may change it too, so that a change needs a line of the app.
        grows: Whether a higher number means more entries.
        born: The size when it was first seen.
    """

    __slots__ = (
        "aliases",
        "block",
        "born",
        "children",
        "edge",
        "foreign",
        "grows",
        "key",
        "kind",
        "owner",
        "parent",
        "role",
    )

    def __init__(self, kind: Kind, way: Way, role: str, owner: Any = None) -> None:
        self.kind = kind
        self.parent = way.parent
        self.key = way.key
        self.edge = way.edge
        self.role = role
        self.owner = owner
        self.block: Block | None = None
        self.children: dict[Any, Node | tuple[Node, ...]] | None = None
        self.aliases: tuple[Node, ...] = ()
        self.foreign = way.foreign
        self.grows = False
        self.born = 0

    @property
    def path(self) -> str:
        """The dotted path, such as ``orders.cache`` or ``orders.Cart.items``."""
        parts = []
        node: Node | None = self
        while node is not None:
            parts.append(node.key)
            node = node.parent
        return "".join(reversed(parts))

    @property
    def whole(self) -> str:
        """The path of the outermost object of other people's that this is part of, else its own."""
        node = self
        while node.foreign and node.parent is not None and node.parent.foreign:
            node = node.parent
        return node.path

    @property
    def holder(self) -> Any:
        """The object that is read, or None once it is dropped."""
        if self.block is None:
            return None
        return self.block.holders[next(i for i, each in enumerate(self.block.nodes) if each is self)]

    def have(self, child: Node, edge: Any) -> None:
        """*child* hangs here, under *edge*."""
        if self.children is None:
            self.children = {}
        known = self.children.get(edge)
        self.children[edge] = child if known is None else (*_some(known), child)

    def lose(self, edge: Any) -> tuple[Node, ...]:
        """What hung under *edge*, which is known no longer."""
        return _some((self.children or {}).pop(edge, ()))

    def all_children(self) -> Iterator[Node]:
        """What hangs here."""
        for each in list((self.children or {}).values()):
            yield from _some(each)

    def __repr__(self) -> str:
        return f"<Node {self.path} {self.kind.name}>"


def _some(known: Node | tuple[Node, ...]) -> tuple[Node, ...]:
    """Most edges lead to one child, and twenty thousand tuples of one would be dear."""
    return known if isinstance(known, tuple) else (known,)
