"""Tell the service manager where the process is in its life: sd_notify(3)."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING

from twelvefactor._core import threads
from twelvefactor.disposability.pulse import Pulse

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping


class Notifier:
    """
    Datagrams to `NOTIFY_SOCKET`; without it nothing is said. Never raises.

    Attributes:
        stuck: Tells which loop should have turned and has not, or None: the watchdog hears nothing then.

    >>> Notifier({}).say("READY=1")
    False
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET") or "")
        self._every = _watchdog(environ)
        self._over = threading.Event()
        self._pulse = Pulse()
        self.stuck: Callable[[], object] = lambda: None

    def say(self, *lines: str) -> bool:
        """Send the assignments *lines*; False where nobody listens."""
        if self._address is None:
            return False
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto("\n".join(lines).encode(), self._address)
            return True
        return False

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on the process is alive only where *loop* turns."""
        self._pulse.follow(loop)

    def ready(self) -> None:
        """
        The process serves; and from now on it is alive three times as often as the watchdog wants to hear it.

        Where nobody told of a loop that is a thread of ours: it proves that the interpreter runs, and no more.
        """
        if self.say("READY=1", "STATUS=ready") and self._every is not None:
            with contextlib.suppress(RuntimeError):
                threads.start(self._live, self._every, name="twelvefactor watchdog")

    def stopping(self, within: float) -> None:
        """The process stops, and may take *within* seconds."""
        self.say("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(within * 1_000_000)}", "STATUS=draining")

    def close(self) -> None:
        """Say no more."""
        self._over.set()

    def _live(self, every: float) -> None:
        while not self._over.wait(every):
            self._pulse.beat()
            if not self._pulse.missed and self.stuck() is None:
                self.say("WATCHDOG=1")


def _address(name: str) -> str | None:
    if not name.startswith(("/", "@")):
        return None
    return "\0" + name[1:] if name.startswith("@") else name


def _watchdog(environ: Mapping[str, str]) -> float | None:
    """A third of what the watchdog waits, in seconds; None where it does not watch this process."""
    text, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID") or str(os.getpid())
    return int(text) / 3_000_000 if text.isdigit() and int(text) and pid == str(os.getpid()) else None
