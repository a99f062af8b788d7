"""
TF604: a unit of work that begins with what an earlier one set in a context variable or a thread-local.

The right moment to look is the beginning: what is set and forgotten in a task of its own dies with the task.
"""

from __future__ import annotations

import threading
from threading import local
from typing import TYPE_CHECKING, Any, NamedTuple

from twelvefactor.factor import Finding
from twelvefactor.processes.companions import Companion
from twelvefactor.processes.looking import describe, length, plain_local, same
from twelvefactor.processes.reporting import place, relative
from twelvefactor.processes.rules import TF604
from twelvefactor.processes.tokens import held
from twelvefactor.processes.writers import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twelvefactor.processes.units import Unit
    from twelvefactor.processes.watch import StateWatch

_MISSING = object()
_ENOUGH = 2


class Trace(NamedTuple):
    """What a unit left set: it is held until the next unit begins in the same place."""

    unit: str
    value: Any
    tokens: frozenset[str]


class Contexts(Companion):
    """Context variables and thread-locals of the app, at the begin and the end of watched units."""

    def __init__(self, watch: StateWatch) -> None:
        self.watch = watch
        self._left: dict[tuple[int, str], Trace] = {}
        self._kinds: dict[str, list[Any]] = {}
        self._reported: set[str] = set()

    def install(self) -> None:
        """Say that somebody looks."""
        self.watch.process.evidence.looked(
            TF604, "context variables and thread-locals at the begin of work", self.watch.not_around
        )

    def remove(self) -> None:
        """Let go of everything."""
        self._left.clear()
        self._kinds.clear()

    def _values(self) -> Iterator[tuple[str, Any]]:
        for path, variable in list(self.watch.graph.context_vars.items()):
            yield path, variable.get(_MISSING)
        for path, kept in list(self.watch.graph.thread_locals.items()):
            if plain_local(type(kept)):
                for name, value in list(local.__getattribute__(kept, "__dict__").items()):
                    yield f"{path}.{name}", value

    def glance(self) -> None:
        """In report mode: what this unit leaves set, for the next to begin with."""
        if not self.watch.graph.context_vars and not self.watch.graph.thread_locals:
            return
        thread = threading.get_ident()
        for path, value in self._values():
            if value is not _MISSING:
                self._left[thread, path] = Trace("", value, frozenset())

    def waits(self) -> bool:
        """Whether the next unit that begins should be looked at."""
        return bool(self._left)

    def peek(self) -> None:
        """In report mode: a unit begins after a glance."""
        self._compare(dict(self._values()))
        self._left.clear()

    def begin(self, unit: Unit) -> None:
        """Has an earlier unit left something set here?"""
        found = dict(self._values())
        unit.notes["contexts"] = found
        self._compare(found)

    def _compare(self, found: dict[str, Any]) -> None:
        thread = threading.get_ident()
        for path, value in found.items():
            trace = self._left.pop((thread, path), None)
            if trace is not None and value is trace.value:
                watched = self.watch.graph.adopt(value, thread, path)
                if value is not None and length(value) != 0:  # nothing, or an empty container, is nothing left set
                    self._met(path, value, trace, watched=watched)

    def end(self, unit: Unit) -> None:
        """Remember what this unit leaves set."""
        before = unit.notes.pop("contexts", None)
        if before is None:
            return
        thread = threading.get_ident()
        for path, value in self._values():
            if value is not _MISSING and before.get(path, _MISSING) is not value:
                self._left[thread, path] = Trace(unit.id, value, unit.tokens)

    def _met(self, path: str, value: Any, trace: Trace, *, watched: bool) -> None:
        """A unit began with it; data inside a container that is *watched* is told as what the container gained."""
        kinds = self._kinds.setdefault(path, [])
        if not any(_known(value, known) for known in kinds) and len(kinds) < _ENOUGH:
            kinds.append(value if type(value) in (str, int, bool, float) else _Other(value))
        if path not in self._reported and (len(kinds) >= _ENOUGH or (not watched and held([value]) & trace.tokens)):
            self._reported.add(path)
            self._kinds[path] = []
            self._report(path, value, trace)

    def _report(self, path: str, value: Any, trace: Trace) -> None:
        target = self._target(path)
        matches = self.watch.writers.find(target, self.watch.app_modules())
        where = place(None, matches, frozenset())
        lines = [relative(self.watch.process.app_code, *line) for line in where.lines]
        self.watch.process.evidence.report(
            Finding(
                TF604,
                f"work began with {path} as earlier work had left it ({describe(value)})",
                culprit=path,
                where=lines[0] if lines else "",
                evidence={"certainty": where.certainty, "lines": lines, "works": [trace.unit] if trace.unit else []},
                work=trace.unit or None,
            )
        )

    def _target(self, path: str) -> Target:
        names = tuple(path.split("."))
        variable = self.watch.graph.context_vars.get(path)
        if variable is not None:
            return Target(None, None, variable, names, "context variable")
        kept = self.watch.graph.thread_locals.get(path.rpartition(".")[0])
        return Target(kept, names[-1], None, names, "thread-local")


class _Other:
    """Stands for a value that was seen, without holding it."""

    __slots__ = ("identity",)

    def __init__(self, value: Any) -> None:
        self.identity = id(value)


def _known(value: Any, known: Any) -> bool:
    return id(value) == known.identity if type(known) is _Other else same(value, known)
