"""What a clock process runs, and when: the ticks that a service declares."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MISFIRE_GRACE = 60.0  # seconds
_FIELDS = (
    ("minute", r"\d+", 0, 59),
    ("hour", r"\d+", 0, 23),
    ("day of month", r"\d+", 1, 31),
    ("month", r"\d+|[a-zA-Z]{3}", 1, 12),
    ("day of week", r"\d+|[a-zA-Z]{3}", 0, 7),
)
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMES = {
    **{name: str(number) for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))},
    **{
        name: str(number + 1)
        for number, name in enumerate(
            ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
        )
    },
}
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class Tick:
    """
    One declared tick.

    Attributes:
        name: What it is called; part of its claim.
        function: What it runs, sync or async.
        cron: The five fields of its crontab line; empty where it has an interval.
        every: Its interval in seconds; 0 where it has a crontab line.
        timezone: In which the crontab line is read.
        misfire_grace: Seconds by which it may be late and still be run.
    """

    name: str
    function: Callable[[], Any]
    cron: str
    every: float
    timezone: str
    misfire_grace: float

    @property
    def schedule(self) -> str:
        """When it is due, for people."""
        return f"{self.cron} {self.timezone}" if self.cron else f"every {self.every:g} s"


class Ticks:
    """
    The ticks of a service, by name; iterating gives each one.

    >>> ticks = Ticks()
    >>> ticks.add(print, "*/5 * * * *")
    >>> [tick.schedule for tick in ticks]
    ['*/5 * * * * UTC']
    """

    def __init__(self) -> None:
        self._known: dict[str, Tick] = {}

    def add(
        self,
        function: Callable[[], Any],
        schedule: str | float | timedelta,
        *,
        name: str | None = None,
        timezone: str = "UTC",
        misfire_grace: float = MISFIRE_GRACE,
    ) -> None:
        """
        Declare *function*; the same one again, as a module that is imported twice does, replaces it.

        Raises:
            UsageError: The schedule cannot be read, or another function has that name.
        """
        called = name or str(getattr(function, "__name__", type(function).__name__))
        known = self._known.get(called)
        if known is not None and _place(known.function) != _place(function):
            raise UsageError(f"two ticks are called {called!r}: {_place(known.function)} and {_place(function)}")
        cron, every = _schedule(called, schedule)
        if misfire_grace <= 0:
            raise UsageError(f"tick {called!r}: misfire_grace must be more than 0 seconds, not {misfire_grace:g}")
        self._known[called] = Tick(called, function, cron, every, timezone, float(misfire_grace))

    def get(self, name: str) -> Tick | None:
        """The one called *name*, or None."""
        return self._known.get(name)

    def __iter__(self) -> Iterator[Tick]:
        return iter(tuple(self._known.values()))

    def __len__(self) -> int:
        return len(self._known)


def _schedule(name: str, schedule: str | float | timedelta) -> tuple[str, float]:
    if isinstance(schedule, str):
        wrong = wrong_with(schedule)
        if wrong is not None:
            raise UsageError(
                f"tick {name!r}: {schedule!r} is no crontab line: {wrong}; an interval is seconds, such as 300"
            )
        return _NICKNAMES.get(schedule, schedule), 0.0
    seconds = schedule.total_seconds() if isinstance(schedule, timedelta) else float(schedule)
    if seconds < 1 or seconds != int(seconds):
        raise UsageError(f"tick {name!r}: an interval is a whole number of seconds from 1 on, not {seconds:g}")
    return "", seconds


def wrong_with(line: str) -> str | None:
    """
    What keeps *line* from being a crontab line; None where it is one. Needs no library, so that web can import it.

    >>> wrong_with("*/5 8-18 * * mon-fri"), wrong_with("@daily")
    (None, None)
    >>> wrong_with("* 25 * * *")
    "hour '25' is not within 0 to 23"
    """
    values = _NICKNAMES.get(line, line).split()
    if len(values) != len(_FIELDS):
        return f"it has {len(values)} fields instead of 5: minute, hour, day of month, month, day of week"
    for value, (name, number, first, last) in zip(values, _FIELDS, strict=True):
        for part in value.split(","):
            match = re.fullmatch(rf"(?:\*|({number})(?:-({number}))?)(?:/(\d+))?", part)
            if match is None:
                return f"{name} {part!r} cannot be read"
            ends = [_NAMES.get(each.lower(), each) for each in match.groups()[:2] if each]
            if any(not each.isdigit() or not first <= int(each) <= last for each in ends):
                return f"{name} {part!r} is not within {first} to {last}"
            if match[3] == "0":
                return f"{name} {part!r} has no step"
    return None


def weekdays(field: str) -> Iterator[str]:
    """
    The days of a crontab field by name, since not everybody's numbers begin with Sunday; ``*`` for all.

    >>> list(weekdays("5-7")), list(weekdays("*/3")), list(weekdays("*"))
    (['fri', 'sat', 'sun'], ['sun', 'wed', 'sat'], ['*'])
    """
    for part in field.split(","):
        days, _, step = part.partition("/")
        first, _, last = days.partition("-")
        if first == "*" and not step:
            yield "*"
            continue
        begin = 0 if first == "*" else _day(first)
        end = 6 if first == "*" else _day(last) if last else 6 if step else begin
        yield from (_DAYS[each] for each in range(begin, end + 1, int(step or 1)))


def _day(text: str) -> int:
    return int(text) if text.isdigit() else _DAYS.index(text)


def _place(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', repr(function))}"
