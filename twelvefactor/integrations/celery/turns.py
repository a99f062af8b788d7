"""A Celery worker's own loop says that it turns, and so does its wait for a broker that is not there."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from celery import bootsteps

from twelvefactor.integrations.celery.green import turn_soon

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    from twelvefactor.service import Service

LOOP = "Celery's loop"
_EVERY = 1.0  # seconds
_WITHIN = 30.0  # seconds, one call of a broker that does not answer among them: its client gives up after that


def follow(service: Service[Any], app: Celery) -> None:
    """Let the loop of each worker of *app* tell *service* that it turns."""

    class Step(Pace):
        """Of this app: Celery makes one for each consumer."""

        name = "twelvefactor.turns"

        def __init__(self, parent: Any, **_: Any) -> None:
            try:
                super().__init__(service, parent)
            except Exception as error:  # noqa: BLE001 - a Celery that has changed must not cost the worker
                service.fault("celery: turns", error)

    app.steps["consumer"].add(Step)


class Pace(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """
    A step of Celery's consumer: a timer on its hub, or a word at each round where it has none, as with greenlets.

    A task runs in the loop itself with the solo pool alone, which may be silent meanwhile.

    Args:
        service: Whose loop it is.
        parent: The consumer.
    """

    def __init__(self, service: Service[Any], parent: Any) -> None:
        self._service = service
        self._timer: Any = None
        self._works = type(parent.pool).__module__.endswith(".solo")
        self._is_green = not parent.hub
        parent.ensure_connected = self._connecting(parent.ensure_connected)
        if self._is_green:
            parent.perform_pending_operations = _before(self._turn, parent.perform_pending_operations)

    def start(self, parent: Any) -> None:
        """The loop is about to turn, on a new connection."""
        self.stop(parent)
        self._turn()
        if parent.hub:
            self._timer = parent.hub.call_repeatedly(_EVERY, self._turn)

    def stop(self, parent: Any) -> None:
        """It turns no more, or again on another connection. Idempotent."""
        del parent
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _turn(self) -> None:
        self._service.turns.turned(LOOP, _WITHIN, works=self._works)

    def _connecting(self, plain: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """*plain*, after which each of the connection's own tries to come back is a turn too, now and later."""

        def ensure_connected(connection: Any) -> Any:
            self._turn()
            tries = connection._ensure_connection  # noqa: SLF001 - what all of kombu's ways to connect again go through

            def ensure_connection(*args: Any, callback: Callable[[], object] | None = None, **options: Any) -> Any:
                return tries(*args, callback=_before(self._turn, callback or _nothing), **options)

            connection._ensure_connection = ensure_connection  # noqa: SLF001 - as above
            if self._is_green:
                turn_soon(connection)
            return plain(connection)

        return ensure_connected


def _nothing() -> None:
    """Nobody else is called between two tries."""


def _before(word: Callable[[], object], act: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(act)
    def call(*args: Any, **named: Any) -> Any:
        word()
        return act(*args, **named)

    return call
