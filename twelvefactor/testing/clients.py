"""
Test clients around apps that no service wraps: each of their requests is a unit of work too.

The clients of Starlette and FastAPI, of Flask (werkzeug) and Django, and httpx's transports for ASGI and WSGI apps.
Where a service wraps the app already, its own units are the ones that are watched.
"""

from __future__ import annotations

import functools
import sys
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twelvefactor._core.appcode import AppCode
from twelvefactor._core.body import CopiedInput, copied_receive
from twelvefactor._core.clock import SYSTEM_CLOCK
from twelvefactor.factor import Evidence
from twelvefactor.processes.watch import StateWatch
from twelvefactor.work import InFlight, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from twelvefactor._core.clock import Clock

_MARK = "twelvefactor.in_flight"  # where a scope or environ carries the work in flight of the service that counts it
_ROUTE = "twelvefactor.route"
_DEEP = 8


class BareProcess:
    """
    The process of a test run, as far as the leak watch asks; what was found stays with it.

    Args:
        root: Below it the code is the app's, installed distributions excepted.
    """

    def __init__(self, root: Path) -> None:
        self.name = "tests"
        self.environ: Mapping[str, str] = {}
        self.clock: Clock = SYSTEM_CLOCK
        self.evidence = Evidence()
        self.findings = self.evidence.findings
        self.app_code = AppCode(root)
        self.in_flight = InFlight()
        self.in_flight.on_fault = self.fault
        self.process_type: str | None = None
        self.declaration: dict[str, Any] = {}
        self.manifest: dict[str, Any] = {}
        self.deploy: str | None = None
        self.config: Any = None
        self.faults: list[str] = []

    def event(self, level: str, event: str, **fields: Any) -> None:
        """Nobody reads the stream of a test run."""

    def fault(self, where: str, error: BaseException) -> None:
        """Remember it for the end of the run."""
        self.faults.append(f"{where}: {type(error).__name__}: {error}")


class Asked(Work):
    """
    One request of a test client.

    Args:
        hands: The work in flight that it is counted with.
        carrier: The ASGI scope or WSGI environ.
        receive: ASGI's, or None.
    """

    __slots__ = ("receive",)

    def __init__(self, hands: InFlight, carrier: dict[str, Any], receive: Any = None) -> None:
        super().__init__(hands, "request", str(carrier.get("path") or carrier.get("PATH_INFO") or "/"))
        self.carrier = carrier
        self.receive = receive

    def copy_body(self) -> None:
        """Copy what the app reads from now on."""
        if self.receive is not None:
            self.receive = copied_receive(self.receive, self.carrier)
        elif "wsgi.input" in self.carrier:
            self.carrier["wsgi.input"] = CopiedInput(self.carrier["wsgi.input"], self.carrier)


class Clients:
    """
    The test clients of this process, watched for as long as they are patched.

    Args:
        root: As of `BareProcess`.
    """

    def __init__(self, root: Path) -> None:
        self.process = BareProcess(root)
        self.watch = StateWatch(self.process, "thorough")
        self._wrapped: weakref.WeakSet[Any] = weakref.WeakSet()
        self._undo: dict[tuple[str, str], Callable[[], None]] = {}

    def patch(self) -> None:
        """Patch the test clients that were imported by now; cheap, to be called again and again."""
        for (module, name), wrap in _PATCHES.items():
            if module in sys.modules and (module, name) not in self._undo:
                with suppress(AttributeError):  # another version of that library, which has no such client
                    self._undo[module, name] = _replace(sys.modules[module], name, functools.partial(wrap, self))

    def undo(self) -> None:
        """Put everything back, and watch no more. Idempotent."""
        while self._undo:
            self._undo.popitem()[1]()
        self.watch.remove()

    def covers(self, app: Any) -> bool:
        """Whether a service wraps *app*, as far as that is known before it is asked."""
        inner = app
        for _ in range(_DEEP):
            if type(inner).__module__.startswith("twelvefactor."):
                return True
            inner = next((inner.__dict__[name] for name in ("app", "wsgi_app") if name in _names(inner)), None)
            if inner is None:
                break
        with suppress(TypeError):
            return app in self._wrapped
        return False

    def asked(self, carrier: dict[str, Any], receive: Any = None) -> Asked:
        """A unit of work for one request, begun."""
        self.watch.install()
        work = Asked(self.process.in_flight, carrier, receive)
        work.begin()
        return work

    def over(self, app: Any, work: Asked, error: BaseException | None = None) -> None:
        """The request has ended; what an inner service counted is left to it from now on."""
        work.end(error)
        if _MARK in work.carrier:
            with suppress(TypeError):
                self._wrapped.add(app)


class BareASGI:
    """An ASGI app whose requests are units of work of the test run."""

    def __init__(self, clients: Clients, app: Any) -> None:
        self.clients = clients
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        if scope["type"] != "http" or self.clients.covers(self.app):
            await self.app(scope, receive, send)
            return
        work = self.clients.asked(scope, receive)
        try:
            await self.app(scope, work.receive, send)
        except BaseException as error:
            self.clients.over(self.app, work, error)
            raise
        self.clients.over(self.app, work)


