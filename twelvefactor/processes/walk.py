"""
What is entered: from a module through classes, functions, containers and instances, to what may outlive its work.

Functions lead on by attributes, defaults and closure cells. Instances are entered where the app defined their class.
Instances of other people's classes are not: their pools, caches and registries are theirs. What the app keeps *on* them
(``app.state``, ``app.extensions``) is entered warily: it is the app's only where a line of the app changed it.
"""

from __future__ import annotations

import functools
import gc
import types
from collections import deque
from contextvars import ContextVar
from threading import local
from typing import TYPE_CHECKING, Any

from twelvefactor.processes import bags
from twelvefactor.processes.blocks import DEQUE, LARGE, LIST, MAPPING, NAMES, NUMBER, OPAQUE, SET, Kind
from twelvefactor.processes.looking import (
    SCALARS,
    attributes,
    bases_of,
    class_dict,
    class_name,
    function_dict,
    is_class,
    is_module,
    module_of,
    mro,
    namespace,
    plain_local,
)
from twelvefactor.processes.nodes import Node, Way

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twelvefactor.processes.graph import Graph

MOST_ENTRIES = 1_000
_DEEP = 40
_FAR = 6
_BUDGET = 3_000
_STEPS = 400_000  # whatever the objects are like, the walk ends
_NAME = 40
_NOT_SLOTS = frozenset({"__weakref__", "__dict__"})
_CONTAINERS: tuple[tuple[type, Kind], ...] = ((dict, MAPPING), (list, LIST), (deque, DEQUE), (set, SET))
_METHODS = (types.FunctionType, staticmethod, classmethod)
_HOLDING = frozenset({"module", "class", "instance", "closure", "slots"})
_ROW = (list, tuple, set, frozenset)


