"""
Write into a file that the process lives, for whoever probes one without HTTP.

Only a process that really goes on beats: its event loop answers, and each loop that says itself that it turns has said
so in time.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twelvefactor import probe
from twelvefactor._core import threads
from twelvefactor._core.living import lives
from twelvefactor.disposability.lifecycle import State
from twelvefactor.disposability.pulse import Pulse
from twelvefactor.disposability.turns import Turns
from twelvefactor.work import nothing

if TYPE_CHECKING:
    from twelvefactor._core.process import Process
    from twelvefactor.work import Work

EVERY = 1.0  # seconds
_MODE = 0o644


class Heartbeat:
    """
    A sensor that beats where `TWELVEFACTOR_HEARTBEAT` names a file.

    Of several processes the first one that lives has the file, so that a stuck parent does not live by its children.
    """

    def __init__(self, process: Process, *, every: float = EVERY) -> None:
        self._process = process
        self._every = every
        self._path = probe.path_of(process.environ)
        self._pulse = Pulse()
        self._followed = False
        self._turns: Turns = getattr(process, "turns", None) or Turns(process.clock, process.in_flight)
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._descriptor: int | None = None
        self._told = False

    def install(self) -> None:
        """Begin to beat. Idempotent."""
        if self._path is None or self._thread is not None:
            return
        self._over.clear()
        self._process.in_flight.observe(self)
        self.beat_once()
        self._thread = threads.start(self._live, name="twelvefactor heartbeat")

    def remove(self) -> None:
        """Beat no more, and leave no file: nobody lives there."""
        self._process.in_flight.unobserve(self)
        self._over.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(1)
            self._leave()

    def ready(self) -> None:
        """Where start-up ran in a loop, that one must turn; say at once that the process is ready."""
        self._follow()
        if self._thread is not None:
            self.beat_once()

    def begin(self, work: Work) -> None:
        """Where the first work runs in a loop, that one must turn."""
        del work
        if self._followed or self._follow():
            self._process.in_flight.unobserve(self)

    end = staticmethod(nothing)

    def _follow(self) -> bool:
        try:
            self._pulse.follow(asyncio.get_running_loop())
        except RuntimeError:
            return False
        self._followed = True
        return True

    def _live(self) -> None:
        while not self._over.wait(self._every):
            self._pulse.beat()
            if self.alive:
                self.beat_once()

    @property
    def alive(self) -> bool:
        """Whether the process goes on, as far as its loops tell."""
        return self._pulse.missed <= 1 and self._turns.stuck is None

    def beat_once(self) -> None:
        """Write one beat; a file that cannot be written is one fault, and the process goes on."""
        assert self._path is not None
        try:
            if self._descriptor is None and not self._take(self._path):
                return
            assert self._descriptor is not None
            os.pwrite(self._descriptor, probe.line(os.getpid(), self._state(), time.monotonic()), 0)
        except OSError as error:
            if not self._told:
                self._told = True
                self._process.fault(f"heartbeat {self._path}", error)

    def _take(self, path: str) -> bool:
        """Open the file, unless another living process has it."""
        known = probe.read(path)
        if known is not None and known[1] != os.getpid() and lives(known[1]):
            return False
        self._descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
        os.ftruncate(self._descriptor, 0)
        return True

    def _state(self) -> str:
        state: Any = getattr(self._process, "lifecycle", None)
        word = State.READY.word if state is None else str(state.state.word)
        readiness = getattr(self._process, "readiness", None)
        if word == State.READY.word and readiness is not None and readiness() not in {"ok", "degraded"}:
            return "waiting"
        return word

    def _leave(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None or self._path is None:
            return
        os.close(descriptor)
        known = probe.read(self._path)
        try:
            if known is not None and known[1] == os.getpid():
                Path(self._path).unlink()
        except OSError:
            pass  # a folder in which nothing may be removed: the beat there gets old
