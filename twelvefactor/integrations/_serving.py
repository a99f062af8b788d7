"""Start a server on an app, configured as the environment tells and so that it stops well."""

from __future__ import annotations

import inspect
import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from twelvefactor._core.cpus import cpus
from twelvefactor._core.lazy import load
from twelvefactor.exceptions import MissingExtraError, UsageError
from twelvefactor.integrations.asgi import ASGIMiddleware
from twelvefactor.integrations.wsgi import WSGIMiddleware
from twelvefactor.port_binding.binding import Binding, forget_activation

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from twelvefactor.service import Service

_APP = "twelvefactor.integrations._app:app"
_ASGI = ("uvicorn", "granian", "hypercorn", "gunicorn")
_WSGI = ("gunicorn", "waitress", "granian")


@dataclass(frozen=True)
class Serving:
    """
    What a server is to do.

    Attributes:
        app: The application, with the service around it.
        binding: Where to listen, and with how many processes.
        sockets: Bound and listening.
        grace: Seconds from SIGTERM to the end.
        reference: ``module:attribute`` of the app for worker processes; empty where there is none.
    """

    app: Any
    binding: Binding
    sockets: Sequence[socket.socket]
    grace: float
    reference: str

    @property
    def is_asgi(self) -> bool:
        """Whether the app speaks ASGI."""
        return is_asgi(self.app)

    def needs_reference(self, server: str) -> str:
        """
        The app's reference.

        Raises:
            UsageError: There is none, and *server* or the number of workers needs one.
        """
        if not self.reference:
            raise UsageError(
                f"{server} with {self.binding.workers} process(es) imports the app itself: declare it with "
                'service.process("web", app) and start it with `twelvefactor run web`'
            )
        return self.reference

    def become(self, module: str, *arguments: object) -> int:
        """Let the server be this process: it has our process id, our sockets and the signals that we would get."""
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", module, *map(str, arguments)])  # noqa: S606 - the server's own command


def is_asgi(app: Any) -> bool:
    """Whether *app* is an ASGI application, as servers find out."""
    return isinstance(app, ASGIMiddleware) or any(
        map(inspect.iscoroutinefunction, (app, getattr(app, "__call__", None)))  # noqa: B004 - the method itself
    )


def wrapped(service: Service[Any], app: Any) -> Any:
    """*app* with the service around it, once."""
    if isinstance(app, ASGIMiddleware | WSGIMiddleware):
        return app
    return service.asgi(app) if is_asgi(app) else service.wsgi(app)


def serve(service: Service[Any], app: Any, server: str | None, reference: str) -> int:
    """Serve *app* until SIGTERM; the exit status, unless the server has become this process."""
    app = wrapped(service, app)
    name = _server(service, app, server)
    binding = Binding.from_environ(service.environ)
    _warn_of_workers(service, binding)
    sockets = binding.open()
    forget_activation(os.environ)
    if reference:
        os.environ["TWELVEFACTOR_SERVICE"] = reference
        os.environ["TWELVEFACTOR_FOLDER"] = sys.path[0]
    served: int = load(f"twelvefactor.integrations.{name}:serve")(
        Serving(app, binding, sockets, service.budget.grace, _APP if reference else "")
    )
    return served


def _server(service: Service[Any], app: Any, wish: str | None) -> str:
    fit = _ASGI if is_asgi(app) else _WSGI
    named = wish or service.declaration.get("server")
    if named is None:
        named = next((name for name in fit if find_spec(name) is not None), None)
        if named is None:
            raise MissingExtraError(fit[0])
    if named not in fit:
        kind = "an ASGI" if is_asgi(app) else "a WSGI"
        raise UsageError(f"{named} cannot serve {kind} app; these can: {', '.join(fit)}")
    return str(named)


def _warn_of_workers(service: Service[Any], binding: Binding) -> None:
    allowed = cpus()
    if binding.workers > allowed:
        service.event("warning", "twelvefactor.workers", workers=binding.workers, processors=allowed)
