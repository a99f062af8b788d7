"""
One HTTP request over WSGI: a unit of work, and what is known of its answer.

A hot path: each call and each object saved here is saved in every request.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from twelvefactor._core.body import CopiedInput
from twelvefactor.integrations._headers import bind_trace, take_request_id
from twelvefactor.integrations._web import MARK, is_green_probe, level_of, mark_as_told, milliseconds
from twelvefactor.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from twelvefactor.integrations.wsgi import WSGIMiddleware

    Environ = dict[str, Any]
    Headers = list[tuple[str, str]]
    Write = Callable[[bytes], object]
    StartResponse = Callable[..., Write]
    App = Callable[[Environ, StartResponse], Iterable[bytes]]


class Exchange(Work):
    """
    One request and its answer.

    Attributes:
        path: As it came, with the path that the app is mounted at; a framework may move the border between the two.
        local: The same below that path.
        route: The template that the path matched, once the answer has started.
        status: That of the answer; 0 before there is one.
        bytes: Of the body, so far.
        complete: Whether the server took the answer to its end.
        length: Of the body, as the app's ``Content-Length`` says it; None where it does not.
    """

    __slots__ = ("bytes", "complete", "length", "local", "middleware", "path", "route", "start", "status")

    def __init__(self, middleware: WSGIMiddleware, environ: Environ, start: StartResponse) -> None:
        self.local: str = environ.get("PATH_INFO", "")
        self.path = environ.get("SCRIPT_NAME", "") + self.local
        super().__init__(middleware.in_flight, "request", self.path)
        self.middleware = middleware
        self.start = start
        self.status = self.bytes = 0
        self.complete = False
        self.length: int | None = None
        self.route: str | None = None
        self.carrier = environ
        self.request_id = self.context["request_id"] = self.id
        given = environ.get(middleware.id_key)
        if given is not None:
            take_request_id(self, given)
        parent = environ.get("HTTP_TRACEPARENT")
        if parent is not None:
            bind_trace(self, parent, environ.get("HTTP_TRACESTATE"))
        environ[MARK] = middleware.in_flight

    def copy_body(self) -> None:
        """Copy what the app reads from now on."""
        self.carrier["wsgi.input"] = CopiedInput(self.carrier.get("wsgi.input"), self.carrier)

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Write:
        """The server's own, with the request id in the headers; ``Connection`` is not an application's to set."""
        self.status = int(status[:3]) if status[:3].isdigit() else 500
        self.route = self.middleware.route(self.carrier)  # now, while the framework still has its request
        lower, known = self.middleware.id_header_lower, False
        for name, value in headers:
            if len(name) == len(lower) and name.lower() == lower:
                known = True
            elif len(name) == _CONTENT_LENGTH and name.lower() == "content-length" and value.isdigit():
                self.length = int(value)
        if not known:
            headers = [*headers, (self.middleware.id_header, self.request_id)]  # type: ignore[list-item]  # set above
        if exc_info:
            return self._counted(self.start(status, headers, exc_info))
        return self._counted(self.start(status, headers))

    def _counted(self, write: Write) -> Write:
        def counted(data: bytes) -> object:
            self.bytes += len(data)
            return write(data)

        return counted

    def answer(self, chunks: Iterable[bytes]) -> Iterable[bytes]:
        """What the server iterates and closes; the server's own file wrapper stays what it is, to be sent as a file."""
        if isinstance(chunks, list | tuple):
            return SizedAnswer(chunks, self)
        file_wrapper = self.carrier.get("wsgi.file_wrapper")
        if isinstance(file_wrapper, type) and isinstance(chunks, file_wrapper) and self._close_with(chunks):
            return chunks
        return Answer(chunks, self)

    def _close_with(self, chunks: Any) -> bool:
        """Let the end of the file be the end of the request; its bytes are those that the app announced."""
        inner = getattr(chunks, "close", None)

        def close() -> None:
            try:
                if inner is not None:
                    inner()
            finally:
                self.bytes = self.bytes or self.length or 0
                self.over(None)

        try:
            chunks.close = close
        except AttributeError:
            return False
        return True

    def failed(self, error: BaseException) -> None:
        """The app raised: one event with the traceback, the access event, the end of the work."""
        if isinstance(error, Exception):
            fields = {"method": self.carrier["REQUEST_METHOD"], "path": self.path, "exc_info": error}
            self.middleware.emit("error", "request.failed", fields)
            mark_as_told(error)
            self.status = max(self.status, 500)
        self.over(error)

    def closed_by_server(self) -> None:
        """The server is done with the answer: at its end, or before, where the client left."""
        if not (self.complete or self.closed or self._has_all):
            self.outcome = "disconnected"
        self.over(None)

    @property
    def _has_all(self) -> bool:
        """Whether a server had reason to stop early: it sent what was announced, or only headers were asked for."""
        return self.carrier["REQUEST_METHOD"] == "HEAD" or (self.length is not None and self.bytes >= self.length)

    def over(self, error: BaseException | None) -> None:
        """The request has ended; idempotent."""
        if self.closed:
            return
        if error is not None:
            self.outcome = "error" if isinstance(error, Exception) else "cancelled"
        elif self.status == 0:
            self.status, self.outcome = 500, "no response"
        elif self.status >= 500:  # noqa: PLR2004 - a server's error
            self.outcome = "error"
        self.tell()
        self.end(error)

    def tell(self) -> None:
        """Say the access event."""
        environ, middleware, status = self.carrier, self.middleware, self.status
        route = self.route or middleware.route(environ)
        if route is not None:
            self.name = route
        if is_green_probe(middleware.probes, self.local, status):
            return
        middleware.access(
            level_of(status),
            "request",
            {
                "method": environ["REQUEST_METHOD"],
                "path": self.path,
                "route": route,
                "status": status or None,
                "duration_ms": milliseconds(self.hands.now() - self.started),
                "bytes": self.bytes,
                "client": environ.get("REMOTE_ADDR"),
                "outcome": self.outcome or "ok",
            },
        )


