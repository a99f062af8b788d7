"""TF608: a session, cache, lock or broker back end that keeps its state in the process."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

from twelvefactor.factor import Finding
from twelvefactor.processes.companions import Companion
from twelvefactor.processes.looking import attribute, length, namespace
from twelvefactor.processes.rules import TF608

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twelvefactor._core.process import Process
    from twelvefactor.processes.units import Unit

BACKENDS: dict[tuple[str, str], str] = {
    ("cachelib.simple", "SimpleCache"): "cache",
    ("cachelib.file", "FileSystemCache"): "cache on the local disk",
    ("flask_caching.backends.simplecache", "SimpleCache"): "cache",
    ("flask_caching.backends.filesystemcache", "FileSystemCache"): "cache on the local disk",
    ("flask_session.sessions", "FileSystemSessionInterface"): "session store on the local disk",
    ("flask_session.filesystem.filesystem", "FileSystemSessionInterface"): "session store on the local disk",
    ("limits.storage.memory", "MemoryStorage"): "rate limiter",
    ("limits.aio.storage.memory", "MemoryStorage"): "rate limiter",
    ("aiocache.backends.memory", "SimpleMemoryCache"): "cache",
    ("fastapi_cache.backends.inmemory", "InMemoryBackend"): "cache",
    ("dogpile.cache.backends.memory", "MemoryBackend"): "cache",
    ("dogpile.cache.backends.memory", "MemoryPickleBackend"): "cache",
    ("diskcache.core", "Cache"): "cache on the local disk",
    ("dramatiq.brokers.stub", "StubBroker"): "broker",
    ("taskiq.brokers.inmemory_broker", "InMemoryBroker"): "broker",
    ("huey.api", "MemoryHuey"): "broker",
    ("huey.storage", "MemoryStorage"): "broker",
    ("channels.layers", "InMemoryChannelLayer"): "channel layer",
    ("litestar.stores.memory", "MemoryStore"): "session store",
    ("litestar.stores.file", "FileStore"): "session store on the local disk",
    ("starsessions.stores.memory", "InMemoryStore"): "session store",
    ("apscheduler.jobstores.memory", "MemoryJobStore"): "job store",
    ("fakeredis._server", "FakeServer"): "stand-in for Redis",
    ("fakeredis._basefakesocket", "FakeServer"): "stand-in for Redis",
    ("tornado_sqlalchemy.memory", "MemoryStore"): "session store",
    ("cherrypy.lib.sessions", "RamSession"): "session store",
    ("aiohttp_session", "SimpleCookieStorage"): "session store",
}
_LOCAL_CACHES = {
    "django.core.cache.backends.locmem.LocMemCache": "cache",
    "django.core.cache.backends.filebased.FileBasedCache": "cache on the local disk",
}
_HINT = "Attach a backing service for it, such as Redis; a process that is restarted forgets this one."


class Backends(Companion):
    """The back ends that are configured, and Django's default cache where work uses it."""

    def __init__(self, process: Process) -> None:
        self.process = process

    def install(self) -> None:
        """Say that somebody looks."""
        self.process.evidence.looked(TF608, at="the back ends of well-known libraries")

    def ready(self) -> None:
        """Judge what start-up configured."""
        for name, what in {*_instances(), *_django(), *_celery()}:
            self._report(name, what)

    def begin(self, unit: Unit) -> None:
        """How full is Django's default cache?"""
        unit.notes["locmem"] = _locmem_entries()

    def end(self, unit: Unit) -> None:
        """A default that nobody configured counts where work puts something into it."""
        before = unit.notes.pop("locmem", None)
        if before is not None and (_locmem_entries() or 0) > before:
            self._report("django.core.cache.backends.locmem.LocMemCache", "cache", unit.id)

    def _report(self, name: str, what: str, work: str | None = None) -> None:
        self.process.evidence.report(
            Finding(TF608, f"the {what} {name} lives in the process", culprit=name, hint=_HINT, work=work)
        )


def _instances() -> Iterator[tuple[str, str]]:
    """The live objects of the classes that are known to keep state in the process."""
    wanted = [(each, key) for key in BACKENDS for each in _family(key)]
    if not wanted:
        return
    keys = {id(each): key for each, key in wanted}  # no metaclass is asked for a hash
    for value in gc.get_referrers(*(each for each, _ in wanted)):  # an instance refers to its class
        key = keys.get(id(type(value)))
        if key is not None:
            yield f"{key[0]}.{key[1]}", BACKENDS[key]


def _family(key: tuple[str, str]) -> Iterator[type]:
    """The class that *key* names, where its module is loaded, and all that come from it."""
    module = sys.modules.get(key[0])
    todo: list[Any] = [(namespace(module) or {}).get(key[1])] if module is not None else []
    while todo:
        each = todo.pop()
        if issubclass(type(each), type):  # a proxy is not asked for its class
            yield each
            todo.extend(type.__subclasses__(each))


def _django() -> Iterator[tuple[str, str]]:
    settings = _django_settings()
    if settings is None:
        return
    explicit = settings.get("_explicit_settings")
    caches = settings.get("CACHES")
    backends: dict[str, Any] = {}
    for alias, cache in caches.items() if type(caches) is dict else ():
        backends[alias] = cache.get("BACKEND") if type(cache) is dict else None
        if type(explicit) is not set or "CACHES" in explicit:
            what = _LOCAL_CACHES.get(backends[alias] or "")
            if what is not None:
                yield backends[alias], what
    engine = settings.get("SESSION_ENGINE")
    if engine == "django.contrib.sessions.backends.file":
        yield engine, "session store on the local disk"
    if engine == "django.contrib.sessions.backends.cache":
        backend = backends.get(settings.get("SESSION_CACHE_ALIAS") or "default") or ""
        if backend in _LOCAL_CACHES:
            yield engine, "session store"
    layers = settings.get("CHANNEL_LAYERS")
    for layer in layers.values() if type(layers) is dict else ():
        if type(layer) is dict and layer.get("BACKEND") == "channels.layers.InMemoryChannelLayer":
            yield "channels.layers.InMemoryChannelLayer", "channel layer"


def _django_settings() -> dict[str, Any] | None:
    """What the app's settings module says, without asking the lazy object."""
    conf = sys.modules.get("django.conf")
    lazy = (namespace(conf) or {}).get("settings") if conf is not None else None
    wrapped = attribute(lazy, "_wrapped") if lazy is not None else None
    if wrapped is None:
        return None
    names = namespace(wrapped)
    return names if names and "CACHES" in names else None


def _celery() -> Iterator[tuple[str, str]]:
    """A Celery app whose broker is in memory."""
    state = sys.modules.get("celery._state")
    app = (namespace(state) or {}).get("default_app") if state is not None else None
    conf = (namespace(app) or {}).get("_preconf") if app is not None else None
    url = conf.get("broker_url") if type(conf) is dict else None
    if type(url) is str and url.startswith("memory:"):
        yield "kombu.transport.memory", "broker"


def _locmem_entries() -> int | None:
    module = sys.modules.get("django.core.cache.backends.locmem")
    caches = (namespace(module) or {}).get("_caches") if module is not None else None
    if type(caches) is not dict:
        return None
    return sum(length(cache) or 0 for cache in list(caches.values()))
