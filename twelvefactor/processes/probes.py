"""
Confirm by effect: look at one suspected object before each line of the app that may write, and know which one did.

The change is seen at the next line that runs, so the one before it made it, for the unit that ran it. Only suspects are
probed, and only while they are suspects.
"""

from __future__ import annotations

import threading
from operator import is_
from typing import TYPE_CHECKING, Any

from twelvefactor.processes.blocks import NAMES, NUMBER, OPAQUE
from twelvefactor.processes.looking import SCALARS

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

    from twelvefactor.processes.cases import Case
    from twelvefactor.processes.nodes import Node

MOST = 16
_SMALL = 64


class Someone:
    """Stands for a unit of work that cannot be told: several were open, and a pool's thread wrote."""


SOMEONE = Someone()
Line = tuple[str, int]


class Probe:
    """
    One suspect, as it was at the last line.

    Attributes:
        case: The suspect's case.
        writers: The units that were seen to change it since they were last asked for; None stands for code that ran
            for nobody.
    """

    __slots__ = ("_holder", "_kind", "_lasts", "_lock", "_name", "_sites", "_state", "case", "writers")

    def __init__(self, case: Case, node: Node, name: str | None, sites: Callable[[], frozenset[Line]]) -> None:
        self.case = case
        self.writers: list[Any] = []
        self._sites = sites
        self._holder = node.holder
        self._kind = node.kind
        self._name = name
        self._lasts: dict[int, tuple[Line, Any]] = {}
        self._lock = threading.Lock()
        self._state: list[Any] = []
        self._state = self._read()

    def _read(self) -> list[Any]:
        if self._kind is NAMES:
            return [self._holder.get(self._name, self)]
        if self._kind is NUMBER:
            return [self._holder()]
        try:
            size = self._kind.size(self._holder)
            return list(self._kind.values(self._holder)) if size <= _SMALL else [size]
        except RuntimeError:
            return self._state

    def _unmoved(self) -> bool:
        """Whether it is the very same as at the last line, quickly: this is asked before every line."""
        state, holder = self._state, self._holder
        if self._kind is NAMES:
            return holder.get(self._name, self) is state[0]
        if self._kind is NUMBER or self._kind is OPAQUE or self._kind.size(holder) != len(state):
            return False
        try:
            return all(map(is_, self._kind.values(holder), state))
        except RuntimeError:
            return False

    def _moved(self) -> bool:
        now = self._read()
        old, self._state = self._state, now
        if len(now) != len(old):
            return True
        return any(one is not other and not _equal(one, other) for one, other in zip(now, old, strict=True))

    def __call__(self, code: CodeType, line: int, work: Any) -> None:
        """A line is about to run for *work*."""
        self._at((code.co_filename, line), work)

    def returned(self, caller: FrameType | None, work: Any) -> None:
        """A function of the app is over, and the line that called it goes on: ``Cart().items.append(1)``."""
        if caller is not None:
            self._at((caller.f_code.co_filename, caller.f_lineno), work)

    def _at(self, line: Line, work: Any) -> None:
        here = threading.get_ident()
        if self._unmoved():
            self._lasts[here] = (line, work)
            return
        if not self._lock.acquire(blocking=False):
            return  # another thread looks
        try:
            self._settle(here)
            self._lasts[here] = (line, work)
        finally:
            self._lock.release()

    def _settle(self, here: int | None = None) -> None:
        if not self._moved() or not self._lasts:
            return
        last = self._the_one(list(self._lasts.values()), newcomer=here is not None and here not in self._lasts)
        if last is not None:
            self.case.lines[last[0]] += 1
            self.writers.append(last[1])

    def _the_one(self, lasts: list[tuple[Line, Any]], *, newcomer: bool) -> tuple[Line, Any] | None:
        """Of the lines that several threads are at, the one that can have made the change."""
        if len(lasts) == 1 and not newcomer:
            return lasts[0]
        sites = self._sites()
        able = [last for last in lasts if last[0] in sites]
        return able[0] if len({last[1] for last in able}) == 1 else None

    def flush(self, *, quiet: bool) -> None:
        """What moved since the last line was moved by that line. *quiet* means that nobody runs now."""
        with self._lock:
            self._settle()
            if quiet:
                self._lasts = {thread: last for thread, last in self._lasts.items() if last[1] is None}

    def take(self) -> list[Any]:
        """The writers so far; they are asked for once."""
        writers, self.writers = self.writers, []
        return writers


def _equal(one: Any, other: Any) -> bool:
    return type(one) in SCALARS and type(one) is type(other) and bool(one == other)
