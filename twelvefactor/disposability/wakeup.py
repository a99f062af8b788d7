"""
Read what the interpreter's C signal handler writes, before an event loop does.

A loop acts on the bytes of its wakeup descriptor whatever Python handler is set, and a main thread that waits for a
lock may never run a Python handler at all, if the kernel gave the signal to another thread. Both are cured in front of
that descriptor, by a thread of our own.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from twelvefactor._core import threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from twelvefactor._core.signals import Signals

NUDGE = 0  # no signal has this number, and event loops pass over it
_CHUNK = 4096


class Wakeup:
    """
    A descriptor in front of the one that is there; every byte is passed on, but for those that *keep* keeps.

    Args:
        signals: The process's signals, or a test's.
        keep: Called in a thread of ours with each signal's number; True keeps it from whoever stands behind.
    """

    def __init__(self, signals: Signals, keep: Callable[[int], bool]) -> None:
        self._signals = signals
        self._keep = keep
        self._pair: tuple[socket.socket, socket.socket] | None = None
        self._behind = -1

    def install(self) -> None:
        """Stand in front; idempotent, and again where a loop has put its own over ours. Only in the main thread."""
        if self._pair is None:
            self._pair = reader, writer = socket.socketpair()
            writer.setblocking(False)
            threads.start(self._read, reader, name="twelvefactor signals")
        ours = self._pair[1].fileno()
        behind = self._signals.set_wakeup_fd(ours)
        if behind != ours:
            self._behind = behind

    def remove(self) -> None:
        """Put back what was there, unless somebody stands over us. Idempotent; only in the main thread."""
        if self._pair is None:
            return
        (_, writer), self._pair = self._pair, None
        over = self._put_back()
        if over != writer.fileno():
            self._signals.set_wakeup_fd(over)
        writer.close()  # the thread reads the end, and closes its own
        self._behind = -1

    def _put_back(self) -> int:
        try:
            return self._signals.set_wakeup_fd(self._behind)
        except (OSError, ValueError):  # its loop has gone, and closed it
            return self._signals.set_wakeup_fd(-1)

    def forget(self) -> None:
        """In a forked child: what is written to the pair would be read by the parent."""
        pair = self._pair
        self.remove()
        if pair is not None:
            pair[0].close()

    def nudge(self) -> None:
        """Let the thread call *keep* soon; safe in a signal handler."""
        if self._pair is not None:
            try:
                self._pair[1].send(bytes((NUDGE,)))
            except OSError:
                pass  # full: it is awake already

    def pass_on(self, signum: int) -> None:
        """Tell whoever stands behind us of *signum*; from any thread."""
        if self._behind >= 0:
            try:
                os.write(self._behind, bytes((signum,)))
            except OSError:
                pass  # full, or its loop has gone

    def _read(self, reader: socket.socket) -> None:
        with reader:
            while data := reader.recv(_CHUNK):
                for signum in data:
                    if not self._keep(signum) and signum != NUDGE:
                        self.pass_on(signum)