class Walk:
    """The walk over the objects of one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._queue: deque[tuple[Any, Way]] = deque()
        self._looked_through: set[int] = set()

    def push(self, value: Any, way: Way) -> None:
        """Enter *value* later, by `drain`."""
        if type(value) not in SCALARS:
            self._queue.append((value, way))

    def drain(self) -> None:
        """Breadth first, so that the shortest path to an object names it."""
        for _ in range(_STEPS):
            if not self._queue:
                break
            value, way = self._queue.popleft()
            if way.depth < _DEEP:
                self._enter(value, way)
        self._queue.clear()
        self._looked_through.clear()

    def names(self, names: dict[str, Any], way: Way) -> None:
        """Enter the values of a namespace whose node is ``way.parent``."""
        node = way.parent
        for name, value in list(names.items()):
            if type(value) in SCALARS or type(name) is not str or node is None:
                continue
            if not dunder(name) or (node.role == "class" and type(value) in _METHODS):
                self.push(value, way.at(node, f".{name}", name))

    def _enter(self, value: Any, way: Way) -> None:
        if is_module(value):
            self._module(value, way)
        elif is_class(value):
            self._class(value, way)
        elif type(value) is types.FunctionType:
            self._function(value, way)
        elif not self._special(value, way):
            self._instance(value, way)

    def _module(self, module: Any, way: Way) -> None:
        name = (namespace(module) or {}).get("__name__")
        if type(name) is str and way.parent is not None and not self.graph.owns_module(name):
            self.graph.foreign_modules[name] = module

    def _class(self, cls: Any, way: Way) -> None:
        if not self.graph.owns_class(cls):
            if way.parent is not None and way.parent.role == "module":
                self.graph.foreign_classes[class_name(cls)] = cls
            return
        names = class_dict(cls)
        node = self.graph.node(names, NAMES, way, "class", cls)
        if node is not None:
            self.names(names, way.at(node, "", None))
        for base in mro(cls)[1:]:
            if self.graph.owns_class(base):
                self.push(base, Way(None, class_name(base).replace(".<locals>", ""), None, way.depth + 1))

    # --- functions ---

    def _function(self, function: Any, way: Way) -> None:
        module = function.__module__
        if self.graph.owns(function.__code__.co_filename, module if type(module) is str else None):
            node = self.graph.node(function, OPAQUE, way, "function", function)
            if node is not None:
                self._own_function(function, node, way.depth)
        elif self._look_through(function):
            self._wrapper(function, way)

    def _own_function(self, function: Any, node: Node, depth: int) -> None:
        way = Way(node, "", None, depth)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            self._cell(cell, function, name, node, depth)
        for name, value in _defaults(function):
            self.push(value, way.at(node, f".{name}", ("default", name)))
        self.attributes_of_function(function, node, depth)

    def _wrapper(self, function: Any, way: Way) -> None:
        """Somebody else's function may wrap one of the app's, or hold what the app gave it: attrs writes such."""
        for name, value in _defaults(function):
            self.push(value, way.on(f".{name}")._replace(foreign=True))
        for cell in function.__closure__ or ():
            for value in gc.get_referents(cell):
                self.push(value, way.on()._replace(foreign=True))
        wrapped = (function_dict(function) or {}).get("__wrapped__")
        if wrapped is not None:
            self.push(wrapped, way.on())

    def _cell(self, cell: Any, function: Any, name: str, node: Node, depth: int) -> None:
        """A variable that a function closes over is named by the function that owns it."""
        scope = Node(OPAQUE, Way(None, _scope_of(function), None), "scope")
        found = self.graph.node(cell, OPAQUE, Way(scope, f".{name}", name, depth), "closure", function)
        if found is not None:
            node.have(found, name)
            for value in gc.get_referents(cell):
                self.push(value, Way(found, "", 0, depth + 1))

    def attributes_of_function(self, function: Any, node: Node, depth: int) -> None:
        """Enter what hangs at a function, where something does."""
        names = function_dict(function)
        if names is not None:
            found = self.graph.node(names, NAMES, Way(node, "", "__dict__", depth), "function", function)
            if found is not None:
                self.names(names, Way(found, "", None, depth))

    # --- what is read in its own way ---

    def _special(self, value: Any, way: Way) -> bool:
        """Whether *value* is of a type of the interpreter or the standard library that is read in its own way."""
        bases = bases_of(value)
        if ContextVar in bases:
            self.graph.context_vars[way.path] = value
            for each in gc.get_referents(value):
                self.push(each, way.on(".default"))
            self.push(value.get(None), way.on())
        elif local in bases:
            self._thread_local(value, way)
        elif tuple in bases or frozenset in bases:
            for each in gc.get_referents(value):
                self.push(each, way.on("[*]"))
        elif type(value) in bags.PASSED_THROUGH:
            for each in gc.get_referents(value):
                if not is_class(each):
                    self.push(each, way.on())
        elif type(value) is functools._lru_cache_wrapper:  # noqa: SLF001 - the type has no public name
            self._cache(value, way)
        else:
            return self._number(value, way)
        return True

    def _thread_local(self, value: local, way: Way) -> None:
        """What this thread has in it: the main thread's, or that of the first unit of work."""
        self.graph.thread_locals[way.path] = value
        if plain_local(type(value)):
            for name, inside in list(local.__getattribute__(value, "__dict__").items()):
                self.push(inside, way.on(f".{name}"))

    def _number(self, value: Any, way: Way) -> bool:
        read = bags.reader(value)
        if read is None:
            return False
        if way.foreign and way.away > 1:
            return True  # somebody else's, far from the app
        if read.name == "container":
            way = way._replace(foreign=True)  # who knows what else its library puts there
        node = self.graph.node(read.read, NUMBER, way, read.name, known_as=value)
        if node is not None:
            node.grows = read.grows
        return read.name != "container" or not self.graph.owns_class(type(value))

    def _cache(self, value: Any, way: Way) -> None:
        own = namespace(value) or {}
        wrapped = own.get("__wrapped__")
        for each in gc.get_referents(value):
            if type(each) is dict and each is not own:
                self.graph.node(each, MAPPING, way, "lru_cache", wrapped)
        if wrapped is not None:
            self.push(wrapped, way.on())

    # --- instances ---

    def _instance(self, value: Any, way: Way) -> None:
        kind = next((kind for base, kind in _CONTAINERS if base in bases_of(value)), None)
        ours = self.graph.owns_class(type(value))
        if kind is not None:
            self._container(value, kind, way)
            if ours:
                self._attributes(value, way)
        elif bags.left_alone(value):
            self.push(bags.wrapped_by_us(value), way.on(".app"))
        elif ours or bags.is_bag(value) or (bags.is_collection(value) and way.away <= 1):
            self._attributes(value, way._replace(foreign=way.foreign and not ours))
        elif (names := bags.watched_names(value)) is not None:
            for name in names:
                self.push(attributes(value).get(name), way.on(f".{name}"))
        elif type(value) in bags.GENERATORS:
            self._generator(value, way)
        elif bags.is_opaque(value):
            self.graph.node(value, OPAQUE, way, "object")
            for each in gc.get_referents(value):
                self.push(each, way.on())
        else:
            self._foreign(value, way)

    def _container(self, value: Any, kind: Kind, way: Way) -> None:
        if way.foreign and way.away > 1:
            if self._look_through(value):
                for key, inside in _entries(value, kind):
                    self._through(inside, way.on(key))  # somebody else's, far from the app
            return
        if kind.size(value) > LARGE:
            self.graph.watch_size(value, kind, way)
            return
        node = self.graph.node(value, kind, way, kind.name)
        if node is not None:
            for key, inside in _entries(value, kind):
                self.push(inside, way.at(node, key, id(inside)))

    def _attributes(self, value: Any, way: Way) -> None:
        inner = bags.inner_names(value)
        names = namespace(value) if inner is None else inner
        if names is not None:
            node = self.graph.node(names, NAMES, way, "instance", type(value))
            if node is not None:
                self.names(names, way.at(node, "", None))
        if _has_slots(type(value)):
            node = self.graph.node(value, OPAQUE, way, "slots", type(value))
            for name, inside in attributes(value).items() if node is not None else ():
                if node is not None and (names is None or name not in names):
                    self.push(inside, way.at(node, f".{name}", id(inside)))

    def _generator(self, value: Any, way: Way) -> None:
        code = value.gi_code if type(value) is types.GeneratorType else value.ag_code
        if self.graph.owns_file(code.co_filename):
            self.graph.node(value, OPAQUE, way, "generator", code)
            for each in gc.get_referents(value):
                self.push(each, way.on())

    def _foreign(self, value: Any, way: Way) -> None:
        """
        Somebody else's object: the app's functions and bags that it leads to are entered, it is not.

        What hangs directly at an app's own name is watched warily.
        """
        if way.parent is None or not self._look_through(value):
            return
        names = namespace(value)
        held = way.parent.role in _HOLDING and not way.parent.foreign
        if held and names is not None and not bags.is_machinery(value):
            node = self.graph.node(names, NAMES, way._replace(foreign=True), "instance", type(value))
            if node is not None:
                self.names(names, way.at(node, "", None)._replace(away=way.away + 1))
            return
        for name, inside in attributes(value).items():
            if type(name) is str and not dunder(name):
                self._through(inside, way.on(f".{name}")._replace(away=way.away + 1))

    def _through(self, value: Any, way: Way) -> None:
        """Follow somebody else's objects only as far as they lead to the app's own."""
        kind = type(value)
        if kind in SCALARS or way.away > _FAR:
            return
        if kind is dict or kind in _ROW:
            if self._look_through(value):
                for each in list(dict.values(value) if kind is dict else value):
                    self._through(each, way.on("[*]"))
        elif kind in (types.FunctionType, types.MethodType) or self.graph.owns_class(kind) or bags.is_bag(value):
            self.push(value, way.on()._replace(foreign=False, away=0))
        elif not is_class(value) and not is_module(value) and not bags.left_alone(value):
            self.push(value, way.on()._replace(foreign=True))

    def _look_through(self, value: object) -> bool:
        """Whether somebody else's *value* may still be looked through: each once, and not without end."""
        if id(value) in self._looked_through or len(self._looked_through) >= _BUDGET:
            return False
        self._looked_through.add(id(value))
        return True


