"""How long a stop may take, split into its parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twelvefactor._core.platform import platform
from twelvefactor.exceptions import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

LAPTOP_GRACE = 10.0  # what `docker stop` waits, the shortest of the common ones
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h)?\s*")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


@dataclass(frozen=True, slots=True)
class Budget:
    """
    The platform's grace period and what each part of the stop may take of it, in seconds.

    Attributes:
        grace: From SIGTERM to SIGKILL.
        drain: Readiness is withdrawn, the listener stays open.
        work: Work in flight may finish.
        hooks: Shutdown hooks run and resources close.
        flush: The event stream is written out; never used up on purpose.
        assumed: Whether nobody told the grace period.
    """

    grace: float
    drain: float
    work: float
    hooks: float
    flush: float
    assumed: bool

    @property
    def fits(self) -> bool:
        """Whether the drain delay leaves time for anything else."""
        return self.work > 0

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Budget:
        """
        The budget that `TWELVEFACTOR_GRACE_PERIOD` and `TWELVEFACTOR_DRAIN_DELAY` tell, else the platform's.

        Raises:
            ConfigError: One of them is not a duration.

        >>> Budget.from_environ({"TWELVEFACTOR_GRACE_PERIOD": "20", "TWELVEFACTOR_DRAIN_DELAY": "2s"}).work
        12.0
        """
        where = platform(environ)
        told, delay = _durations(environ)
        grace = told if told is not None else where.grace if where else LAPTOP_GRACE
        drain = delay if delay is not None else where.drain if where else 0.0
        flush = min(1.0, grace * 0.1)
        hooks = min(5.0, grace * 0.25)
        return cls(grace, drain, max(0.0, grace - drain - hooks - flush), hooks, flush, told is None)


def _durations(environ: Mapping[str, str]) -> tuple[float | None, float | None]:
    names = ("TWELVEFACTOR_GRACE_PERIOD", "TWELVEFACTOR_DRAIN_DELAY")
    problems, values = [], []
    for name in names:
        text = environ.get(name) or None
        value = None if text is None else seconds(text)
        if text is not None and value is None:
            problems.append(Problem((name,), "is not a duration", expected="seconds, or a number with ms, s, m or h"))
        values.append(value)
    if problems:
        raise ConfigError(problems)
    return values[0], values[1]


def seconds(text: str) -> float | None:
    """
    The seconds that *text* names, or None.

    >>> seconds("5s"), seconds("1m"), seconds("0.5"), seconds("soon")
    (5.0, 60.0, 0.5, None)
    """
    match = _DURATION.fullmatch(text)
    return None if match is None else float(match[1]) * _UNITS[match[2]]
