"""Signals, as a parameter."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Protocol

from twelvefactor._core import threads

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class Signals(Protocol):
    """What the library asks of the process's signals."""

    def getsignal(self, signum: int) -> Handler:
        """What handles *signum* now; None where it was not set from Python."""

    def signal(self, signum: int, handler: Handler) -> Handler:
        """Let *handler* handle *signum* from now on; ValueError outside the main thread."""

    def set_wakeup_fd(self, fd: int) -> int:
        """Let the C handler write the number of each signal to *fd*, -1 for nowhere; what was there before."""

    def raise_signal(self, signum: int) -> None:
        """Send *signum* to the main thread of this process."""

    def blocked(self, signum: int) -> bool:
        """Whether this thread's mask keeps *signum* away."""

    def end_process(self, status: int) -> None:
        """End the process now, whatever its threads do; does not return."""


class ProcessSignals:
    """The real ones."""

    __slots__ = ()
    getsignal = staticmethod(signal.getsignal)
    signal = staticmethod(signal.signal)

    @staticmethod
    def set_wakeup_fd(fd: int) -> int:
        """Set it, without a warning where a burst of signals fills it."""
        return signal.set_wakeup_fd(fd, warn_on_full_buffer=False)

    @staticmethod
    def blocked(signum: int) -> bool:
        """Whether this thread's mask keeps *signum* away."""
        return signum in signal.pthread_sigmask(signal.SIG_BLOCK, ())

    @staticmethod
    def end_process(status: int) -> None:
        """End it without exit hooks and without joining threads: one of them is why this is called."""
        os._exit(status)

    @staticmethod
    def raise_signal(signum: int) -> None:
        """Send *signum* to the main thread: on another one it would not wake a blocked main thread."""
        if threads.are_green():  # all in one thread, whose identity is hidden
            os.kill(os.getpid(), signum)
            return
        ident = threading.main_thread().ident
        assert ident is not None
        signal.pthread_kill(ident, signum)