def dunder(name: str) -> bool:
    """Whether a name is the interpreter's business."""
    return (name.startswith("__") and name.endswith("__")) or name == "_abc_impl"


def _defaults(function: Any) -> Iterator[tuple[str, Any]]:
    defaults = function.__defaults__ or ()
    code = function.__code__
    names = code.co_varnames[: code.co_argcount][-len(defaults) :] if defaults else ()
    yield from zip(names, defaults, strict=False)
    yield from (function.__kwdefaults__ or {}).items()


def _scope_of(function: Any) -> str:
    """The function that owns the variables that *function* closes over, as a dotted path."""
    outer, _, _ = function.__qualname__.rpartition(".<locals>.")
    return f"{function.__module__}.{outer.replace('.<locals>', '') or function.__qualname__}"


def _has_slots(cls: type) -> bool:
    return any(
        type(each) is types.MemberDescriptorType and name not in _NOT_SLOTS
        for base in mro(cls)[:-1]
        if module_of(base) != "builtins"
        for name, each in class_dict(base).items()
    )


def _entries(value: Any, kind: Kind) -> Iterator[tuple[str, Any]]:
    """(what the path is followed by, value) of a container's entries."""
    try:
        if kind is not MAPPING:
            for inside in list(kind.values(value))[:MOST_ENTRIES]:
                if type(inside) not in SCALARS:
                    yield "[*]", inside
            return
        for key, inside in list(dict.items(value))[:MOST_ENTRIES]:
            if type(inside) not in SCALARS:
                yield _step(key), inside
            if type(key) is tuple:
                yield "[*]", key
    except RuntimeError:
        return  # another thread changes it; what it adds is entered when it is seen


def _step(key: Any) -> str:
    """A key that stood in a container from the start is part of the code, where it looks like a name."""
    return f"[{key!r}]" if type(key) is str and key.isidentifier() and len(key) <= _NAME else "[*]"
