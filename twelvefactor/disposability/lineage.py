"""
Tell forked children that their parent stops, and by when their work is over.

What children share with their parent is memory and a pipe, both made before the fork: whoever asks `should_stop` reads
two numbers, and whoever waits for `stopping` is woken by a thread that waits on the pipe.
"""

from __future__ import annotations

import mmap
import os
import select
import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from twelvefactor._core.signals import Handler

_FORM = struct.Struct("d?")
_POLL = 0.02  # seconds
_KILLS = struct.calcsize("d")


class Lineage:
    """
    The line from a parent to the children that it forks from now on.

    >>> line = Lineage()
    >>> line.told, line.kills
    (False, False)
    >>> line.tell(ends=12.5)
    >>> line.told, line.ends, line.wait(0)
    (True, 12.5, True)
    """

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _FORM.size)
        self._reader, self._writer = os.pipe()

    @property
    def ends(self) -> float:
        """The monotonic second at which the time of work is over; 0 while the parent does not stop."""
        ends: float = _FORM.unpack_from(self._shared)[0]
        return ends

    @property
    def told(self) -> bool:
        """Whether the parent stops."""
        return self.ends > 0

    @property
    def kills(self) -> bool:
        """Whether the parent ends its children: a SIGTERM is its own from now on."""
        return bool(self._shared[_KILLS])

    def tell(self, ends: float) -> None:
        """The parent stops; idempotent."""
        if not self.told:
            _FORM.pack_into(self._shared, 0, ends, self.kills)
            os.write(self._writer, b"\0")  # nobody reads it: the pipe stays readable for every child

    def kill(self) -> None:
        """The parent is about to signal its children; idempotent."""
        self._shared[_KILLS] = 1

    def wait(self, timeout: float | None) -> bool:
        """Wait in a child for up to *timeout* seconds; whether the parent stops."""
        look = select.poll()
        look.register(self._reader, select.POLLIN)
        look.poll(None if timeout is None else timeout * 1000)
        return self.told


class ChildSigterm:
    """
    A child's handler of SIGTERM that obeys its parent alone.

    A platform that signals every process of a service signals the parent too, which lets the child finish its job. Only
    where the parent ends its children, or does not stop itself, is the signal meant for this child.

    Args:
        line: What the parent tells.
        behind: The handler to call where the signal is meant.
        again: Sends SIGTERM to this process once more, from a thread.
        in_thread: Runs a function in a thread of ours.
    """

    PATIENCE = 1.0  # seconds in which the parent's own SIGTERM should have arrived

    def __init__(
        self,
        line: Lineage,
        behind: Handler,
        again: Callable[[], None],
        in_thread: Callable[[Callable[[], None]], object],
    ) -> None:
        self._line = line
        self._behind = behind
        self._again = again
        self._in_thread = in_thread
        self._meant = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Handle the signal, or wait for what the parent says."""
        if not self._meant and not self._line.kills:
            self._in_thread(self._wait)
        elif callable(self._behind):
            self._behind(signum, frame)
        else:
            raise SystemExit(128 + signum)

    def _wait(self) -> None:
        ends = time.monotonic() + self.PATIENCE
        while not self._line.kills and time.monotonic() < ends:
            time.sleep(_POLL)
        if self._line.kills or not self._line.told:
            self._meant = True
            self._again()
