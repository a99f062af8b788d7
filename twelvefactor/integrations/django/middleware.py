"""
The service in Django's own list of middleware, sync and async.

Where ``service.wsgi(...)`` or ``service.asgi(...)`` is around the whole of Django, the adapter there does the work, and
this one only tells it the route.
"""

from __future__ import annotations

import asyncio
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpResponse

from twelvefactor._core.body import CopiedInput
from twelvefactor.integrations import _servers
from twelvefactor.integrations._headers import bind_trace, parse_request_id, release_headers, take_request_id
from twelvefactor.integrations._web import (
    MARK,
    ROUTE,
    Probes,
    is_green_probe,
    learn,
    level_of,
    mark_as_told,
    milliseconds,
)
from twelvefactor.work import Work, new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from twelvefactor.service import Service


class Middleware:
    """
    First in ``MIDDLEWARE``; probes, ids and the access event as around any other app.

    The setting ``TWELVEFACTOR``, a dict, takes the options of `WSGIMiddleware`: ``probes``, ``version_path``,
    ``request_id_header``, ``release_header``.

    Args:
        get_response: What Django gives to a middleware.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        from twelvefactor.integrations.django.finding import find_service

        options = {"request_id_header": "X-Request-ID", **getattr(settings, "TWELVEFACTOR", {})}
        self.get_response = get_response
        self.service: Service[Any] = find_service()
        self.id_header: str = options.pop("request_id_header")
        self.probes = Probes(self.service, options.pop("probes", None), options.pop("version_path", None))
        self.told = release_headers(self.service, options.pop("release_header", None))
        self._async = iscoroutinefunction(get_response)
        self._learnt = False
        self._lock = threading.Lock()
        self._starting: asyncio.Lock | None = None
        if options:
            raise TypeError(f"TWELVEFACTOR: no option is called {', '.join(options)}")
        if self._async:
            markcoroutinefunction(self)
        else:
            self.service.awake = self.service.awake or self._start
        _servers.adopt(self.service)  # in the main thread, before requests come in others

    def __call__(self, request: Any) -> Any:
        """Serve one request, or give the coroutine that does."""
        if self._async:
            return self._aserve(request)
        if self._steps_aside(request):
            return _with_route(request, self.get_response(request))
        if self._must_start:
            self._start()
        answer = self._probe(request)
        if answer is not None:
            return answer
        exchange = Exchange(self, request)
        exchange.begin()
        try:
            response = self.get_response(request)
        except BaseException as error:
            exchange.failed(error)
            raise
        return exchange.answer(response)

    async def _aserve(self, request: Any) -> Any:
        if self._steps_aside(request):
            return _with_route(request, await self.get_response(request))
        if self._must_start:
            await self._astart()
        answer = self._probe(request)
        if answer is not None:
            return answer
        exchange = Exchange(self, request)
        exchange.begin()
        try:
            response = await self.get_response(request)
        except BaseException as error:
            exchange.failed(error)
            raise
        return exchange.answer(response)

    def _steps_aside(self, request: Any) -> bool:
        return self.service.off or carrier_of(request).get(MARK) is self.service.in_flight

    @property
    def _must_start(self) -> bool:
        return self._starting is not None or self._lock.locked() or not (self._learnt and self.service.started)

    def _start(self) -> None:
        with self._lock:
            if not self._learnt:
                self._learn()
            if not self.service.started:
                try:
                    self.service.start()
                    self.service.ready()
                except Exception as error:
                    self.service.fault("start", error)
                    mark_as_told(error)
                    self.service.close()
                    raise

    async def _astart(self) -> None:
        if self._starting is None:
            self._starting = asyncio.Lock()
        async with self._starting:
            if not self._learnt:
                self._learn()
            if not self.service.started:
                try:
                    self.service.start()
                    await self.service.aready()
                except Exception as error:
                    self.service.fault("start", error)
                    mark_as_told(error)
                    await self.service.aclose()
                    raise
            self._starting = None

    def _learn(self) -> None:
        from django.core.handlers.base import BaseHandler

        learn(self.service, self.probes, BaseHandler())
        self._learnt = True

    def _probe(self, request: Any) -> HttpResponse | None:
        path, method = request.path_info, request.method
        if path not in self.probes.paths or not self.probes.answers(path, method):
            return None
        began = monotonic()
        answer = self.probes.answer(path)
        request_id = parse_request_id(request.headers.get(self.id_header, "")) or new_id()
        if answer.failed:
            client = request.META.get("REMOTE_ADDR")
            fields = answer.event(method, path, monotonic() - began, len(answer.body), client)
            self.service.stream.emit("warning", "request", {"request_id": request_id, **fields})
        headers = {name.title(): value for name, value in answer.headers}
        headers |= {self.id_header: request_id, **dict(self.told)}
        return HttpResponse(answer.body, status=answer.status, headers=headers)


def carrier_of(request: Any) -> Any:
    """What brought *request*: the ASGI scope, else the WSGI environ."""
    return getattr(request, "scope", None) or request.META


def route_of(request: Any) -> str | None:
    """The route template that Django matched, however the request's own URL configuration was chosen."""
    match = getattr(request, "resolver_match", None)
    return None if match is None else f"/{match.route}"


