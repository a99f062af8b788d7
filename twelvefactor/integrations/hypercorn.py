"""
hypercorn with workers: the child is told to stop by an event that it polls, and gets no signal.

The function that polls is looked up by name after the app was loaded, so that ours can stand in front of it.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from twelvefactor.integrations import _servers

try:
    import hypercorn
    from hypercorn.asyncio import run
    from hypercorn.asyncio import serve as hypercorn_serve
except ImportError as error:
    from twelvefactor.exceptions import MissingExtraError

    raise MissingExtraError("hypercorn") from error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from twelvefactor.integrations._serving import Serving
    from twelvefactor.service import Service

_NAME = "check_multiprocess_shutdown_event"
_PARAMETERS = ["shutdown_event", "sleep"]
_LOOK = 0.02  # seconds between two looks at whether the delay is over


def adopt(service: Service[Any]) -> None:
    """Let the child serve on for the drain delay once its event is set. Idempotent."""
    original = getattr(run, _NAME, None)
    if getattr(original, "__twelvefactor__", False):
        return
    if original is None or list(inspect.signature(original).parameters) != _PARAMETERS:
        _servers.cannot(service, "hypercorn", getattr(hypercorn, "__version__", "?"), _NAME)
        return
    setattr(run, _NAME, _drained(service, original))


def _drained(service: Service[Any], original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def check_multiprocess_shutdown_event(shutdown_event: Any, sleep: Callable[[float], Awaitable[Any]]) -> None:
        await original(shutdown_event, sleep)
        may_stop = service.drain()
        while not may_stop.is_set():
            await sleep(_LOOK)

    check_multiprocess_shutdown_event.__twelvefactor__ = True  # type: ignore[attr-defined]  # so that it is done once
    return check_multiprocess_shutdown_event


def serve(serving: Serving) -> int:
    """Become hypercorn's own command, or serve in this process where there is nothing to import."""
    binds = [f"fd://{each.fileno()}" for each in serving.sockets]
    if serving.reference:
        each = (word for bind in binds for word in ("--bind", bind))
        return serving.become("hypercorn", serving.reference, *each, "--workers", serving.binding.workers)
    if serving.binding.workers > 1:
        serving.needs_reference("hypercorn")
    config = hypercorn.Config()
    config.bind = binds
    asyncio.run(hypercorn_serve(serving.app, config))
    return 0
