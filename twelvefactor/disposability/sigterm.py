"""
Stand before whatever handles SIGTERM, and hand the signal over when the time has come.

Two kinds of owner are told apart. One that set a Python handler (uvicorn, gunicorn's sync and gthread workers, the
default action) is held back by a handler in front of it that does not call it yet. One that is an event loop
(hypercorn, granian, gunicorn's asgi worker) acts on its wakeup descriptor, so the signal's byte is kept from that; its
Python handler is stood in front of all the same, since uvloop remembers there what it will act on with the next byte.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

from twelvefactor.disposability.wakeup import NUDGE, Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from twelvefactor._core.signals import Handler, Signals

_AGAIN = 0.02  # seconds
TERMINATED = 128 + signal.SIGTERM
_LOOPS = ("asyncio.", "uvloop.")


def is_a_loops(handler: Handler) -> bool:
    """
    Whether *handler* is an event loop's, which does nothing: the loop reads its wakeup descriptor.

    >>> is_a_loops(signal.SIG_DFL), is_a_loops(print)
    (False, False)
    """
    names = (getattr(handler, "__module__", None) or "", type(getattr(handler, "__self__", None)).__module__)
    return callable(handler) and any(f"{name}.".startswith(_LOOPS) for name in names)


class Sigterm:
    """
    A handler in front of the one that is there: the server's, the event loop's, or the default action.

    The first signal calls *on_signal* and soon *drain*; repeated ones change nothing (Heroku repeats it); `hand_over`
    lets the saved handler have it, in the main thread.

    Args:
        signals: The process's signals, or a test's.
        on_signal: Called inside the signal handler, or in a thread of ours: quick, takes no lock, idempotent.
        drain: Called in a thread of ours; does not block, idempotent.
    """

    def __init__(self, signals: Signals, on_signal: Callable[[], None], drain: Callable[[], None]) -> None:
        self._signals = signals
        self._on_signal = on_signal
        self._drain = drain
        self._wakeup = Wakeup(signals, self._woken)
        self._handing_over = False
        self._handed_over = False
        self._reached = False
        self.previous: Handler = None
        self.installed = False
        self.signalled = False
        self.of_a_loop = False

    @property
    def owned_by_server(self) -> bool:
        """Whether somebody else's handler stands behind ours."""
        return self.installed and callable(self.previous)

    @property
    def overwritten(self) -> bool:
        """Whether somebody put another handler over ours."""
        return self.installed and self._signals.getsignal(signal.SIGTERM) != self._handle

    @property
    def blocked(self) -> bool:
        """Whether the main thread's signal mask keeps SIGTERM away."""
        return self._signals.blocked(signal.SIGTERM)

    @property
    def ignored(self) -> bool:
        """Whether SIGTERM is thrown away."""
        return self._signals.getsignal(signal.SIGTERM) == signal.SIG_IGN

    def install(self) -> str | None:
        """Stand in front; None, or the reason why it cannot be. Idempotent."""
        if self.installed:
            return None
        if threading.current_thread() is not threading.main_thread():
            return "signal handlers can only be set from the main thread"
        previous = self._signals.getsignal(signal.SIGTERM)
        if previous is None:
            return "SIGTERM is handled by code that is not Python's"
        if previous == signal.SIG_IGN:
            return "SIGTERM is ignored, and stays so"
        self.previous = previous
        self._wakeup.install()
        self.of_a_loop = is_a_loops(previous)
        self._signals.signal(signal.SIGTERM, self._handle)
        self.installed = True
        self._handing_over = self._handed_over = self._reached = self.signalled = False
        return None

    def ensure(self) -> None:
        """Stand in front again where an event loop has meanwhile put itself over us. Only in the main thread."""
        if not self.installed or threading.current_thread() is not threading.main_thread():
            return
        now = self._signals.getsignal(signal.SIGTERM)
        if is_a_loops(now):
            self.previous, self.of_a_loop = now, True
            self._signals.signal(signal.SIGTERM, self._handle)
        self._wakeup.install()

    def remove(self) -> None:
        """Put back what was there, unless somebody overwrote us. Idempotent; only in the main thread."""
        if self._may_remove():
            self._wakeup.remove()

    def forget(self) -> None:
        """`remove`, in a forked child."""
        if self._may_remove():
            self._wakeup.forget()

    def _may_remove(self) -> bool:
        if not self.installed or threading.current_thread() is not threading.main_thread():
            return False
        if not self.overwritten:
            self._signals.signal(signal.SIGTERM, self.previous)
        self.installed = False
        return True

    def hand_over(self, pause: Callable[[float], bool]) -> None:
        """
        Let the saved handler have the signal, from any thread; idempotent.

        It is raised again until the handler has run: a signal that arrives just before the main thread enters a sleep
        does not end that sleep. Whoever put a handler over ours had the signal first: one that did not pass it on to us
        gets it no second time, one that did gets it once more, to pass it on again.

        Args:
            pause: Waits for so many seconds between two tries; True where there is nothing to wait for any more.
        """
        if not self.installed or self._handed_over:
            return
        self._handed_over = True
        if self.of_a_loop:
            self._wakeup.pass_on(signal.SIGTERM)
            return
        if self.overwritten and not self._reached:
            return
        self._handing_over = True
        while self._waits_for_handler():
            self._signals.raise_signal(signal.SIGTERM)
            if self.overwritten or (self._waits_for_handler() and pause(_AGAIN)):
                return

    def leaving(self) -> None:
        """The process ends by itself: the saved handler, which would end it in the middle of that, is not called."""
        self._handed_over = True
        self._handing_over = False

    def _waits_for_handler(self) -> bool:
        return self._handing_over

    def _woken(self, signum: int) -> bool:
        """In the thread that reads signals; True keeps a loop from this one."""
        if signum == signal.SIGTERM and not self._handed_over:
            self.signalled = True
            self._on_signal()
        if self.signalled and signum in (signal.SIGTERM, NUDGE):
            self._drain()
        return self.of_a_loop and signum == signal.SIGTERM

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if not self._handing_over:
            self._reached = self.signalled = True
            self._on_signal()
            self._wakeup.nudge()
            return
        self._handing_over = False
        if callable(self.previous):
            self.previous(signum, frame)
        else:
            raise SystemExit(TERMINATED)  # the default action would skip `finally` and exit hooks
