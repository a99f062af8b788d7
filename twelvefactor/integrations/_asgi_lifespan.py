"""The life of the process as an ASGI server tells it: start before the app, stop after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.integrations._web import MARK

if TYPE_CHECKING:
    from twelvefactor.integrations._asgi_types import Message, Receive, Scope, Send
    from twelvefactor.integrations.asgi import ASGIMiddleware


class Lifespan:
    """
    The service starts before the app does and is ready once the app is; work ends before the app closes what it uses,
    and the service's hooks run once the app has shut down.
    """

    def __init__(self, middleware: ASGIMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        self.middleware = middleware
        self.service = middleware.service
        self.scope = scope
        self._receive = receive
        self._send = send
        self._asked = False
        self._started_up = False
        self._failed = False

    async def serve(self) -> None:
        """Serve the lifespan; an app that knows none gets the service's."""
        try:
            self.service.start()
        except Exception as error:
            await self._refuse(error)
            raise
        self.middleware.learn(self.scope)
        self.scope[MARK] = self.middleware.in_flight
        try:
            await self.middleware.app(self.scope, self.receive, self.send)
        except Exception as error:
            if self._started_up or self._failed:
                raise
            await self._without_app(error)
        else:
            if not self._started_up and not self._failed:
                await self._without_app(None)

    async def _refuse(self, error: Exception) -> None:
        """A server that saw only the exception would take it for an app without lifespan, and serve."""
        await self._receive()
        await self._send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})

    async def receive(self) -> Message:
        """What the server sends; at shutdown the work in flight is waited for before the app closes what it uses."""
        message = await self._receive()
        if message["type"] == "lifespan.startup":
            self._asked = True
        elif message["type"] == "lifespan.shutdown":
            await self.service.settle()
        return message

    async def send(self, message: Message) -> None:
        """What the app answers, with our part before it: ready hooks, then shutdown hooks and resources."""
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            await self._complete(message)
        elif kind == "lifespan.startup.failed":
            await self._app_failed(message)
        elif kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            await self.service.leave()
            await self._send(message)
        else:
            await self._send(message)

    async def _complete(self, message: Message) -> None:
        try:
            await self.service.aready()
        except Exception as error:
            self.service.fault("on_ready", error)
            await self._app_failed({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
            raise
        self._started_up = True
        await self._send(message)
        self.service.serves()

    async def _app_failed(self, message: Message) -> None:
        """Say it once: an app that our own failure runs through says it again."""
        if not self._failed:
            self._failed = True
            await self._send(message)
            await self.service.aclose()

    async def _without_app(self, error: Exception | None) -> None:
        """
        The app has no lifespan: answer for it, so that start and stop are told all the same.

        Servers treat an app that raises here likewise: they go on without a lifespan.
        """
        if error is not None and self._asked:
            self.service.event("warning", "twelvefactor.lifespan.raised", exc_info=error)
        else:
            why = "it returned at once" if error is None else f"it raised {type(error).__name__}"
            self.service.event("info", "twelvefactor.lifespan.not_supported", because=why)
        if not self._asked:
            await self.receive()
        await self._complete({"type": "lifespan.startup.complete"})
        await self.receive()
        await self.send({"type": "lifespan.shutdown.complete"})
