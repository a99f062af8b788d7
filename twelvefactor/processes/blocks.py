"""
See at the speed of C whether long-lived objects changed since the last look.

A block holds up to 64 objects of one kind and what they held, by identity. The check of an unchanged block is a few
calls into C whatever it holds; Python looks at single objects only where something differs.
"""

from __future__ import annotations

import gc
from collections import deque
from itertools import chain
from operator import is_
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from twelvefactor.processes.nodes import Node

FULL = 64
ENTRIES = 2_048
LARGE = 4_096


class Kind:
    """
    How objects of one kind are read.

    Attributes:
        name: What the kind is called in a finding.
        size: How many entries an object has.
        values: The entries; iterating runs nobody's code.
        keys: The keys, where they may change though the values do not.
    """

    __slots__ = ("keys", "name", "size", "values")

    def __init__(
        self,
        name: str,
        size: Callable[[Any], int],
        values: Callable[[Any], Iterable[Any]],
        keys: Callable[[Any], Iterable[Any]] | None = None,
    ) -> None:
        self.name = name
        self.size = size
        self.values = values
        self.keys = keys

    def __repr__(self) -> str:
        return f"<Kind {self.name}>"


def _one(_: object) -> int:
    return 1


def _referents(holder: object) -> list[Any]:
    return gc.get_referents(holder)


def _referent_count(holder: object) -> int:
    return len(gc.get_referents(holder))


def _number(read: Callable[[], Any]) -> tuple[Any]:
    return (read(),)


NAMES = Kind("names", dict.__len__, dict.values, dict.keys)
MAPPING = Kind("mapping", dict.__len__, dict.values, dict.keys)
LIST = Kind("list", list.__len__, list.__iter__)
DEQUE = Kind("deque", deque.__len__, deque.__iter__)
SET = Kind("set", set.__len__, set.__iter__)
OPAQUE = Kind("object", _referent_count, _referents)
NUMBER = Kind("number", _one, _number)


class Delta:
    """
    What is different in one object since the last look; holds values, so it must not be kept.

    Attributes:
        node: The object.
        added: Entries that were not there, as (key, value); the key is None where the kind has none.
        changed: Entries with another value, as (key, old, new).
        removed: How many entries are gone.
        before: The size at the last look.
        after: The size now.
    """

    __slots__ = ("added", "after", "before", "changed", "gone", "node", "removed")

    def __init__(self, node: Node, before: int, after: int) -> None:
        self.node = node
        self.before = before
        self.after = after
        self.added: list[tuple[Any, Any]] = []
        self.changed: list[tuple[Any, Any, Any]] = []
        self.gone: list[tuple[Any, Any]] = []
        self.removed = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


class Block:
    """Up to 64 nodes of one kind, and what they held at the last look."""

    __slots__ = ("entries", "flat", "holders", "keys", "kind", "lengths", "nodes")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.nodes: list[Node | None] = []
        self.holders: list[Any] = []
        self.lengths: list[int] = []
        self.flat: list[Any] = []
        self.keys: list[Any] | None = None if kind.keys is None else []

    @property
    def full(self) -> bool:
        return len(self.nodes) >= FULL or len(self.flat) >= ENTRIES

    def add(self, node: Node, holder: Any) -> bool:
        """Take *holder* in, as it is now; False where it changed while it was read."""
        read = self._read(holder)
        if read is None:
            return False
        values, keys = read
        node.block = self
        self.nodes.append(node)
        self.holders.append(holder)
        self.lengths.append(len(values))
        self.flat += values
        if self.keys is not None:
            self.keys += keys or []
        return True

    def _read(self, holder: Any) -> State | None:
        """(values, keys) at one moment; None where another thread changes them again and again."""
        for _ in range(3):
            try:
                values = list(self.kind.values(holder))
                keys = None if self.kind.keys is None else list(self.kind.keys(holder))
            except RuntimeError:  # changed size during iteration
                continue
            if keys is None or len(keys) == len(values):
                return values, keys
        return None

    def dirty(self) -> bool:
        """Whether anything differs from the last look."""
        try:
            return self._differs()
        except RuntimeError:  # changed size during iteration
            return True

    def _differs(self) -> bool:
        kind, holders = self.kind, self.holders
        if kind is OPAQUE:
            found = gc.get_referents(*holders)
            return len(found) != len(self.flat) or not all(map(is_, found, self.flat))
        if kind is NUMBER:
            return [read() for read in holders] != self.flat
        if list(map(kind.size, holders)) != self.lengths:
            return True
        if not all(map(is_, chain.from_iterable(map(kind.values, holders)), self.flat)):
            return True
        if self.keys is None or kind is NAMES:
            return False
        return not all(map(is_, chain.from_iterable(map(kind.keys, holders)), self.keys))  # type: ignore[arg-type]  # a mapping has keys

    def look(self) -> list[Delta]:
        """What differs, node by node; the new state is the one to compare with from now on."""
        if not self.dirty():
            return []
        deltas: list[Delta] = []
        flat: list[Any] = []
        keys: list[Any] | None = None if self.keys is None else []
        start = 0
        for index, node in enumerate(self.nodes):
            stop = start + self.lengths[index]
            old = self.flat[start:stop]
            old_keys = None if self.keys is None else self.keys[start:stop]
            start = stop
            new, new_keys = self._read(self.holders[index]) or (old, old_keys)
            if node is not None:
                delta = difference(node, self.kind, (old, old_keys), (new, new_keys))
                if delta:
                    deltas.append(delta)
            self.lengths[index] = len(new)
            flat += new
            if keys is not None:
                keys += new_keys or []
        self.flat, self.keys = flat, keys
        return deltas

    def drop(self, node: Node) -> None:
        """Hold *node* and what it held no longer."""
        index = next((i for i, each in enumerate(self.nodes) if each is node), None)
        if index is None:
            return
        start = sum(self.lengths[:index])
        stop = start + self.lengths[index]
        del self.flat[start:stop]
        if self.keys is not None:
            del self.keys[start:stop]
        del self.nodes[index], self.holders[index], self.lengths[index]
        node.block = None


