"""
The long-lived objects of the app: what its modules can reach, as nodes in blocks that are looked at together.

Roots are the app's own modules; `walk` says what is entered from there. What appears later is entered when its parent
changes, and what its parent lets go is let go.
"""

from __future__ import annotations

import functools
import sys
from collections import OrderedDict
from types import FunctionType
from typing import TYPE_CHECKING, Any

from twelvefactor.processes import bags
from twelvefactor.processes.blocks import LARGE, NAMES, NUMBER, OPAQUE, Block, Delta, Kind
from twelvefactor.processes.lines import codes, stored_names
from twelvefactor.processes.looking import SCALARS, attributes, is_module, module_of, namespace
from twelvefactor.processes.nodes import Node, Way
from twelvefactor.processes.walk import Walk, dunder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import ContextVar
    from threading import local
    from types import CodeType, ModuleType

MOST_NODES = 20_000
MOST_CHILDREN = 1_000
MOST_ADOPTED = 64
_ONE_VALUE = frozenset({"closure", "generator", "object"})


class Graph:
    """
    The long-lived objects of the app.

    Args:
        owns: Whether the code of a (file, module) is the app's.
        most: How many nodes to watch; what is left out is counted in `left_out`.
    """

    def __init__(self, owns: Callable[[str, str | None], bool], most: int = MOST_NODES) -> None:
        self.owns = owns
        self.most = most
        self.blocks: list[Block] = []
        self.by_id: dict[int, Node] = {}
        self.left_out = 0
        self.context_vars: dict[str, ContextVar[Any]] = {}
        self.thread_locals: dict[str, local] = {}
        self.foreign_modules: dict[str, ModuleType] = {}
        self.foreign_classes: dict[str, type] = {}
        self._adopted: OrderedDict[tuple[int, str], Node] = OrderedDict()
        self._open: dict[str, Block] = {}
        self._modules: dict[str, Node] = {}
        self._files: set[str] = set()
        self._mentions: set[str] = set()
        self._stores: set[str] = set()
        self._function_count = 0
        self._module_count = 0
        self._ownership: dict[str, bool] = {}
        self._walk = Walk(self)

    def __len__(self) -> int:
        return len(self.by_id)

    # --- roots ---

    def discover(self) -> None:
        """Enter the app's modules that are not known yet. Cheap where nothing was imported."""
        replaced = self._let_go_of_replaced_modules()
        if len(sys.modules) == self._module_count and not replaced:
            return
        self._module_count = len(sys.modules)
        for name, module in list(sys.modules.items()):
            if name not in self._modules and type(name) is str and self._is_ours(name, module):
                self._enter_module(name, module)
        self._walk.drain()

    def _let_go_of_replaced_modules(self) -> bool:
        """A reloader may put another module in the place of one; ``importlib.reload`` keeps the same one."""
        gone = [name for name, node in self._modules.items() if namespace(sys.modules.get(name)) is not node.holder]
        for name in gone:
            self.drop(self._modules.pop(name))
        return bool(gone)

    def _is_ours(self, name: str, module: object) -> bool:
        if not is_module(module):
            return False
        file = (namespace(module) or {}).get("__file__")
        return type(file) is str and self.owns(file, name)

    def _enter_module(self, name: str, module: object) -> None:
        names = namespace(module)
        node = None if names is None else self.node(names, NAMES, Way(None, name, None), "module", module)
        if node is not None and names is not None:
            self._modules[name] = node
            self._files.add(names["__file__"])
            self._walk.names(names, Way(node, "", None))

    def owns_module(self, name: str) -> bool:
        """Whether the module of that name is the app's."""
        known = self._ownership.get(name)
        if known is None:
            module = sys.modules.get(name)
            if module is None:
                return False
            known = self._ownership[name] = self._is_ours(name, module)
        return known

    def owns_file(self, file: str) -> bool:
        """Whether the code of that file is the app's."""
        return file in self._files or self.owns(file, None)

    def owns_code(self, code: CodeType) -> bool:
        """Whether *code* is the app's."""
        return self.owns_file(code.co_filename)

    def owns_class(self, cls: type) -> bool:
        """Whether the app defined *cls*."""
        return self.owns_module(module_of(cls))

    def adopt(self, value: Any, thread: int, path: str) -> bool:
        """
        Enter what outlived work without hanging at a module: the value of a context variable or thread-local.

        Returns:
            Whether it is watched from now on, in place of what *path* had in that *thread* before.
        """
        if id(value) in self.by_id:
            return True
        if type(value) in SCALARS:
            return False
        before = self._adopted.pop((thread, path), None) or (
            self._adopted.popitem(last=False)[1] if len(self._adopted) >= MOST_ADOPTED else None
        )
        if before is not None:
            self.drop(before)
        self._walk.push(value, Way(None, path, None))
        self._walk.drain()
        node = self.by_id.get(id(value)) or self.by_id.get(id(namespace(value)))
        if node is not None:
            self._adopted[thread, path] = node
        return node is not None

    # --- the code ---

    def grew(self) -> bool:
        """Whether there are functions that `mentions` does not know yet; it knows them afterwards."""
        functions = [
            holder
            for block in self.blocks
            if block.kind is OPAQUE
            for holder in block.holders
            if type(holder) is FunctionType
        ]
        if len(functions) == self._function_count:
            return False
        self._function_count = len(functions)
        self._mentions.clear()
        self._stores.clear()
        for function in functions:
            for code in codes(function.__code__):
                self._mentions.update(code.co_names)
                self._stores.update(stored_names(code))
        return True

    def mentions(self) -> set[str]:
        """The names that the app's functions use."""
        return self._mentions

    def stores(self) -> set[str]:
        """The attribute names that the app's functions bind on something."""
        return self._stores

    # --- the table of nodes ---

    def node(
        self, holder: Any, kind: Kind, way: Way, role: str, owner: Any = None, *, known_as: Any = None
    ) -> Node | None:
        """A new node for *holder*; None where it is known already, or where there is no more room."""
        identity = id(holder if known_as is None else known_as)
        known = self.by_id.get(identity)
        if known is not None:
            if way.parent is not None and known.parent is not way.parent:
                known.aliases = (*known.aliases[:3], way.parent)
            return None
        if len(self.by_id) >= self.most:
            self.left_out += 1
            return None
        node = Node(kind, way, role, owner)
        block = self._block_for(kind)
        if not block.add(node, holder):
            return None
        node.born = block.lengths[-1]
        self.by_id[identity] = node
        if way.parent is not None:
            way.parent.have(node, way.edge)
        return node

    def _block_for(self, kind: Kind) -> Block:
        block = self._open.get(kind.name)
        if block is None or block.full:
            block = self._open[kind.name] = Block(kind)
            self.blocks.append(block)
        return block

    def watch_size(self, value: Any, kind: Kind, way: Way) -> None:
        """Watch how large a container is that has too many entries to remember."""
        read = functools.partial(kind.size, value)
        node = self.node(read, NUMBER, way, kind.name, known_as=value)
        if node is not None:
            node.grows = True

    # --- looking ---

    def look(self, block: Block) -> list[Delta]:
        """What changed in *block*; what is new is entered and what is gone is let go."""
        deltas = block.look()
        for delta in deltas:
            if delta.node.kind is not NUMBER:
                self._follow(delta)
        return deltas

    def _follow(self, delta: Delta) -> None:
        node = delta.node
        for key, value in delta.gone:
            self._let_go(node, key, value)
        for key, old, _ in delta.changed:
            self._let_go(node, key, old)
        new = [*delta.added, *((key, value) for key, _, value in delta.changed)]
        for key, value in new[:MOST_CHILDREN]:
            self._enter_new(node, key, value)
        self._walk.drain()
        if delta.after > LARGE and node.role in {"mapping", "list", "deque", "set"}:
            self._grow_out(node)

    def _enter_new(self, node: Node, key: Any, value: Any) -> None:
        way = Way(node, "", None)
        if node.role == "foreign":
            return
        if node.kind is NAMES:
            if type(key) is str and not dunder(key):
                self._walk.push(value, way.at(node, f".{key}", key))
        elif node.role == "function":
            self._walk.attributes_of_function(node.owner, node, 1)
        elif node.role == "slots":
            self._walk.push(value, way.at(node, f".{self.slot_name(node, value)}", id(value)))
        elif node.role in _ONE_VALUE:
            self._walk.push(value, way.at(node, "", 0))
        else:
            self._walk.push(value, way.at(node, "[*]", id(value)))

    def slot_name(self, node: Node, value: Any) -> str:
        """The name of the slot that holds *value*, or ``?``."""
        return next((name for name, kept in attributes(node.holder).items() if kept is value), "?")

    def _let_go(self, node: Node, key: Any, value: Any) -> None:
        edge = key if node.kind is NAMES else 0 if node.role in _ONE_VALUE else id(value)
        for child in node.lose(edge):
            self.drop(child)

    def drop(self, node: Node) -> None:
        """Let go of *node* and all that is only reached through it."""
        going = list(_subtree(node))
        for each in going:
            stays = any(alias.block is not None and alias not in going for alias in each.aliases)
            if each is node or not stays:
                self._forget(each)

    def _forget(self, node: Node) -> None:
        block = node.block
        if block is None:
            return
        holder = node.holder
        self.by_id.pop(id(bags.value_of(holder) if node.kind is NUMBER else holder), None)
        block.drop(node)
        node.children = None

    def _grow_out(self, node: Node) -> None:
        """A container became too large to remember its entries: watch its size from now on."""
        holder, kind = node.holder, node.kind
        if holder is not None:
            self.drop(node)
            self.watch_size(holder, kind, Way(node.parent, node.key, node.edge, 0, node.foreign))

    @staticmethod
    def is_weak(node: Node) -> bool:
        """Whether entries stay only because nobody collected the garbage yet."""
        return node.role == "weak container"

    def clear(self) -> None:
        """Let go of everything."""
        self.by_id.clear()
        self._adopted.clear()
        self._open.clear()
        self._modules.clear()
        self.context_vars.clear()
        self.thread_locals.clear()
        self.blocks.clear()
        self.foreign_modules.clear()
        self.foreign_classes.clear()
        self._module_count = 0
        self._function_count = 0


def _subtree(node: Node) -> Iterator[Node]:
    stack = [node]
    seen = set()
    while stack:
        each = stack.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        stack.extend(each.all_children())
