"""
gunicorn's sync and gthread workers: the signal is met when the worker loads the app, before any thread serves.

With ``--preload`` the master loads the app, so each worker is met after it has set its own handlers.
"""

from __future__ import annotations

import functools
import inspect
import signal
from typing import TYPE_CHECKING, Any

from twelvefactor.integrations import _servers

try:
    import gunicorn
    from gunicorn.workers.base import Worker
except ImportError as error:
    from twelvefactor.exceptions import MissingExtraError

    raise MissingExtraError("gunicorn") from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from twelvefactor.integrations._serving import Serving
    from twelvefactor.service import Service

_THREADS = 16  # for each worker
_preloaded: list[Service[Any]] = []


def adopt(service: Service[Any]) -> None:
    """Stand before the worker's handler: now in a worker, after the fork in a master that preloads."""
    if isinstance(getattr(signal.getsignal(signal.SIGTERM), "__self__", None), Worker):
        service.catch_sigterm()
    elif not _is_in_worker():
        _preload(service)


def _is_in_worker() -> bool:
    """Whether a worker loads the app; one with a loop of its own has the lifespan."""
    frame = inspect.currentframe()
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), Worker):
            return True
        frame = frame.f_back
    return False


def _preload(service: Service[Any]) -> None:
    original = getattr(Worker, "init_signals", None)
    if original is None or list(inspect.signature(original).parameters) != ["self"]:
        _servers.cannot(service, "gunicorn", gunicorn.__version__, "Worker.init_signals")
        return
    if not _preloaded:
        Worker.init_signals = _met(original)  # type: ignore[method-assign,unused-ignore]  # put in front of it
    _preloaded.append(service)


def _met(original: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(original)
    def init_signals(worker: Any) -> None:
        original(worker)
        for service in _preloaded:
            service.catch_sigterm()

    return init_signals


def serve(serving: Serving) -> int:
    """Become gunicorn's own command."""
    reference = serving.needs_reference("gunicorn")
    binds = [word for each in serving.sockets for word in ("--bind", f"fd://{each.fileno()}")]
    kind = ("asgi",) if serving.is_asgi else ("gthread", "--threads", _THREADS)
    return serving.become(
        "gunicorn",
        reference,
        *binds,
        "--worker-class",
        *kind,
        "--workers",
        serving.binding.workers,
        "--graceful-timeout",
        max(1, int(serving.grace)),
        "--forwarded-allow-ips",
        serving.binding.forwarded_allow_ips,
    )
