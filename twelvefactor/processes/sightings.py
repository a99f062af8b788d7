"""
A change that was seen, and whether it is news.

Binding a name to an equal value is none, nor is a submodule that appears, a pool that rotates, or what is gone again
when the work that was in flight has ended.
"""

from __future__ import annotations

import builtins
import types
from operator import is_
from typing import TYPE_CHECKING, Any

from twelvefactor.processes.blocks import MAPPING, NAMES, NUMBER, OPAQUE, SET, Delta
from twelvefactor.processes.looking import attributes, describe, function_dict, is_class, is_module, same
from twelvefactor.processes.writers import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twelvefactor.processes.graph import Graph
    from twelvefactor.processes.nodes import Node

_MOST_VALUES = 64
_CODE = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodType,
    types.ClassMethodDescriptorType,
    staticmethod,
    classmethod,
    property,
)
_QUIET = frozenset({"_abc_impl", "__annotations__", "__pydantic_complete__"})


class Sighting:
    """
    One place that changed; holds values, and is therefore dropped as soon as it is judged.

    Attributes:
        path: The dotted path of the place.
        node: The object that changed.
        name: The name that was bound, or None where the object itself changed.
        grew: Whether it has more entries than before.
        patched: Whether code was replaced.
        before: Type and size before.
        after: Type and size now.
        values: What is new in it.
        tries: How often the verdict was put off.
    """

    __slots__ = ("_now", "after", "before", "grew", "name", "node", "old", "patched", "path", "tries", "values")

    def __init__(self, path: str, node: Node, name: str | None, before: str, after: str) -> None:
        self.path = path
        self.node = node
        self.name = name
        self.before = before
        self.after = after
        self.grew = False
        self.patched = False
        self.old: list[tuple[Any, Any, Any]] = []
        self.values: list[Any] = []
        self.tries = 0

    def absorb(self, later: Sighting) -> None:
        """The same place changed again before it was judged: from the first old to the last new value."""
        known = [key for key, _, _ in self.old]
        for key, old, new in later.old:
            index = next((i for i, each in enumerate(known) if each is key and key is not None), None)
            if self.name is not None or self.node.kind is NUMBER:
                index = 0
            if index is None:
                self.old.append((key, old, new))
            else:
                self.old[index] = (key, self.old[index][1], new)
        self.values = [*self.values, *later.values][-2 * _MOST_VALUES :]
        self.grew = self.grew or later.grew
        self.patched = self.patched or later.patched
        self.after = later.after

    def rises(self) -> bool:
        """Whether a number that was put off only went up; true of everything else."""
        if self.name is None or not self.tries or not self.old:
            return True
        now = self.node.holder.get(self.name) if self.node.kind is NAMES and self.node.holder is not None else None
        old = self.old[0][1]
        return type(now) not in (int, float) or type(old) not in (int, float) or now > old

    def target(self) -> Target:
        """What was changed, as far as lines are concerned."""
        node = self.node
        names = tuple(part for part in self.path.replace("[", ".[").split(".") if part and not part.startswith("["))
        if self.name is not None or node.role == "closure":
            return Target(node.owner, self.name or names[-1], node.holder, names, node.role)
        holder = node.holder
        if node.kind is NUMBER:
            from twelvefactor.processes.bags import value_of

            holder = value_of(holder)
        owner = node.owner if node.role == "lru_cache" or node.parent is None else node.parent.owner
        return Target(owner, None, holder, names, node.role)

    def __repr__(self) -> str:
        return f"<Sighting {self.path} {self.before} -> {self.after}>"


def sightings(delta: Delta, graph: Graph) -> Iterator[Sighting]:
    """The places that *delta* changed, as far as they are news."""
    node = delta.node
    if node.kind is NAMES:
        yield from _names(delta)
    elif node.kind is NUMBER:
        yield from _number(delta)
    elif node.kind is OPAQUE:
        yield from _opaque(delta, graph)
    else:
        yield from _container(delta)


def _names(delta: Delta) -> Iterator[Sighting]:
    node = delta.node
    for key, value in delta.added:
        if _is_name(key) and not is_module(value):
            yield _bound(node, key, None, value, "nothing")
    for key, old, new in delta.changed:
        if _is_name(key) and not is_module(new) and not same(old, new):
            yield _bound(node, key, old, new, describe(old))
    for key, old in delta.gone:
        if _is_name(key) and not is_module(old):
            seen = _bound(node, key, old, None, describe(old))
            seen.after = "nothing"
            yield seen


def _is_name(key: object) -> bool:
    return type(key) is str and key not in _QUIET and not (key.startswith("__") and key.endswith("__"))


def _bound(node: Node, name: str, old: Any, new: Any, before: str) -> Sighting:
    seen = Sighting(f"{node.path}.{name}", node, name, before, describe(new))
    seen.patched = node.role in {"module", "class", "foreign"} and is_code(old)
    seen.old = [(name, old, new)]
    seen.values = [new]
    if type(old) in (list, tuple, str, bytes) and type(new) is type(old):
        seen.grew = len(new) > len(old) and _begins_with(new, old)
    return seen


def _begins_with(new: Any, old: Any) -> bool:
    """Whether *new* is *old* and more."""
    if type(new) in (str, bytes):
        return bool(old) and bool(new.startswith(old))
    return all(map(is_, new, old))


def is_code(value: Any) -> bool:
    """Whether *value* is code that somebody calls: a function, a method, a class."""
    return type(value) in _CODE or is_class(value)