State = tuple[list[Any], list[Any] | None]


def difference(node: Node, kind: Kind, before: State, after: State) -> Delta:
    """What is different between two looks at one object, each as (values, keys), by identity."""
    (old, old_keys), (new, new_keys) = before, after
    delta = Delta(node, len(old), len(new))
    if _alike(old, new) and (old_keys is None or new_keys is None or _alike(old_keys, new_keys)):
        return delta
    if kind is NUMBER:
        delta.changed = [(None, old[0], new[0])] if old != new else []
    elif old_keys is not None and new_keys is not None:
        _compare_maps(delta, old_keys, old, new_keys, new)
    elif kind is SET:
        _compare_bags(delta, old, new)
    else:
        _compare_rows(delta, old, new)
    return delta


def _alike(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(map(is_, one, other))


def _compare_maps(delta: Delta, old_keys: list[Any], old: list[Any], new_keys: list[Any], new: list[Any]) -> None:
    prefix = _common(old_keys, new_keys)
    delta.changed = [(new_keys[i], old[i], new[i]) for i in range(prefix) if old[i] is not new[i]]
    before = {_handle(key): (key, value) for key, value in zip(old_keys[prefix:], old[prefix:], strict=True)}
    for key, value in zip(new_keys[prefix:], new[prefix:], strict=True):
        was = before.pop(_handle(key), None)
        if was is None:
            delta.added.append((key, value))
        elif was[1] is not value:
            delta.changed.append((key, was[1], value))
    delta.gone = list(before.values())
    delta.removed = len(before)


def _handle(key: Any) -> Any:
    """Something that stands for *key* without its ``__hash__``: itself where that is the interpreter's."""
    return (type(key), key) if type(key) in _PLAIN else id(key)


_PLAIN = frozenset({str, int, bytes, float, bool, type(None)})


def _compare_rows(delta: Delta, old: list[Any], new: list[Any]) -> None:
    """Rows keep their order: what was put at the end or the front is added, a changed row in the middle is changed."""
    prefix = _common(old, new)
    suffix = _common(old[prefix:][::-1], new[prefix:][::-1])
    middle_old = old[prefix : len(old) - suffix]
    middle_new = new[prefix : len(new) - suffix]
    if len(middle_old) == len(middle_new) and not _same_bag(middle_old, middle_new):
        delta.changed = [
            (None, one, other) for one, other in zip(middle_old, middle_new, strict=True) if one is not other
        ]
        return
    _compare_bags(delta, middle_old, middle_new)


def _same_bag(one: list[Any], other: list[Any]) -> bool:
    return sorted(map(id, one)) == sorted(map(id, other))


def _compare_bags(delta: Delta, old: list[Any], new: list[Any]) -> None:
    counts: dict[Any, int] = {}
    for value in old:
        counts[_handle(value)] = counts.get(_handle(value), 0) + 1
    for value in new:
        handle = _handle(value)
        if counts.get(handle, 0):
            counts[handle] -= 1
        else:
            delta.added.append((None, value))
    delta.removed = sum(counts.values())
    if delta.removed:
        left = dict(counts)
        for value in old:
            if left.get(_handle(value), 0):
                left[_handle(value)] -= 1
                delta.gone.append((None, value))


def _common(one: list[Any], other: list[Any]) -> int:
    """How many leading entries two rows share, by identity."""
    shortest = min(len(one), len(other))
    if all(map(is_, one, other)):
        return shortest
    return next(i for i in range(shortest) if one[i] is not other[i])
