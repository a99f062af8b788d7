"""Whether the event loop that serves still turns, as another thread can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

STUCK_AFTER = 10  # beats that nobody answered, one a second


class Pulse:
    """
    The beat of an event loop. One thread calls `beat` about once a second, any may ask `stuck`.

    Beats are counted instead of seconds, so that a process that was stopped for a minute is not taken for a stuck one.

    >>> Pulse().stuck
    False
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answered = True
        self.missed = 0

    def follow(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Feel the pulse of *loop* from now on; of none with None."""
        self._loop, self._answered, self.missed = loop, True, 0

    def beat(self) -> None:
        """Ask the loop for a sign of life, and count it where the last one was not given."""
        loop = self._loop
        if loop is None:
            return
        if not self._answered:
            self.missed += 1
            return
        self.missed, self._answered = 0, False
        try:
            loop.call_soon_threadsafe(self._answer)
        except RuntimeError:
            self.follow(None)  # it is closed: nobody is served on it any more

    def _answer(self) -> None:
        self._answered, self.missed = True, 0

    @property
    def stuck(self) -> bool:
        """Whether the loop gave no sign of life for as long as nobody should wait."""
        return self.missed >= STUCK_AFTER
