"""
One HTTP request over ASGI: a unit of work, and what is known of its answer.

A hot path: each call and each object saved here is saved in every request.
"""

from __future__ import annotations

from asyncio import current_task
from time import monotonic
from typing import TYPE_CHECKING, Any

from twelvefactor._core.body import copied_receive
from twelvefactor.integrations import _routes
from twelvefactor.integrations._headers import parse_request_id, take
from twelvefactor.integrations._litestar import ERROR
from twelvefactor.integrations._web import MARK, is_green_probe, mark_as_told
from twelvefactor.work import Work, new_id

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable

    from twelvefactor.integrations._asgi_types import Message, Receive, Scope, Send
    from twelvefactor.integrations.asgi import ASGIMiddleware


class Exchange(Work):
    """
    One request and its answer.

    Attributes:
        path: As it came; a framework may rewrite the scope's.
        local: The same below the path that the app is mounted at.
        status: That of the answer; 0 before there is one.
        bytes: Of the body, so far.
        complete: Whether the app has sent the last of the body.
        gone: Whether the client has left.
        told: Whether the access event was said.
    """

    __slots__ = (
        "bytes",
        "complete",
        "gone",
        "local",
        "middleware",
        "path",
        "receive_on",
        "send_on",
        "status",
        "task",
        "told",
    )
    task: asyncio.Task[Any] | None

    def __init__(self, middleware: ASGIMiddleware, scope: Scope, local: str, receive: Receive, send: Send) -> None:
        self.path: str = scope["path"]
        super().__init__(middleware.in_flight, "request", self.path)
        self.middleware = middleware
        self.local = local
        self.receive_on = receive
        self.send_on = send
        self.status = self.bytes = 0
        self.complete = self.gone = self.told = False
        self.carrier = scope
        self.request_id = self.context["request_id"] = self.id
        wanted = middleware.wanted
        found = [pair for pair in scope["headers"] if pair[0] in wanted]
        if found:
            take(self, middleware.id_header, found)
        scope[MARK] = middleware.in_flight
        try:
            self.task = current_task()
        except RuntimeError:
            self.task = None  # another event loop than asyncio's

    def copy_body(self) -> None:
        """Copy what the app receives from now on."""
        self.receive_on = copied_receive(self.receive_on, self.carrier)

    async def receive(self) -> Message:
        """Pass on what the client sends, and see it leave."""
        message = await self.receive_on()
        if message["type"] == "http.disconnect":
            self.gone = True
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Pass *message* on; a plain function, since one coroutine a message less is a tenth of the whole cost."""
        if self.complete:
            return self.send_on(message)  # too much: the server's own error says so
        kind = message["type"]
        if kind == "http.response.body":
            more = message.get("more_body", False)
            if more and self.bytes:
                self.streaming = True
            self.bytes += len(message.get("body", b""))
            return self.send_on(message) if more else self._send_last(message)
        if kind == "http.response.start":
            if self.status == 0:
                self.status = message["status"]
                message = {**message, "headers": self._headers(message.get("headers", ()))}
        elif kind == "http.response.pathsend":
            return self._send_last(message)
        return self.send_on(message)

    async def _send_last(self, message: Message) -> None:
        """The client has its answer before anybody is told: a stream that is held up does not hold it up."""
        self.complete = True
        await self.send_on(message)
        if self.told:
            return
        if self.status < 500:  # noqa: PLR2004 - a server's error
            self.tell("ok", "info")
            return
        answered = self.carrier.pop(ERROR, None)
        if answered is not None:
            self._tell_error(answered)
        self.tell("error", "error")

    def _headers(self, given: Any) -> list[Any]:
        middleware, headers = self.middleware, [*given]
        id_header = middleware.id_header
        for pair in headers:
            if pair[0] == id_header:
                break
        else:
            headers.append((id_header, self.request_id.encode("latin-1")))  # type: ignore[union-attr]  # set above
        if middleware.service.lifecycle.leaving:
            self._close_connection(headers)
        return headers

    def _close_connection(self, headers: list[Any]) -> None:
        """While the process drains, a kept-alive connection is not to bring another request."""
        if self.carrier.get("http_version") == "1.1":
            headers[:] = [pair for pair in headers if pair[0].lower() != b"connection"]
            headers.append((b"connection", b"close"))

    def returned(self) -> None:
        """The app is done with the request; what it left open is told now."""
        if not self.told:
            self._tell_incomplete()
        self.end()

    def _tell_incomplete(self) -> None:
        if self.gone:
            self.tell("disconnected", "info")
        elif self.status == 0:
            self.status = 500  # what servers make of it
            self.tell("no response", "error")
        else:
            self.tell("incomplete", "warning")

    def failed(self, error: BaseException) -> None:
        """The app raised: one event with the traceback, unless only the client left or the server gave up."""
        left = _routes.client_left(error) or (self.gone and not isinstance(error, Exception))
        if not left and isinstance(error, Exception):
            self._tell_error(error)
        mark_as_told(error)
        if not self.told:
            self._tell_failed(error, left=left)
        self.end(error)

    def _tell_error(self, error: Exception) -> None:
        fields = {"method": self.carrier["method"], "path": self.path, "exc_info": error}
        self.middleware.emit("error", "request.failed", fields)

    def _tell_failed(self, error: BaseException, *, left: bool) -> None:
        if left:
            self.tell("disconnected", "info")
        elif isinstance(error, Exception):
            self.status = self.status or 500  # a framework's outer handler makes it, where we cannot see
            self.tell("error", "error")
        else:
            self.tell("cancelled", "warning")

    def tell(self, outcome: str, level: str) -> None:
        """Say the access event, once."""
        self.told = True
        middleware, scope, status = self.middleware, self.carrier, self.status
        if outcome != "ok":
            self.outcome = outcome
        route = middleware.route(scope) if middleware.kind else None
        if route is not None:
            self.name = route
        if self.local in middleware.probes.paths and is_green_probe(middleware.probes, self.local, status):
            return
        client = scope.get("client")
        middleware.access(
            level,
            "request",
            {
                "method": scope["method"],
                "path": self.path,
                "route": route,
                "status": status or None,
                "duration_ms": int((self.hands.now() - self.started) * 1_000_000) / 1000,  # saves a call
                "bytes": self.bytes,
                "client": client[0] if client else None,
                "outcome": outcome,
            },
        )

    def cut(self) -> None:
        """End the task that serves it."""
        if self.task is not None:
            self.task.get_loop().call_soon_threadsafe(self.task.cancel)


class Telling(Exchange):
    """One whose answer tells the release too; a class of its own, so that it costs nothing where nobody asked."""

    __slots__ = ()

    def _headers(self, given: Any) -> list[Any]:
        headers = super()._headers(given)
        ((name, value),) = self.middleware.told
        if not any(pair[0].lower() == name for pair in headers):
            headers.append((name, value))
        return headers


async def answer_probe(middleware: ASGIMiddleware, path: str, scope: Scope, send: Send) -> None:
    """Answer the probe at *path* before the app; one that fails is an access event."""
    began = monotonic()
    answer = middleware.probes.answer(path)
    request_id = _request_id(middleware, scope)
    sent = b"" if scope["method"] == "HEAD" else answer.body
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
    headers += [(middleware.id_header, request_id.encode("latin-1")), *middleware.told]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": sent, "more_body": False})  # Quart's test client reads it
    if answer.failed:
        client = scope.get("client")
        fields = answer.event(scope["method"], path, monotonic() - began, len(sent), client[0] if client else None)
        middleware.emit("warning", "request", {"request_id": request_id, **fields})


def _request_id(middleware: ASGIMiddleware, scope: Scope) -> str:
    given = [value for name, value in scope["headers"] if name == middleware.id_header]
    accepted = parse_request_id(given[0].decode("latin-1")) if len(given) == 1 else None
    return accepted or new_id()