class Telling(Exchange):
    """One whose answer tells the release too; a class of its own, so that it costs nothing where nobody asked."""

    __slots__ = ()

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> Write:
        """The server's own, with the release in the headers as well."""
        ((told, release),) = self.middleware.told
        if not any(name.lower() == told.lower() for name, _ in headers):
            headers = [*headers, (told, release)]
        return super().start_response(status, headers, exc_info)


_CONTENT_LENGTH = len("content-length")


class Answer:
    """The app's chunks, counted; closing it ends the request."""

    __slots__ = ("_chunks", "_exchange", "_next")

    def __init__(self, chunks: Iterable[bytes], exchange: Exchange) -> None:
        self._chunks = chunks
        self._exchange = exchange
        self._next: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        exchange = self._exchange
        try:
            if self._next is None:
                self._next = iter(self._chunks)
            chunk = next(self._next)
        except StopIteration:
            exchange.complete = True
            raise
        except BaseException as error:
            exchange.failed(error)
            raise
        if exchange.bytes:
            exchange.streaming = True
        exchange.bytes += len(chunk)
        return chunk

    def close(self) -> None:
        """What PEP 3333 demands of the server, at the end or when the client left."""
        try:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            self._exchange.failed(error)
            raise
        self._exchange.closed_by_server()

    def __del__(self) -> None:
        if not self._exchange.closed:  # a server that forgot to close must not leave the request in flight
            with contextlib.suppress(Exception):
                self.close()


class SizedAnswer(Answer):
    """An answer whose number of chunks is known, from which a server works out ``Content-Length``."""

    __slots__ = ()

    def __init__(self, chunks: Iterable[bytes], exchange: Exchange) -> None:
        super().__init__(chunks, exchange)
        exchange.complete = True  # it is all there, however much of it a server takes

    def __len__(self) -> int:
        return len(self._chunks)  # type: ignore[arg-type]  # a list or a tuple
