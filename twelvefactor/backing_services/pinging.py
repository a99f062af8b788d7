"""One ping of a resource: bounded, noted, and told where it changes what is known."""

from __future__ import annotations

import asyncio
import inspect
import re
import threading
import time
from typing import TYPE_CHECKING, Any

from twelvefactor.backing_services._threads import is_elsewhere, thread
from twelvefactor.backing_services.diagnosis import diagnose
from twelvefactor.backing_services.resource import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from twelvefactor._core.process import Process
    from twelvefactor.backing_services.kind import Identity
    from twelvefactor.backing_services.resource import Resource


_NUMBERS = re.compile(r"[\d.]+")
_MOST_KINDS = 8
"""How many different reasons are said while a resource is waited for."""


class Pinger:
    """
    Pings resources for a process. Thread-safe.

    Args:
        process: Where events and faults go.
        timeout: Seconds that one ping may take.
        on_first: Called with a resource when it first answers.
    """

    def __init__(self, process: Process, timeout: float, on_first: Callable[[Resource], None]) -> None:
        self._process = process
        self._timeout = timeout
        self._on_first = on_first
        self._lock = threading.Lock()

    def check(self, resource: Resource, timeout: float | None = None) -> bool:
        """One ping, bounded; a client that hangs keeps its thread, and the next ping says so at once."""
        timeout = self._timeout if timeout is None else timeout
        busy = "" if resource.own else resource.kind.busy(resource.client)
        if busy and resource.answered:
            resource.status = Status(False, "busy", busy, *self._known(resource))
            resource.checked_at = time.monotonic()
            return False
        if resource.hung is not None and resource.hung.is_alive():
            return self._answer(resource, resource.late or TimeoutError("it still hangs"), None, None)
        started = time.monotonic()
        outcome: list[Any] = []

        def ask() -> None:
            try:
                outcome.append(resource.ask())
            except BaseException as error:  # noqa: BLE001 - handed to the waiting thread
                outcome.append(error)
                resource.late = error.with_traceback(None)  # why it took so long, where nobody waits any more

        asking = thread(ask)
        asking.join(timeout)
        if not outcome:
            resource.hung = asking
            return self._answer(resource, resource.late or TimeoutError(f"no answer in {timeout:.3g} s"), None, None)
        result = outcome[0]
        if isinstance(result, BaseException):
            return self._answer(resource, result, None, None)
        return self._answer(resource, None, result, time.monotonic() - started)

    async def check_async(self, resource: Resource, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - the bound
        """The same for an async client, on its loop."""
        timeout = self._timeout if timeout is None else timeout
        started = time.monotonic()
        try:
            async with asyncio.timeout(timeout):
                identity = await resource.ask_async()
        except TimeoutError:
            return self._answer(resource, TimeoutError(f"no answer in {timeout:.3g} s"), None, None)
        except Exception as error:  # noqa: BLE001 - whatever the client raises means no
            return self._answer(resource, error, None, None)
        return self._answer(resource, None, identity, time.monotonic() - started)

    def _known(self, resource: Resource) -> tuple[str, float | None, bool]:
        return str(resource.identity or ""), None, resource.readiness

    def _answer(
        self, resource: Resource, error: BaseException | None, identity: Identity | None, seconds: float | None
    ) -> bool:
        """Note the outcome of a ping; say what changed."""
        with self._lock:
            resource.checked_at = time.monotonic()
            resource.attempts += 1
            resource.identity = identity or resource.identity
            before, first = resource.status.state, not resource.answered
            if error is None:
                resource.answered, resource.hung, resource.late = True, None, None
                resource.status = Status(True, "ok", "", str(resource.identity or ""), seconds, resource.readiness)
            else:
                state = "waiting" if first else "lost"
                resource.status = Status(False, state, diagnose(error, resource.url), *self._known(resource))
        self._say(resource, error, before, first)
        return error is None

    def _say(self, resource: Resource, error: BaseException | None, before: str, first: bool) -> None:
        event = self._process.event
        fields: dict[str, Any] = {"resource": resource.name, "url": str(resource.url)}
        if error is None and first:
            event(
                "info",
                "twelvefactor.resource.ready",
                **fields,
                engine=resource.status.engine,
                attempts=resource.attempts,
            )
            self._on_first(resource)
        elif error is None and before == "lost":
            event("info", "twelvefactor.resource.back", **fields)
        elif error is not None and first:
            kind = _NUMBERS.sub("", resource.status.because)  # ports and times differ from one to the next
            if kind not in resource.said and len(resource.said) < _MOST_KINDS:
                resource.said.add(kind)
                event("warning", "twelvefactor.resource.waiting", **fields, because=resource.status.because)
        elif error is not None and before != "lost":
            event("warning", "twelvefactor.resource.lost", **fields, because=resource.status.because)

    def check_from_outside(self, resource: Resource, loop: asyncio.AbstractEventLoop | None) -> None:
        """One ping of an async client by another thread than its loop's; nothing where no loop runs."""
        if loop is None or not is_elsewhere(loop):
            return
        check = self.check_async(resource)
        try:
            asyncio.run_coroutine_threadsafe(check, loop).result(self._timeout + 1)
        except Exception as error:  # noqa: BLE001 - a loop that stops meanwhile, or is blocked
            if inspect.getcoroutinestate(check) == inspect.CORO_CREATED:
                check.close()
            self._answer(resource, error, None, None)
