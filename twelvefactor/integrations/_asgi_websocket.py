"""One WebSocket over ASGI, and a unit of work for each message received."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from twelvefactor._core.body import BODY, MOST
from twelvefactor.integrations import _routes
from twelvefactor.integrations._headers import take
from twelvefactor.integrations._web import MARK, mark_as_told, milliseconds
from twelvefactor.work import Work

if TYPE_CHECKING:
    from twelvefactor.integrations._asgi_types import Message, Receive, Scope, Send
    from twelvefactor.integrations.asgi import ASGIMiddleware

_GOING_AWAY = 1001  # RFC 6455, section 7.4.1: an endpoint is going away, such as a server going down


class Socket(Work):
    """
    One WebSocket; its connection is a unit of work, and so is each message.

    Attributes:
        path: As it came.
        status: 101 once it is accepted, or what it was refused with; 0 before.
        code: That it was closed with; None while it is open.
        now: The message in hand.
    """

    __slots__ = (
        "accepted",
        "code",
        "coming",
        "hung_up",
        "leaving",
        "messages_in",
        "messages_out",
        "middleware",
        "now",
        "path",
        "receive_on",
        "receiving",
        "send_on",
        "status",
        "task",
    )

    def __init__(self, middleware: ASGIMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        self.path: str = scope["path"]
        super().__init__(middleware.in_flight, "websocket", self.path)
        self.middleware = middleware
        self.receive_on = receive
        self.send_on = send
        self.accepted = self.hung_up = self.receiving = False
        self.status = 0
        self.code: int | None = None
        self.messages_in = self.messages_out = 0
        self.now: Work | None = None
        self.coming: asyncio.Future[Message] | None = None
        self.leaving: asyncio.Future[bool] | None = None
        self.streaming = True
        self.carrier = scope
        self.request_id = self.context["request_id"] = self.id
        take(self, middleware.id_header, [pair for pair in scope["headers"] if pair[0] in middleware.wanted])
        scope[MARK] = middleware.in_flight
        self.task = asyncio.current_task()

    async def receive(self) -> Message:
        """The next message, in a unit of work of its own; once the process stops, a disconnect instead."""
        self._end_message()
        message = await self._next()
        if message["type"] == "websocket.receive":
            self.messages_in += 1
            self._begin_message(message)
        elif message["type"] == "websocket.disconnect":
            self.hung_up = True
            if self.code is None:
                self.code = message.get("code")
        return message

    async def _next(self) -> Message:
        """Whichever comes first: the client's next message, or the end of the process."""
        if not self.accepted:
            return await self.receive_on()
        if self.coming is None:  # kept where the app cancelled its last receive: no message is lost
            self.coming = asyncio.ensure_future(self.receive_on())
        assert self.leaving is not None  # since it was accepted
        self.receiving = True
        try:
            await asyncio.wait((self.coming, self.leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.receiving = False
        if not self.coming.done():
            return await self._go_away()
        coming, self.coming = self.coming, None
        return coming.result()

    def _accepted(self) -> None:
        self.leaving = asyncio.ensure_future(self.middleware.service.stopping.wait_async())
        self.leaving.add_done_callback(self._told)

    def _told(self, leaving: asyncio.Future[bool]) -> None:
        """The process stops: an app that only ever sends, and so never hears of it, is closed here."""
        if not leaving.cancelled() and not self.receiving and self.now is None and self.coming is None:
            self.coming = asyncio.ensure_future(self._go_away())

    async def _go_away(self) -> Message:
        if not self.hung_up:
            self.hung_up, self.code = True, _GOING_AWAY
            await self.send_on({"type": "websocket.close", "code": _GOING_AWAY, "reason": "going away"})
        return {"type": "websocket.disconnect", "code": _GOING_AWAY, "reason": "going away"}

    def _begin_message(self, message: Message) -> None:
        self.now = now = Received(
            message,
            self.hands,
            "message",
            self.middleware.route(self.carrier) or self.name,
            request_id=self.request_id,
            trace_id=self.trace_id,
            span_id=self.span_id,
        )
        now.trace_flags, now.trace_state, now.carrier = self.trace_flags, self.trace_state, self.carrier
        now.begin()

    def _end_message(self, error: BaseException | None = None) -> None:
        now, self.now = self.now, None
        if now is not None:
            now.end(error)

    async def send(self, message: Message) -> None:
        """Pass *message* on; what the app sends after the process closed the socket is dropped."""
        kind = message["type"]
        if kind in ("websocket.accept", "websocket.http.response.start"):
            self.accepted = kind == "websocket.accept"
            self.status = _SWITCHING if self.accepted else message["status"]
            if self.accepted:
                self._accepted()
            message = {**message, "headers": self._headers(message.get("headers", ()))}
        elif kind == "websocket.send":
            if self._we_closed:
                return
            self.messages_out += 1
        elif kind == "websocket.close":
            if self._we_closed:
                return
            self.hung_up = True
            self._closed_by_app(message)
        await self.send_on(message)

    def _closed_by_app(self, message: Message) -> None:
        if self.accepted:
            self.code = message.get("code", 1000)
        else:
            self.status = _REFUSED

    @property
    def _we_closed(self) -> bool:
        return self.hung_up and self.code == _GOING_AWAY

    def _headers(self, given: Any) -> list[Any]:
        id_header = self.middleware.id_header
        headers = list(given)
        if not any(name == id_header for name, _ in headers):
            headers.append((id_header, str(self.request_id).encode("latin-1")))
        return headers

    def over(self, error: BaseException | None) -> None:
        """The app is done with the socket: say its one event."""
        left = error is not None and _routes.client_left(error)
        if error is not None:
            self._tell_error(error, left=left)
        self._end_message(None if left else error)
        for waiting in (self.coming, self.leaving):
            if waiting is not None:
                waiting.cancel()
        if error is not None and not left:
            self.outcome = "error" if isinstance(error, Exception) else "cancelled"
        self._tell()
        self.end(None if left else error)

    def _tell_error(self, error: BaseException, *, left: bool) -> None:
        if isinstance(error, Exception) and not left:
            fields = {"method": "WEBSOCKET", "path": self.path, "exc_info": error}
            self.middleware.emit("error", "request.failed", fields)
        mark_as_told(error)

    def _tell(self) -> None:
        client = self.carrier.get("client")
        route = self.middleware.route(self.carrier)
        self.name = route or self.name
        self.middleware.emit(
            _LEVELS.get(self.outcome or "ok", "info"),
            "websocket",
            {
                "path": self.path,
                "route": route,
                "status": self.status or None,
                "code": self.code,
                "duration_ms": milliseconds(self.hands.now() - self.started),
                "messages_in": self.messages_in,
                "messages_out": self.messages_out,
                "client": client[0] if client else None,
                "outcome": self.outcome or "ok",
            },
        )

    def cut(self) -> None:
        """End the task that serves it."""
        if self.task is not None:
            self.task.get_loop().call_soon_threadsafe(self.task.cancel)


class Received(Work):
    """
    One message of a socket.

    Args:
        message: As it was received.
        work: As for `Work`.
    """

    __slots__ = ("_message",)

    def __init__(self, message: Message, *work: Any, **ids: Any) -> None:
        super().__init__(*work, **ids)
        self._message = message

    def copy_body(self) -> None:
        """It is here already, and no other message's."""
        told = self._message.get("bytes") or str(self._message.get("text") or "").encode()
        self.carrier = {**self.carrier, BODY: bytearray(told[:MOST])}


_SWITCHING = 101
_REFUSED = 403  # what a server answers where the app closes before it accepts
_LEVELS = {"error": "error", "cancelled": "warning"}
