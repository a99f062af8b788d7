"""Other people's modules and classes that the app imports: whether work replaces code in them."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from twelvefactor.processes.blocks import LARGE, NAMES, Block
from twelvefactor.processes.looking import class_dict, class_name, is_class, module_of, namespace, qualname_of
from twelvefactor.processes.nodes import Node, Way

if TYPE_CHECKING:
    from twelvefactor.processes.graph import Graph

_MOST = 400
_OURS = ("twelvefactor", "pytest", "_pytest", "sys", "warnings", "typing", "threading")


class Patches:
    """
    The namespaces of others that the app's modules refer to, watched for names that are bound anew.

    Only those that have a name which some line of the app binds on something.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._known: set[str] = set()
        self._block: Block | None = None

    def discover(self) -> None:
        """Take in what the app imported and is not watched yet."""
        if not self.graph.grew():
            return
        self._watch("builtins", namespace(builtins), builtins)
        for name, module in list(self.graph.foreign_modules.items()):
            if name.partition(".")[0] not in _OURS:
                self._watch(name, namespace(module), module)
        mentioned = self.graph.mentions()
        for name, module in list(self.graph.foreign_modules.items()):
            for each in list((namespace(module) or {}).values()):
                if is_class(each) and module_of(each) == name and qualname_of(each) in mentioned:
                    self.graph.foreign_classes[class_name(each)] = each
        for name, cls in list(self.graph.foreign_classes.items()):
            if name.partition(".")[0] not in _OURS:
                self._watch(name, class_dict(cls), cls)

    def _watch(self, name: str, names: dict[str, Any] | None, owner: Any) -> None:
        if name in self._known or names is None or len(names) > LARGE or len(self._known) >= _MOST:
            return
        if not any(key in self.graph.stores() for key in list(names)):
            return  # no line of the app could bind one of its names
        self._known.add(name)
        if self._block is None or self._block.full:
            self._block = Block(NAMES)
            self.graph.blocks.append(self._block)
        node = Node(NAMES, Way(None, name, None, foreign=True), "foreign", owner)
        self._block.add(node, names)

    def clear(self) -> None:
        """Let go of everything."""
        self._known.clear()
        self._block = None
