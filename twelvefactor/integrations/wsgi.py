"""
Any WSGI app as a twelve-factor one: ids, one access event a request, probes, the work in flight.

Source: PEP 3333.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from twelvefactor.integrations import _servers
from twelvefactor.integrations._headers import parse_request_id, release_headers
from twelvefactor.integrations._web import MARK, Probes, known_route, learn, mark_as_told
from twelvefactor.integrations._wsgi_http import Exchange, Telling
from twelvefactor.work import new_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twelvefactor.integrations._wsgi_http import App, Environ, StartResponse
    from twelvefactor.service import Service

_REASONS = {200: "200 OK", 503: "503 Service Unavailable"}


class WSGIMiddleware:
    """
    *app*, with *service* around it; the inner app stays at ``app``.

    A request is in flight until the server closes its answer. Works outermost (``service.wsgi(app)``) and as
    ``flask_app.wsgi_app = tf.WSGIMiddleware(flask_app.wsgi_app, service)``; applied twice, the inner one steps aside.

    Args:
        app: The WSGI application.
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
        self.id_header = request_id_header
        self.id_header_lower = request_id_header.lower()
        self.id_key = "HTTP_" + request_id_header.upper().replace("-", "_")
        self.told = release_headers(service, release_header)
        self._exchange = Telling if self.told else Exchange
        self.in_flight = service.in_flight
        self.emit = service.stream.emit
        self.access = service.stream.access
        self._off = service.off
        self._kind: str | None = None
        self._framework: Any = None
        self._told_twice = False
        self._starting = False
        self._lock = threading.Lock()
        service.awake = self._start
        _servers.adopt(service)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if self._off or MARK in environ:
            return self._step_aside(environ, start_response)
        if self._starting or not self.service.started:
            self._start()
        if self._kind is None:
            self._learn()
        path = environ.get("PATH_INFO", "")
        if path in self.probes.paths and self.probes.answers(path, environ["REQUEST_METHOD"]):
            return self._probe(path, environ, start_response)
        exchange = self._exchange(self, environ, start_response)
        exchange.begin()
        try:
            chunks = self.app(environ, exchange.start_response)
        except BaseException as error:
            exchange.failed(error)
            raise
        return exchange.answer(chunks)

    def _step_aside(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Pass straight through: the mode is off, or an outer one of the same service is at work already."""
        if not self._off:
            if environ[MARK] is not self.in_flight:  # another service's
                return self({key: value for key, value in environ.items() if key != MARK}, start_response)
            if not self._told_twice:
                self._told_twice = True
                self.service.event("warning", "twelvefactor.applied_twice", middleware="WSGIMiddleware")
        return self.app(environ, start_response)

    def _start(self) -> None:
        """Start on the first request; those that come meanwhile wait until that is done."""
        with self._lock:
            if self.service.started:
                return
            self._starting = True
            try:
                self.service.start()
                self.service.ready()
            except Exception as error:
                self.service.fault("start", error)
                mark_as_told(error)
                self.service.close()
                raise
            finally:
                self._starting = False

    def _learn(self) -> None:
        """Find out whose app this is, and leave it the probe paths that it routes itself."""
        self._kind, self._framework = learn(self.service, self.probes, self.app)

    def _probe(self, path: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        began, method = monotonic(), environ["REQUEST_METHOD"]
        answer = self.probes.answer(path)
        request_id = parse_request_id(environ.get(self.id_key, "")) or new_id()
        sent = b"" if method == "HEAD" else answer.body
        if answer.failed:
            fields = answer.event(method, path, monotonic() - began, len(sent), environ.get("REMOTE_ADDR"))
            self.emit("warning", "request", {"request_id": request_id, **fields})
        headers = [(name.title(), value) for name, value in answer.headers]
        start_response(_REASONS[answer.status], [*headers, (self.id_header, request_id), *self.told])
        return [sent]

    def route(self, environ: Environ) -> str | None:
        """The route template that *environ* matched, where the framework knows it."""
        return known_route(self.service, self._kind, self._framework, environ) if self._kind else None
