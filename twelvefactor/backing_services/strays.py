"""TF403: a client that the app builds beside `attach`, so that nothing checks, drains or closes it."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from twelvefactor.backing_services.http_strays import HTTP_CLIENTS, HTTPStrays
from twelvefactor.backing_services.resources import is_opening, resources_of
from twelvefactor.backing_services.rules import TF403
from twelvefactor.backing_services.sql import was_given
from twelvefactor.factor import Finding
from twelvefactor.work import current_work, nothing

if TYPE_CHECKING:
    from types import FrameType

    from twelvefactor._core.process import Process

CLIENTS = {
    "redis.client": ("Redis",),
    "redis.asyncio.client": ("Redis",),
    "redis.cluster": ("RedisCluster",),
    "pymongo.synchronous.mongo_client": ("MongoClient",),
    "pymongo.asynchronous.mongo_client": ("AsyncMongoClient",),
    "pymemcache.client.hash": ("HashClient",),
    "kombu.connection": ("Connection",),
    "aio_pika.robust_connection": ("RobustConnection",),
    "nats.aio.client": ("Client",),
    "elasticsearch._sync.client": ("Elasticsearch",),
    "elasticsearch._async.client": ("AsyncElasticsearch",),
}
"""The constructors that are watched, by module; those of HTTP clients are judged by `HTTPStrays`."""

_ALL = {**CLIENTS, **HTTP_CLIENTS}
_MARK = "_twelvefactor_watched"


class Strays:
    """Watch who constructs a client of a backing service, while the constructors' modules are imported."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._watched: list[tuple[type, Any]] = []
        self._engines: set[int] = set()
        self._listening = False
        self._http = HTTPStrays(process)

    def install(self) -> None:
        """Wrap the constructors that are there; those imported later are wrapped when the next work begins."""
        self._process.in_flight.observe(self)
        self.imported()
        self._process.evidence.looked(
            TF403, at="constructors of " + ", ".join(sorted({"sqlalchemy", *map(_top, _ALL)}))
        )

    def remove(self) -> None:
        """Put the constructors back."""
        self._process.in_flight.unobserve(self)
        self._http.remove()
        if self._listening:
            self._listen(on=False)
        while self._watched:
            cls, original = self._watched.pop()
            if getattr(cls.__dict__.get("__init__"), _MARK, None) is self:
                cls.__init__ = original  # type: ignore[misc]  # put back what was there

    begin = end = staticmethod(nothing)

    def _listen(self, *, on: bool) -> None:
        """SQLAlchemy reads its engines' constructor, so that is left alone: an engine is seen when it connects."""
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        (event.listen if on else event.remove)(Engine, "engine_connect", self._engine_connects)
        self._listening = on

    def _engine_connects(self, connection: Any) -> None:
        engine = connection.engine
        if id(engine) in self._engines:
            return
        self._engines.add(id(engine))
        attached = [each.client for each in resources_of(self._process) or ()]
        attached += [getattr(client, "sync_engine", None) for client in attached]
        if any(engine is client for client in attached) or was_given(engine.url):
            return
        self._look(type(engine), sys._getframe(1))

    def imported(self) -> None:
        """Wrap what was imported meanwhile."""
        if not self._listening and "sqlalchemy.engine.base" in sys.modules:
            self._listen(on=True)
        if len(self._watched) == sum(map(len, _ALL.values())):
            return
        known = {cls for cls, _ in self._watched}
        for module, names in _ALL.items():
            for name in names:
                cls = getattr(sys.modules.get(module), name, None)
                if isinstance(cls, type) and cls not in known:
                    self._wrap(cls, stays=module in HTTP_CLIENTS)

    def _wrap(self, cls: type, *, stays: bool) -> None:
        original: Any = cls.__dict__.get("__init__", object.__init__)

        @functools.wraps(original)
        def watched(instance: Any, *args: Any, **kwargs: Any) -> None:
            if stays:
                original(instance, *args, **kwargs)
            if not is_opening() and not (stays and self._is_of_another_library(cls, type(instance))):
                self._look(cls, sys._getframe(1), instance if stays else None)
            if not stays:
                original(instance, *args, **kwargs)

        setattr(watched, _MARK, self)
        cls.__init__ = watched  # type: ignore[misc]  # until `remove`
        self._watched.append((cls, original))

    def _is_of_another_library(self, cls: type, made: type) -> bool:
        """Whether *made* is a client of its own kind, as a framework's test client is."""
        module = made.__module__
        file = getattr(sys.modules.get(module), "__file__", None) or ""
        return _top(module) != _top(cls.__module__) and not self._process.app_code.owns(file, module)

    def _look(self, cls: type, frame: FrameType, http_client: Any = None) -> None:
        try:
            caller = self._app_caller(cls, frame)
            if caller is None:
                return
            place = self._process.app_code.where(caller)
            work = current_work()
            message = f"{caller.f_code.co_qualname} builds a {cls.__module__}.{cls.__qualname__} beside attach"
            culprit = f"{caller.f_globals.get('__name__')}.{caller.f_code.co_qualname}"
            found = Finding(TF403, message, culprit=culprit, where=place, work=None if work is None else work.id)
            if http_client is None:
                self._process.evidence.report(found)
            else:
                self._http.note(http_client, functools.partial(self._process.evidence.report, found))
        except Exception as error:  # noqa: BLE001 - the client is built whatever we think of it
            self._process.fault("watching for clients beside attach", error)

    def _app_caller(self, cls: type, frame: FrameType | None) -> FrameType | None:
        """The app's frame, if only the client's own library stands between it and the constructor."""
        library = _top(cls.__module__)
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if self._process.app_code.owns(frame.f_code.co_filename, module):
                return frame
            if _top(module) != library:
                return None  # a framework builds it, such as Django or Celery from the shapes of a URL
            frame = frame.f_back
        return None


def _top(module: str) -> str:
    return module.partition(".")[0]
