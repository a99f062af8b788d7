"""
TF805: app code that blocks the event loop.

The loop says forty times a second that it turns. A thread of ours looks half as often; where the loop is 40 ms late it
looks at what the loop's thread is in, again and again, and blames the app's function that was there twice in a row, if
the loop turns out to be 100 ms late. Lag alone proves nothing: a busy machine makes it too, and our thread late.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twelvefactor._core import threads
from twelvefactor._core.audit import listen, unlisten
from twelvefactor.concurrency.daemons import blamed
from twelvefactor.concurrency.rules import TF805
from twelvefactor.factor import Finding
from twelvefactor.work import current_work, nothing

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from twelvefactor._core.process import Process
    from twelvefactor.work import Work

LATE = 0.1  # seconds
_SUSPECT = 0.04  # seconds; from then on it is worth a look
_BEAT = 0.025  # seconds between two turns that are told; a block that begins right after one seems shorter by as much
_EVERY = 0.05  # seconds between two looks
_SOON = 0.015  # seconds to the next look where the last turn is overdue
_OURSELVES_LATE = 0.05  # seconds; then nobody had the processor, and the loop's lag says nothing
_LOOP = frozenset({"asyncio.base_events", "asyncio.events", "asyncio.runners", "uvloop", "anyio._backends._asyncio"})
_LISTENS = frozenset({__name__, listen.__module__})

_HEARD = {
    "time.sleep": "sleeps",  # from Python 3.13 on; before that it is sampled
    "socket.connect": "connects with a blocking socket",
    "socket.getaddrinfo": "looks up a name",
    "os.system": "runs a shell command",
}
"""What the audit hook hears, and what the call does there."""


@dataclass(slots=True)
class Seen:
    """
    What a stall of the loop was seen to be in.

    Attributes:
        turned: The loop's last turn before it, in monotonic seconds.
        code: What it was in at the last look.
        culprit: What it was in twice, and where.
        blamed: Whether that was said.
    """

    turned: float
    code: CodeType | None = None
    culprit: tuple[str, str] | None = None
    blamed: bool = False


class LoopLag:
    """Watches the loop that serves; the calls that say themselves that they block are heard without waiting."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None
        self._ident = 0
        self._turned = 0.0
        self._stall = (0.0, 0.0)
        self._over = threading.Event()

    def install(self) -> None:
        """Wait for a loop: the one that serves, or in which the first unit of work runs."""
        self._over.clear()
        self._process.in_flight.observe(self)
        listen(self._heard, *_HEARD)
        self._process.evidence.could_not_look(TF805, "no event loop was seen yet")

    def remove(self) -> None:
        """Watch no more."""
        self._over.set()
        unlisten(self._heard)
        self._process.in_flight.unobserve(self)
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._loop = None
        if self._thread is not None:
            self._thread.join(1)  # it wakes at once
            self._thread = None

    def ready(self) -> None:
        """The loop that start-up ran in is the one that serves."""
        if not self._adopt():
            self._process.evidence.does_not_apply(TF805, "no event loop serves in this process")

    def begin(self, work: Work) -> None:
        """Where start-up ran outside of a loop, the first work may run in one."""
        del work
        if asyncio._get_running_loop() is not None and self._adopt():  # noqa: SLF001 - documented, does not raise
            self._process.in_flight.unobserve(self)

    end = staticmethod(nothing)

    def _adopt(self) -> bool:
        """Watch the loop that runs in this thread; False where there is none."""
        if self._loop is not None:
            return True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        self._loop, self._ident = loop, threading.get_ident()
        self._turned = time.monotonic()
        self._turn()
        self._thread = threads.start(self._watch, loop, name="twelvefactor loop")
        evidence = self._process.evidence
        evidence.could_look(TF805)
        evidence.applies(TF805)
        evidence.looked(TF805, f"the event loop, every {_EVERY * 1000:g} ms")
        return True

    # -- in the loop ---------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        now, before = time.monotonic(), self._turned
        if now - before - _BEAT >= LATE:
            self._stall = before, now - before - _BEAT
        self._turned = now
        if self._loop is not None:
            self._timer = self._loop.call_later(_BEAT, self._turn)

    # -- in our thread -------------------------------------------------------------------------------------------

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        seen, pause, before = Seen(0.0), _EVERY, time.monotonic()
        while not self._over.wait(pause) and not loop.is_closed():
            now, turned = time.monotonic(), self._turned
            punctual = now - before - pause < _OURSELVES_LATE
            overdue = now - turned - _BEAT
            try:
                if seen.turned != turned:
                    self._judge(seen, self._stall[1] if self._stall[0] == seen.turned else 0.0)
                    seen = Seen(turned)
                if overdue >= _SUSPECT and punctual and loop.is_running():
                    self._look(seen)
                    self._judge(seen, overdue)
            except Exception as error:  # noqa: BLE001 - the watch goes on
                self._process.fault("watching the event loop", error)
            pause = _SOON if 0 < overdue < 2 * LATE else _EVERY
            before = time.monotonic()

    def _look(self, seen: Seen) -> None:
        """Look at what the loop runs, unless this stall was judged; it is suspected where it was there before."""
        if seen.blamed:
            return
        frame = self._frame()
        if self._turned != seen.turned or frame is None:
            seen.code = None
        elif frame.f_code is seen.code:
            seen.culprit = blamed(self._process, frame)
        else:
            seen.code, seen.culprit = frame.f_code, None

    def _judge(self, seen: Seen, seconds: float) -> None:
        """Blame what was seen, where the loop was late for so long; once a stall."""
        if seconds >= LATE and seen.culprit is not None and not seen.blamed:
            seen.blamed = True
            self._blame(*seen.culprit, seconds)

    def _frame(self) -> FrameType | None:
        """
        The innermost frame of the app in what the loop runs now; not the one that runs the loop.

        None too where the app has called us, and it is we who take so long.
        """
        frame = sys._current_frames().get(self._ident)  # noqa: SLF001 - documented for debuggers, which this is
        while frame is not None and frame.f_globals.get("__name__") in _LISTENS:
            frame = frame.f_back
        owns = self._process.app_code.owns
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if module in _LOOP or module.startswith("twelvefactor."):
                return None
            if owns(frame.f_code.co_filename, module):
                return frame
            frame = frame.f_back
        return None

    def _blame(self, culprit: str, where: str, seconds: float, work: str | None = None, doing: str = "") -> None:
        message = f"{culprit} blocked the event loop{doing} for {seconds * 1000:.0f} ms or more"
        told = {"blocked_ms": round(seconds * 1000)}
        self._process.evidence.report(Finding(TF805, message, culprit, where, evidence=told, work=work))

    # -- calls that say so themselves ----------------------------------------------------------------------------

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        """Quick, and never raises: only calls in a running loop's thread, made by the app, are of interest."""
        try:
            if threading.get_ident() != self._ident or asyncio._get_running_loop() is None:  # noqa: SLF001 - documented, does not raise
                return
            if event == "time.sleep":
                self._sleeps(float(args[0]))
            elif self._strict() and (event != "socket.connect" or args[0].gettimeout() != 0):
                self._may_block(_HEARD[event])
        except Exception as error:  # noqa: BLE001 - the call is made whatever we think of it
            self._process.fault("watching the event loop", error)

    def _sleeps(self, seconds: float) -> None:
        if seconds < LATE:
            return
        frame = self._frame()
        if frame is not None:
            self._blame(*blamed(self._process, frame), seconds, _work(), " in time.sleep")

    def _may_block(self, what: str) -> None:
        frame = self._frame()
        if frame is None:
            return
        culprit, where = blamed(self._process, frame)
        message = f"{culprit} {what} in the event loop"
        self._process.evidence.report(Finding(TF805, message, culprit, where, work=_work()))

    def _strict(self) -> bool:
        """Whether this is a test, `check` or the drill: there a call that may block counts, however quick it was."""
        return "PYTEST_VERSION" in os.environ or bool(os.environ.get("TWELVEFACTOR_STRICT"))


def _work() -> str | None:
    work = current_work()
    return None if work is None else work.id
