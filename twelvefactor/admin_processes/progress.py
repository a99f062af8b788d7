"""Say how far a long admin process is: a bar on a terminal, an event now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TypeVar

from twelvefactor.work import current_work

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sized

T = TypeVar("T")

EVERY = 10.0  # seconds between two events


def progress(
    items: Iterable[T], *, total: int | None = None, name: str = "progress", every: float = EVERY
) -> Iterator[T]:
    """
    Give the *items*, and say how far one is: a bar on stderr where that is a terminal, else the event ``progress``.

    Args:
        items: What is worked through.
        total: How many there are, where *items* cannot say.
        name: Of what is done.
        every: Seconds between two events.

    >>> sum(progress([1, 2, 3]))
    6
    """
    if total is None and hasattr(items, "__len__"):
        sized: Sized = items  # type: ignore[assignment]  # it has a length
        total = len(sized)
    if sys.stderr is not None and sys.stderr.isatty():
        yield from _bar(items, total, name)
    elif current_work() is None:
        yield from items  # outside of a unit of work nobody configured a stream
    else:
        yield from _events(items, total, name, every)


def _bar(items: Iterable[T], total: int | None, name: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import track

    yield from track(items, name, total=total, console=Console(stderr=True))


def _events(items: Iterable[T], total: int | None, name: str, every: float) -> Iterator[T]:
    import structlog

    log = structlog.get_logger("twelvefactor")
    begun = said = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - said >= every:
            said = now
            log.info("progress", name=name, done=done, total=total)
    log.info("progress", name=name, done=done, total=total, finished=True, seconds=round(time.monotonic() - begun, 3))
