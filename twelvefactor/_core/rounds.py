"""Look in rounds, in a thread of ours: what takes longer than a moment is kept off the start and off requests."""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

from twelvefactor._core import threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from twelvefactor._core.process import Process

_PATIENCE = 10.0  # seconds that the end waits for a round in progress
_FORK_WAITS = 2.0  # seconds, likewise
_all: weakref.WeakSet[Rounds] = weakref.WeakSet()
_held: list[Rounds] = []


class Rounds:
    """
    Calls *look* soon after the start, again whenever woken, and a last time at the end.

    Args:
        process: Where a fault of *look* is reported.
        name: Of the thread.
        look: One round; only one runs at a time.
        pause: Seconds between being woken and looking: an import that woke us should be over by then.
        every: Seconds between rounds that nobody asked for; None for none.
    """

    def __init__(
        self, process: Process, name: str, look: Callable[[], None], *, pause: float = 0.2, every: float | None = None
    ) -> None:
        self._process = process
        self._name = name
        self._look = look
        self._pause = pause
        self._every = every
        self._woken = threading.Event()
        self._stop = threading.Event()
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._looking = 0  # the thread that looks
        _all.add(self)

    def begin(self, *, now: bool = False) -> None:
        """Start looking; *now* does the first round at once, for a rule that may refuse the start."""
        self._pid = os.getpid()
        self._stop.clear()
        self._woken.clear()
        if now:
            self._round()
        try:
            self._thread = threads.start(self._run, not now, name=f"twelvefactor {self._name}")
        except RuntimeError:
            self._thread = None  # the interpreter is on its way out: there is nothing left to look at

    def wake(self) -> None:
        """Look again soon; cheap, from any thread."""
        if not self._woken.is_set():
            self._woken.set()

    def end(self) -> None:
        """Stop, and look a last time. Idempotent; in a forked child, which has no such thread, only forget."""
        thread, self._thread = self._thread, None
        if thread is None or os.getpid() != self._pid:
            return
        self._stop.set()
        self._woken.set()
        thread.join(_PATIENCE)
        if not thread.is_alive():
            self._round()

    def _run(self, first: bool) -> None:
        if first:
            self._round()
        while not self._stop.is_set():
            self._woken.wait(self._every)
            if self._stop.wait(self._pause):
                return
            self._woken.clear()
            self._round()

    def _round(self) -> None:
        with self._turn:
            self._looking = threading.get_ident()
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - a fault of ours is one event
                self._process.fault(self._name, error)
            finally:
                self._looking = 0

    def hold(self, seconds: float) -> bool:
        """Let no round run; False where one took too long, or forks itself."""
        return self._looking != threading.get_ident() and self._turn.acquire(timeout=seconds)

    def let_go(self, *, forked: bool = False) -> None:
        """Let rounds run again; in a forked child, also where one ran in the parent."""
        if forked:
            self._turn, self._looking = threading.Lock(), 0
        else:
            self._turn.release()


def _before_fork() -> None:
    """A child must not find what a round has half imported."""
    ends = time.monotonic() + _FORK_WAITS
    _held.extend(each for each in tuple(_all) if each.hold(max(0.0, ends - time.monotonic())))


def _after_fork() -> None:
    while _held:
        _held.pop().let_go()


def _after_fork_in_child() -> None:
    _held.clear()
    for each in tuple(_all):
        each.let_go(forked=True)


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
