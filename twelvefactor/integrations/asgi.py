"""
Any ASGI app as a twelve-factor one: ids, one access event a request, probes, the work in flight, lifespan.

Source: ASGI 3.0, its HTTP & WebSocket and Lifespan specifications.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from twelvefactor.integrations import _servers
from twelvefactor.integrations._asgi_http import Exchange, Telling, answer_probe
from twelvefactor.integrations._asgi_lifespan import Lifespan
from twelvefactor.integrations._asgi_websocket import Socket
from twelvefactor.integrations._headers import release_headers
from twelvefactor.integrations._web import MARK, Probes, known_route, learn, mark_as_told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twelvefactor.integrations._asgi_types import App, Receive, Scope, Send
    from twelvefactor.service import Service
    from twelvefactor.work import Work


class ASGIMiddleware:
    """
    *app*, with *service* around it; the inner app stays at ``app``.

    Works outermost (``service.asgi(app)``) and in a framework's own list of middleware; applied twice, the inner one
    steps aside. In mode ``off`` everything passes straight through.

    Args:
        app: The ASGI 3 application.
        service: The process that serves it.
        probes: ``live``, ``ready``, ``started`` to their paths; ``{}`` for none.
        version_path: Where ``/version`` is told in public; nowhere if not given.
        request_id_header: The header that carries the request id, in and out.
        release_header: The header that tells each client the release, such as ``X-Release``; if not given, what
            `TWELVEFACTOR_RELEASE_HEADER` says, and none without it.
    """

    def __init__(
        self,
        app: App,
        service: Service[Any],
        *,
        probes: Mapping[str, str] | None = None,
        version_path: str | None = None,
        request_id_header: str = "X-Request-ID",
        release_header: str | None = None,
    ) -> None:
        self.app = app
        self.service = service
        self.probes = Probes(service, probes, version_path)
        self.id_header = request_id_header.lower().encode("latin-1")
        self.told = [
            (name.lower().encode(), value.encode()) for name, value in release_headers(service, release_header)
        ]
        self._exchange = Telling if self.told else Exchange
        self.wanted = frozenset({self.id_header, b"traceparent", b"tracestate"})
        self.in_flight = service.in_flight
        self.emit = service.stream.emit
        self.access = service.stream.access
        self._off = service.off
        self.kind: str | None = None
        self._framework: Any = None
        self._told_twice = False
        self._starting: asyncio.Lock | None = None
        if cut not in service.cutters:
            service.cutters.append(cut)
            service.open_sockets.append(lambda: sum(map(is_open, service.in_flight)))
        _servers.adopt(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope; servers see a coroutine function, and so an ASGI 3 app."""
        kind = scope["type"]
        if self._off or MARK in scope:
            await self._step_aside(scope, receive, send)
        elif kind == "http":
            if self._starting is not None or not self.service.started:
                await self._late_start(scope)
            if self.kind is None:
                self.learn(scope)
            path = local_path(scope) if scope.get("root_path") else scope["path"]
            if path in self.probes.paths and self.probes.answers(path, scope["method"]):
                await answer_probe(self, path, scope, send)
                return
            exchange = self._exchange(self, scope, path, receive, send)
            exchange.begin()
            try:
                await self.app(scope, exchange.receive, exchange.send)
            except BaseException as error:
                exchange.failed(error)
                raise
            exchange.returned()
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        elif kind == "lifespan":
            await Lifespan(self, scope, receive, send).serve()
        else:
            await self.app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._starting is not None or not self.service.started:
            await self._late_start(scope)
        if self.kind is None:
            self.learn(scope)
        socket = Socket(self, scope, receive, send)
        socket.begin()
        try:
            await self.app(scope, socket.receive, socket.send)
        except BaseException as error:
            socket.over(error)
            raise
        socket.over(None)

    async def _step_aside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass straight through: the mode is off, or an outer one of the same service is at work already."""
        if not self._off:
            if scope[MARK] is not self.in_flight:  # another service's
                await self({key: value for key, value in scope.items() if key != MARK}, receive, send)
                return
            if not self._told_twice:
                self._told_twice = True
                self.service.event("warning", "twelvefactor.applied_twice", middleware="ASGIMiddleware")
        await self.app(scope, receive, send)

    async def _late_start(self, scope: Scope) -> None:
        """Start on the first scope, where the server runs no lifespan; others wait until that is done."""
        if self._starting is None:
            self._starting = asyncio.Lock()
        async with self._starting:
            if not self.service.started:
                await self._start(scope)
            self._starting = None

    async def _start(self, scope: Scope) -> None:
        try:
            self.learn(scope)
            self.service.start()
            await self.service.aready()
            self.service.serves()
        except Exception as error:
            self.service.fault("start", error)
            mark_as_told(error)
            await self.service.aclose()
            raise

    def learn(self, scope: Scope) -> None:
        """Find out whose app this is, and leave it the probe paths that it routes itself."""
        self.kind, self._framework = learn(self.service, self.probes, scope.get("app") or self.app)

    def route(self, scope: Scope) -> str | None:
        """The route template that *scope* matched, where the framework knows it."""
        return known_route(self.service, self.kind, self._framework, scope) if self.kind else None


def local_path(scope: Scope) -> str:
    """The path below the one that the app is mounted at, or served under by the proxy."""
    path, root = str(scope["path"]), scope["root_path"]
    return (path[len(root) :] or "/") if path.startswith(root) else path


def cut(work: Work) -> None:
    """End *work* at the end of the budget, where an adapter of ours serves it."""
    if isinstance(work, Exchange | Socket):
        work.cut()


def is_open(work: Work) -> bool:
    """Whether *work* is a WebSocket that nobody has closed yet."""
    return isinstance(work, Socket) and work.accepted and not work.hung_up