class BareWSGI:
    """A WSGI app whose requests are units of work of the test run."""

    def __init__(self, clients: Clients, app: Any) -> None:
        self.clients = clients
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Serve one request; it is over when the answer is closed."""
        if self.clients.covers(self.app):
            chunks: Iterable[bytes] = self.app(environ, start_response)
            return chunks
        work = self.clients.asked(environ)

        def start(*answer: Any) -> Any:
            _note_rule(environ)
            return start_response(*answer)

        try:
            return Closing(self.app(environ, start), functools.partial(self.clients.over, self.app, work))
        except BaseException as error:
            self.clients.over(self.app, work, error)
            raise


class Closing:
    """An answer that says when it is closed, or forgotten."""

    def __init__(self, chunks: Iterable[bytes], closed: Callable[[], None]) -> None:
        self._chunks = chunks
        self._closed: Callable[[], None] | None = closed

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    def close(self) -> None:
        """Close the app's own, then tell. Idempotent."""
        closed, self._closed = self._closed, None
        try:
            if closed is not None and (close := getattr(self._chunks, "close", None)) is not None:
                close()
        finally:
            if closed is not None:
                closed()

    def __del__(self) -> None:
        with suppress(Exception):
            self.close()


# --- the clients -------------------------------------------------------------------------------------------------


def _transport(bare: Any, clients: Clients, original: Any) -> Any:
    """A transport that holds an ``app``: it asks the app in a unit of work."""

    @functools.wraps(original)
    def handle(self: Any, request: Any) -> Any:
        if not isinstance(self.app, bare):
            self.app = bare(clients, self.app)
        return original(self, request)

    return handle


def _werkzeug(clients: Clients, original: Any) -> Any:
    """Werkzeug's client closes no answer: one of a known length is read and closed here, as servers do it."""

    @functools.wraps(original)
    def run_wsgi_app(app: Any, environ: Any, buffered: bool = False) -> Any:
        chunks, status, headers = original(BareWSGI(clients, app), environ, buffered)
        close = getattr(chunks, "close", None)
        if close is not None and "Content-Length" in headers:
            try:
                chunks = list(chunks)
            finally:
                close()
        return chunks, status, headers

    return run_wsgi_app


def _django(clients: Clients, original: Any) -> Any:
    @functools.wraps(original)
    def call(self: Any, environ: Any) -> Any:
        if _has_our_middleware():
            return original(self, environ)
        work = clients.asked(environ)
        try:
            return _routed(work, original(self, environ))
        finally:
            clients.over(self, work, sys.exception())

    return call


def _django_async(clients: Clients, original: Any) -> Any:
    @functools.wraps(original)
    async def call(self: Any, scope: Any) -> Any:
        if _has_our_middleware():
            return await original(self, scope)
        work = clients.asked(scope)
        try:
            return _routed(work, await original(self, scope))
        finally:
            clients.over(self, work, sys.exception())

    return call


def _has_our_middleware() -> bool:
    from django.conf import settings

    return any(name.startswith("twelvefactor.") for name in settings.MIDDLEWARE)


def _routed(work: Asked, response: Any) -> Any:
    request = getattr(response, "wsgi_request", None) or getattr(response, "asgi_request", None)
    match = getattr(request, "resolver_match", None)
    if match is not None:
        work.carrier[_ROUTE] = f"/{match.route}"
    return response


_PATCHES: dict[tuple[str, str], Callable[[Clients, Any], Any]] = {
    ("starlette.testclient", "_TestClientTransport.handle_request"): functools.partial(_transport, BareASGI),
    **{
        (httpx, path): functools.partial(_transport, bare)
        for httpx in ("httpx", "httpx2")  # Starlette's client moved to the second
        for path, bare in (("ASGITransport.handle_async_request", BareASGI), ("WSGITransport.handle_request", BareWSGI))
    },
    ("werkzeug.test", "run_wsgi_app"): _werkzeug,
    ("django.test.client", "ClientHandler.__call__"): _django,
    ("django.test.client", "AsyncClientHandler.__call__"): _django_async,
}


def _replace(module: Any, path: str, wrap: Callable[[Any], Any]) -> Callable[[], None]:
    """Wrap what *path* names in *module*; gives what puts it back."""
    *outer, name = path.split(".")
    holder = functools.reduce(getattr, outer, module)
    original = getattr(holder, name)
    setattr(holder, name, wrap(original))
    return lambda: setattr(holder, name, original)


def _note_rule(environ: dict[str, Any]) -> None:
    """Flask forgets its request before the answer is closed."""
    rule = getattr(getattr(environ.get("werkzeug.request"), "url_rule", None), "rule", None)
    if rule is not None:
        environ[_ROUTE] = rule


def _names(value: Any) -> dict[str, Any]:
    found = getattr(type(value), "__dictoffset__", 0)
    return value.__dict__ if found else {}
