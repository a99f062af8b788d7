"""
A worker of greenlets turns its loop soon while tasks are in hand.

Their acknowledgements wait for the loop, which waits up to two seconds for the broker. With tasks that are acknowledged
when they are done, and no more fetched than are worked on, the next ones came once in two seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.worker import state

if TYPE_CHECKING:
    from collections.abc import Callable

_SOON = 0.02  # seconds


class Soon:
    """A connection's ``drain_events`` that waits no longer than 20 ms while a task is in hand."""

    def __init__(self, plain: Callable[..., Any]) -> None:
        self._plain = plain

    def __call__(self, *, timeout: float | None = None, **named: Any) -> Any:
        if state.reserved_requests:
            timeout = _SOON if timeout is None else min(timeout, _SOON)
        return self._plain(timeout=timeout, **named)


def turn_soon(connection: Any) -> None:
    """Let the loop that asks *connection* turn soon. Idempotent."""
    if not isinstance(connection.drain_events, Soon):
        connection.drain_events = Soon(connection.drain_events)
