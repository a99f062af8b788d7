"""
Which server loads this app, as the call stack tells, and what it needs of us before the first request.

A server whose workers tell an app nothing of their signals, or serve in threads that may not set handlers, is met when
it loads the app, in the main thread. The ASGI workers of uvicorn, granian and gunicorn are met in their lifespan.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from twelvefactor._core.lazy import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from twelvefactor.service import Service

    Adopt = Callable[[Service[Any]], None]

_ADAPTERS = {
    "gunicorn.arbiter": "twelvefactor.integrations.gunicorn:adopt",
    "granian.server.mp": "twelvefactor.integrations.granian:adopt",
    "granian.server.common": "twelvefactor.integrations.granian:adopt",
    "hypercorn.asyncio.run": "twelvefactor.integrations.hypercorn:adopt",
    "waitress.runner": "twelvefactor.integrations.waitress:adopt",
    "django.core.management.commands.runserver": "twelvefactor.integrations._servers:over_default",
    "uvicorn.config": "twelvefactor.integrations.uvicorn:adopt",
}
"""Modules that are on the stack while the server loads an app, and what meets it."""


def loading() -> str | None:
    """The module of the server that loads this app, or None: a test, a script, a migration."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the public way is ten times slower
    while frame is not None:
        if frame.f_globals.get("__name__") in _ADAPTERS:
            return str(frame.f_globals["__name__"])
        frame = frame.f_back
    return None


def adopt(service: Service[Any]) -> None:
    """Meet the server that loads this app; a fault of ours is told and changes nothing."""
    if service.off or service.phase != "run":
        return
    server = loading()
    if server is None:
        return
    try:
        load(_ADAPTERS[server])(service)
    except Exception as error:  # noqa: BLE001 - the app must load whatever its server has become
        service.fault(server, error)


def over_default(service: Service[Any]) -> None:
    """Stand before the default action, where the app is loaded in the main thread."""
    service.catch_sigterm()


def cannot(service: Service[Any], server: str, version: str, what: str) -> None:
    """Say that *server* has changed in a way that we do not know: it stops as it does without us."""
    service.event(
        "warning",
        "twelvefactor.server.unknown",
        server=server,
        version=version,
        message=f"{server} {version} has no {what} as we know it: it stops at once, without the drain delay",
        hint="Start it as `twelvefactor run -- …`, which drains in front of any server.",
    )
