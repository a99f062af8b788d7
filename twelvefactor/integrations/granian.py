"""
granian's WSGI worker: it sets its handlers after the app was loaded, so ours goes over them right then.

Its process ends without exit hooks, so the end of the service is hung on what multiprocessing runs instead.
"""

from __future__ import annotations

import functools
import inspect
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any

from twelvefactor.exceptions import UsageError
from twelvefactor.integrations import _servers

try:
    import granian
    from granian import _signals
except ImportError as error:
    from twelvefactor.exceptions import MissingExtraError

    raise MissingExtraError("granian") from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from twelvefactor.integrations._serving import Serving
    from twelvefactor.service import Service

_THREADS = 16  # for each WSGI worker
_NAME = "set_sync_signals"


def adopt(service: Service[Any]) -> None:
    """Stand before the worker's handler once it is set, and close the service when the worker ends. Idempotent."""
    Finalize(None, service.close, exitpriority=1)
    original = getattr(_signals, _NAME, None)
    if getattr(original, "__twelvefactor__", False):
        return
    if original is None or inspect.signature(original).parameters:
        _servers.cannot(service, "granian", granian.__version__, _NAME)
        return
    setattr(_signals, _NAME, _met(service, original))


def _met(service: Service[Any], original: Callable[[], Any]) -> Callable[[], Any]:
    @functools.wraps(original)
    def set_sync_signals() -> Any:
        event = original()
        service.catch_sigterm()
        return event

    set_sync_signals.__twelvefactor__ = True  # type: ignore[attr-defined]  # so that it is done once
    return set_sync_signals


def serve(serving: Serving) -> int:
    """Become granian's own command, which binds by itself: the socket here only told whether it can."""
    reference, binding = serving.needs_reference("granian"), serving.binding
    for each in serving.sockets:
        each.close()
    if binding.descriptors:
        raise UsageError("granian takes no socket from the service manager; choose another server for LISTEN_FDS")
    where = ("--uds", binding.unix) if binding.unix else ("--host", binding.host, "--port", binding.port)
    interface = "asgi" if serving.is_asgi else "wsgi"
    threads = () if serving.is_asgi else ("--blocking-threads", _THREADS)
    return serving.become(
        "granian", reference, *where, "--interface", interface, "--workers", binding.workers, *threads
    )
