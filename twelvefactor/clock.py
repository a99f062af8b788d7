"""The clock of a service: it tells the time, and what is to be done at which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from twelvefactor.concurrency.ticks import MISFIRE_GRACE, Ticks

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from twelvefactor._core.clock import Clock

T = TypeVar("T", bound="Callable[[], Any]")


class ServiceClock:
    """
    ``service.clock.time()`` and ``.monotonic()`` tell the time; ``@service.clock("*/5 * * * *")`` declares a tick.

    Attributes:
        ticks: What was declared.
        time: Seconds since the epoch.
        monotonic: Seconds that never go back.
    """

    __slots__ = ("_processes", "monotonic", "ticks", "time")

    def __init__(self, clock: Clock, processes: dict[str, Any]) -> None:
        self.time = clock.time
        self.monotonic = clock.monotonic
        self.ticks = Ticks()
        self._processes = processes

    def __call__(
        self,
        schedule: str | float | timedelta,
        /,
        *,
        name: str | None = None,
        timezone: str = "UTC",
        misfire_grace: float = MISFIRE_GRACE,
    ) -> Callable[[T], T]:
        """
        Run a function, sync or async, without arguments, at each tick of the clock process: `twelvefactor run clock`.

        However many clock processes there are, a tick runs once: each claims it, by its name and its scheduled time, in
        an attached PostgreSQL, MySQL or Redis. A tick that is late by more than *misfire_grace*, that falls due while
        the last one still runs, or while no clock runs, is missed and not made up for. What a killed clock had begun is
        not begun again: let a tick send a job where the work must not be lost.

        Args:
            schedule: A crontab line, or an interval in seconds, which is counted from the epoch.
            name: What it is called; the function's name if not given.
            timezone: In which the crontab line is read.
            misfire_grace: Seconds.

        Raises:
            UsageError: The schedule cannot be read, or another function has that name.
        """

        def declare(function: T) -> T:
            self.ticks.add(function, schedule, name=name, timezone=timezone, misfire_grace=misfire_grace)
            self._processes.setdefault("clock", self)
            return function

        return declare

    def __repr__(self) -> str:
        return f"<ServiceClock {len(self.ticks)} ticks>"