def _with_route(request: Any, response: Any) -> Any:
    carrier_of(request)[ROUTE] = route_of(request)
    return response


class Exchange(Work):
    """
    One request and its answer; in flight until the server closes the answer.

    Attributes:
        request: Django's.
        status: That of the answer; 0 before there is one.
        bytes: Of the body, so far.
        complete: Whether the server took a streamed answer to its end.
    """

    __slots__ = ("bytes", "complete", "middleware", "request", "status")

    def __init__(self, middleware: Middleware, request: Any) -> None:
        super().__init__(middleware.service.in_flight, "request", request.path)
        self.middleware = middleware
        self.request = request
        self.status = self.bytes = 0
        self.complete = True
        self.carrier = carrier_of(request)
        self.request_id = self.context["request_id"] = self.id
        take_request_id(self, request.headers.get(middleware.id_header, ""))
        parent = request.headers.get("traceparent")
        if parent is not None:
            bind_trace(self, parent, request.headers.get("tracestate"))
        self.carrier[MARK] = middleware.service.in_flight

    def copy_body(self) -> None:
        """Copy what Django reads from now on."""
        stream = getattr(self.request, "_stream", None)
        if stream is not None:
            self.request._stream = CopiedInput(stream, self.carrier)  # noqa: SLF001 - what Django itself reads from

    def answer(self, response: Any) -> Any:
        """Watch *response* until it is closed."""
        self.status = response.status_code
        response.headers.setdefault(self.middleware.id_header, self.request_id)
        for name, release in self.middleware.told:
            response.headers.setdefault(name, release)
        if response.streaming:
            self.complete = False
            chunks = response.streaming_content
            response.streaming_content = self._acounted(chunks) if response.is_async else self._counted(chunks)
        else:
            self.bytes = len(response.content)
        response._resource_closers.append(self.over)  # noqa: SLF001 - what Django's own close calls last
        return response

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._count(chunk)
            yield chunk
        self.complete = True

    async def _acounted(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self._count(chunk)
            yield chunk
        self.complete = True

    def _count(self, chunk: bytes) -> None:
        self.streaming = self.bytes > 0
        self.bytes += len(chunk)

    def failed(self, error: BaseException) -> None:
        """Something ended the request that is no exception of the app's: Django makes a response of those."""
        self.outcome = "error" if isinstance(error, Exception) else "cancelled"
        self._tell()
        self.end(error)

    def over(self) -> None:
        """The server has closed the answer; idempotent."""
        if self.closed:
            return
        if not self.complete:
            self.outcome = "disconnected"
        elif self.status >= 500:  # noqa: PLR2004 - a server's error
            self.outcome = "error"
        self._tell()
        self.end()

    def _tell(self) -> None:
        request, middleware = self.request, self.middleware
        route = route_of(request)
        self.name = route or self.name
        if is_green_probe(middleware.probes, request.path_info, self.status):
            return
        middleware.service.stream.emit(
            level_of(self.status),
            "request",
            {
                **self.context,  # Django may close the answer in another context than the request's
                "method": request.method,
                "path": request.path,
                "route": route,
                "status": self.status or None,
                "duration_ms": milliseconds(self.hands.clock.monotonic() - self.started),
                "bytes": self.bytes,
                "client": request.META.get("REMOTE_ADDR"),
                "outcome": self.outcome or "ok",
            },
        )
