"""The loops without an event loop that say that they turn, and until when each must say it again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from twelvefactor._core.clock import Clock
    from twelvefactor.work import InFlight

WITHIN = 10.0  # seconds for which a loop may be silent that says nothing else


class Turns:
    """
    Who turns. A loop that was never heard of is not missed. Cheap, thread-safe.

    Args:
        clock: Whose monotonic seconds count.
        in_flight: The work in hand, for the loops that do it themselves.

    >>> from twelvefactor._core.clock import SYSTEM_CLOCK
    >>> from twelvefactor.work import InFlight
    >>> turns = Turns(SYSTEM_CLOCK, InFlight())
    >>> turns.turned("consumer", within=-1)
    >>> turns.stuck
    'consumer'
    """

    def __init__(self, clock: Clock, in_flight: InFlight) -> None:
        self._clock = clock
        self._in_flight = in_flight
        self._due: dict[Hashable, tuple[float, bool]] = {}

    def turned(self, loop: Hashable, within: float | None = WITHIN, *, works: bool = False) -> None:
        """
        *loop* has turned, and is stuck unless it does again.

        Args:
            loop: Which one; its `str` is told.
            within: Seconds until it must turn again; None while nothing limits it.
            works: It does jobs itself, and may be silent while one is in hand whose time is not over.
        """
        due = math.inf if within is None else self._clock.monotonic() + within
        self._due[loop] = due, works

    def ended(self, loop: Hashable) -> None:
        """*loop* turns no more, and is not missed. Idempotent."""
        self._due.pop(loop, None)

    def forget(self) -> None:
        """No loop turns here: this is a forked child, or the process stops."""
        self._due = {}

    @property
    def stuck(self) -> str | None:
        """A loop that should have turned by now, or None; one that drains has a limit of its own."""
        if not self._due or self._in_flight.stop_early():
            return None
        now = self._clock.monotonic()
        for loop, (due, works) in tuple(self._due.items()):
            if now >= due and not (works and self._has_time(now)):
                return str(loop)
        return None

    def _has_time(self, now: float) -> bool:
        return any(work.deadline is None or now < work.deadline for work in self._in_flight)
