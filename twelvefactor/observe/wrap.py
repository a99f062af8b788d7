"""Around an app that a server serves: each request is a unit of work, and nothing of it is changed."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from twelvefactor.integrations import _routes
from twelvefactor.integrations.asgi import ASGIMiddleware
from twelvefactor.integrations.wsgi import WSGIMiddleware
from twelvefactor.work import Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from twelvefactor.observe.stand_in import StandIn

_ASGI_ARGUMENTS = 3


def either(observer: StandIn, app: Any) -> Any:
    """*app* with the observer around it, whichever interface it speaks; as it is where that is neither."""
    if _is_coroutine(app):
        return asgi(observer, app) if _takes(app, _ASGI_ARGUMENTS) else _unknown(observer, app)
    return wsgi(observer, app) if _takes(app, 2) else _unknown(observer, app)


def asgi(observer: StandIn, app: Any) -> Any:
    """An ASGI *app* with the observer around it, once."""
    return app if isinstance(app, _Asgi | ASGIMiddleware) else _Asgi(observer, app)


def wsgi(observer: StandIn, app: Any) -> Any:
    """A WSGI *app* with the observer around it, once."""
    return app if isinstance(app, _Wsgi | _Asgi | WSGIMiddleware) else _Wsgi(observer, app)


def _is_coroutine(app: Any) -> bool:
    return any(map(inspect.iscoroutinefunction, (app, getattr(app, "__call__", None))))  # noqa: B004 - the method itself


def _takes(app: Any, count: int) -> bool:
    try:
        inspect.signature(app).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def _unknown(observer: StandIn, app: Any) -> Any:
    observer.cannot(f"{type(app).__module__}.{type(app).__qualname__} is neither an ASGI nor a WSGI app that we know")
    return app


class _Request(Work):
    """A request; its name is the route, where the framework knows it."""

    __slots__ = ("app",)

    def __init__(self, observer: StandIn, path: str, carrier: Any, app: Any) -> None:
        super().__init__(observer.in_flight, "request", path)
        self.carrier = carrier
        self.app = app

    def end(self, error: BaseException | None = None) -> None:
        """Name it, then close it."""
        if not self.closed:
            try:
                kind, framework = _routes.framework(self.app)
                self.name = _routes.template(kind, framework, self.carrier) or self.name
            except Exception:  # noqa: BLE001, S110 - the path is name enough
                pass
        super().end(error)


def _served(observer: StandIn) -> bool:
    """Whether this process is observed, now that it serves."""
    if observer.aside:
        return False
    if not observer.started or observer.process_type is None:
        observer.start()
        observer.become("web")
    observer.ready()
    return True


class _Asgi:
    """An ASGI app, each request and WebSocket of which is a unit of work."""

    def __init__(self, observer: StandIn, app: Any) -> None:
        self.app = app
        self._observer = observer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] not in ("http", "websocket") or not _served(self._observer):
            await self.app(scope, receive, send)
        else:
            work = _Request(self._observer, scope["path"], scope, scope.get("app") or self.app)
            work.streaming = scope["type"] == "websocket"
            with work:
                await self.app(scope, receive, send)

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        async def tell(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete":
                _served(self._observer)
            elif message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                self._observer.over()
            await send(message)

        await self.app(scope, receive, tell)


class _Wsgi:
    """A WSGI app, each request of which is a unit of work until the server closes its answer."""

    def __init__(self, observer: StandIn, app: Any) -> None:
        self.app = app
        self._observer = observer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        if not _served(self._observer):
            answer: Iterable[bytes] = self.app(environ, start_response)
            return answer
        work = _Request(self._observer, environ.get("PATH_INFO", ""), environ, self.app)
        work.begin()
        try:
            chunks = self.app(environ, start_response)
        except BaseException as error:
            work.end(error)
            raise
        if isinstance(chunks, list | tuple):  # nothing of the app runs any more
            work.end()
            return chunks
        return _Answer(chunks, work)


class _Answer:
    """What the app answers, chunk by chunk; it stays what it is to a server that knows files."""

    def __init__(self, chunks: Any, work: Work) -> None:
        self._chunks = chunks
        self._work = work

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chunks, name)

    def close(self) -> None:
        """The server is done with it."""
        error: BaseException | None = None
        try:
            if hasattr(self._chunks, "close"):
                self._chunks.close()
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._work.end(error)


class Jobs:
    """
    Celery's tasks as units of work.

    Args:
        observer: The observer of this process.
    """

    def __init__(self, observer: StandIn) -> None:
        self._observer = observer
        self._open: dict[str, Work] = {}

    def started(self, **_: Any) -> None:
        """A worker, or a child of its pool, takes tasks from now on."""
        if not self._observer.aside:
            self._observer.start()
            self._observer.become("worker")
            self._observer.ready()

    def began(self, task_id: str = "", task: Any = None, **_: Any) -> None:
        """A task begins."""
        if not self._observer.aside:
            self.started()
            work = Work(self._observer.in_flight, "job", getattr(task, "name", "task"))
            work.begin()
            self._open[task_id] = work

    def ended(self, task_id: str = "", **_: Any) -> None:
        """It is over, however it went."""
        work = self._open.pop(task_id, None)
        if work is not None:
            work.end()

    def over(self, **_: Any) -> None:
        """The worker, or a child of its pool, ends without running what others run at exit."""
        self._observer.over()