def _number(delta: Delta) -> Iterator[Sighting]:
    node = delta.node
    for _, old, new in delta.changed:
        seen = Sighting(node.path, node, None, _measure(node, old), _measure(node, new))
        seen.grew = node.grows and type(old) is int and type(new) is int and new > old
        if node.grows and not seen.grew:
            continue  # it shrank: what was put there was taken out again
        seen.old = [(None, old, new)]
        yield seen


def _measure(node: Node, value: Any) -> str:
    return f"{node.role}[{value}]" if type(value) is int else node.role


def _opaque(delta: Delta, graph: Graph) -> Iterator[Sighting]:
    node = delta.node
    pairs = [*delta.changed, *((None, None, new) for _, new in delta.added)]
    pairs = [pair for pair in pairs if type(pair[2]) is not types.FrameType]  # whoever looks at one makes it
    if node.role == "function":
        yield from _function(node, pairs)
    elif node.role == "slots":
        for _, old, new in pairs:
            if not same(old, new):
                name = graph.slot_name(node, new)
                yield _bound(node, name, old, new, describe(old))
    elif node.role == "closure":
        for _, old, new in pairs:
            if not same(old, new):
                seen = Sighting(node.path, node, None, describe(old), describe(new))
                seen.old, seen.values = [(None, old, new)], [new]
                yield seen
    elif pairs or delta.removed:
        seen = Sighting(node.path, node, None, node.role, node.role)
        seen.grew = delta.after > delta.before and node.role != "generator"
        seen.old = [(None, old, new) for _, old, new in pairs]
        seen.values = [new for _, _, new in pairs]
        if not seen.old or not all(same(old, new) for _, old, new in seen.old):
            yield seen


def _function(node: Node, pairs: list[tuple[Any, Any, Any]]) -> Iterator[Sighting]:
    """A function that got its first attribute, or other code."""
    function = node.owner
    for _, old, new in pairs:
        if type(new) is types.CodeType and type(old) is types.CodeType:
            seen = Sighting(node.path, node, None, "code", "code")
            seen.patched = True
            yield seen
        elif type(new) is dict and new is _attributes_of(function):
            for name, value in list(new.items()):
                if _is_name(name):
                    yield _bound_attribute(node, name, value)


def _attributes_of(function: Any) -> dict[str, Any] | None:
    return function_dict(function) if type(function) is types.FunctionType else None


def _bound_attribute(node: Node, name: str, value: Any) -> Sighting:
    seen = Sighting(f"{node.path}.{name}", node, name, "nothing", describe(value))
    seen.old, seen.values = [(name, None, value)], [value]
    return seen


def _container(delta: Delta) -> Iterator[Sighting]:
    node = delta.node
    changed = [(key, old, new) for key, old, new in delta.changed if not same(old, new)]
    if not changed and not delta.added and delta.after >= node.born:
        return
    kind = node.kind.name if node.kind is not MAPPING else "dict"
    seen = Sighting(node.path, node, None, f"{kind}[{delta.before}]", f"{kind}[{delta.after}]")
    seen.grew = delta.after > delta.before
    seen.old = changed[:_MOST_VALUES]
    seen.old += [(key, _ADDED, value) for key, value in delta.added[:_MOST_VALUES]]
    seen.values = [part for key, _, value in seen.old for part in (key, value) if part is not None]
    yield seen


_ADDED = object()


def still(seen: Sighting) -> bool:
    """Whether what was seen is still so; entries that lived as long as their work are gone by now."""
    node = seen.node
    if node.block is None:
        return seen.name is not None  # the whole object was replaced, which its parent tells
    holder = node.holder
    if node.kind is NAMES:
        return _name_still(holder, seen)
    if node.kind is NUMBER:
        now = holder()
        return bool(now != seen.old[0][1]) and (not seen.grew or now > seen.old[0][1])
    if node.kind is OPAQUE:
        return _opaque_still(holder, seen)
    return _entries_still(node, holder, seen)


def _name_still(holder: dict[str, Any], seen: Sighting) -> bool:
    name = seen.name
    _, old, _ = seen.old[0]
    if name not in holder:
        return seen.after == "nothing"
    if seen.after == "nothing":
        return False
    return seen.before == "nothing" or not same(old, holder[name])


def _opaque_still(holder: Any, seen: Sighting) -> bool:
    import gc

    if seen.node.role in {"function", "generator", "object"}:
        return True
    found = gc.get_referents(holder) if seen.node.role == "closure" else list(attributes(holder).values())
    return all(not any(old is each for each in found) or old is None for _, old, _ in seen.old[:1])


def _entries_still(node: Node, holder: Any, seen: Sighting) -> bool:
    if not seen.old:
        return bool(node.kind.size(holder) < node.born)
    for _ in range(3):
        try:
            values = list(node.kind.values(holder))
            keys = list(dict.keys(holder)) if node.kind is MAPPING else None
        except RuntimeError:
            continue
        return any(_entry_still(key, old, new, keys, values, node.kind is SET) for key, old, new in seen.old)
    return True


def _entry_still(key: Any, old: Any, new: Any, keys: list[Any] | None, values: list[Any], _: bool) -> bool:
    if keys is None:
        return _holds(values, new)
    index = next((i for i, each in enumerate(keys) if each is key), -1)
    if index < 0 or index >= len(values):
        return False
    return old is _ADDED or not same(old, values[index])


def _holds(values: list[Any], wanted: Any) -> bool:
    from itertools import repeat

    return any(map(is_, values, repeat(wanted)))


BUILTINS = builtins
"""The module whose names everybody sees."""
