"""
Attach to servers and queues as they are imported: each app that they serve is wrapped, each job is a unit of work.

A server whose names are not those that we know is told as one that could not be attached to, and serves as ever.
"""

from __future__ import annotations

import functools
import sys
import threading
from importlib.abc import Loader, MetaPathFinder
from typing import TYPE_CHECKING, Any

from twelvefactor.observe import wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from twelvefactor.observe.stand_in import StandIn


class Attach(MetaPathFinder):
    """
    Finds nothing itself; it waits for the modules of `POINTS`, and attaches to each when it has been imported.

    Args:
        observer: The observer of this process.
    """

    def __init__(self, observer: StandIn) -> None:
        self._observer = observer
        self._finding = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that others find, with a loader that tells us."""
        point = POINTS.get(fullname)
        if point is None or getattr(self._finding, "now", False):
            return None
        self._finding.now = True
        try:
            spec = next(filter(None, (each.find_spec(fullname, path, target) for each in _others(self))), None)
        finally:
            self._finding.now = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Telling(spec.loader, functools.partial(self._attach, point))
        return spec

    def _attach(self, point: Callable[[StandIn, Any], None], module: ModuleType) -> None:
        try:
            point(self._observer, module)
        except Exception as error:  # noqa: BLE001 - the app is served whatever its server has become
            why = f"{type(error).__name__}: {error}"
            self._observer.cannot(f"{module.__name__} is not as we know it, so its work is not seen ({why})")


def _others(ours: Attach) -> list[Any]:
    return [each for each in sys.meta_path if each is not ours and hasattr(each, "find_spec")]


class _Telling(Loader):
    """A loader that does what *loader* does, and then tells."""

    def __init__(self, loader: Any, tell: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._tell = tell

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._tell(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


# -- where each is met


def _uvicorn(observer: StandIn, module: Any) -> None:
    def met(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load(config: Any, *args: Any, **kwargs: Any) -> Any:
            observer.start()
            result = original(config, *args, **kwargs)
            config.loaded_app = wrap.asgi(observer, config.loaded_app)
            return result

        return load

    _replace(module.Config, "load", met)


def _gunicorn(observer: StandIn, module: Any) -> None:
    def met(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load_wsgi(worker: Any, *args: Any, **kwargs: Any) -> Any:
            observer.start()
            result = original(worker, *args, **kwargs)
            worker.wsgi = wrap.either(observer, worker.wsgi)
            return result

        return load_wsgi

    _replace(module.Worker, "load_wsgi", met)


def _hypercorn(observer: StandIn, module: Any) -> None:
    def met(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def wrap_app(app: Any, *args: Any, **kwargs: Any) -> Any:
            return original(wrap.either(observer, app), *args, **kwargs)

        return wrap_app

    _replace(module, "wrap_app", met)


def _granian(observer: StandIn, module: Any) -> None:
    def met(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load_target(*args: Any, **kwargs: Any) -> Any:
            observer.start()
            return wrap.either(observer, original(*args, **kwargs))

        return load_target

    _replace(module, "load_target", met)


def _waitress(observer: StandIn, module: Any) -> None:
    def met(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def create_server(application: Any, *args: Any, **kwargs: Any) -> Any:
            return original(wrap.wsgi(observer, application), *args, **kwargs)

        return create_server

    _replace(module, "create_server", met)


def _werkzeug(observer: StandIn, module: Any) -> None:
    def met(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def init(server: Any, *args: Any, **kwargs: Any) -> None:
            original(server, *args, **kwargs)
            server.app = wrap.wsgi(observer, server.app)

        return init

    _replace(module.BaseWSGIServer, "__init__", met)


def _wsgiref(observer: StandIn, module: Any) -> None:
    def met(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def set_app(server: Any, application: Any) -> Any:
            return original(server, wrap.wsgi(observer, application))

        return set_app

    _replace(module.WSGIServer, "set_app", met)


def _celery(observer: StandIn, module: Any) -> None:
    jobs = wrap.Jobs(observer)
    for signal, hear in (
        ("worker_process_init", jobs.started),
        ("worker_ready", jobs.started),
        ("task_prerun", jobs.began),
        ("task_postrun", jobs.ended),
        ("worker_process_shutdown", jobs.over),
        ("worker_shutdown", jobs.over),
    ):
        getattr(module, signal).connect(hear, weak=False)


def _multiprocessing(observer: StandIn, module: Any) -> None:
    module.register_after_fork(observer, type(observer).in_child)


def _replace(holder: Any, name: str, met: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put what *met* makes of it in its place; raises where it is not there."""
    setattr(holder, name, met(getattr(holder, name)))


POINTS: dict[str, Callable[[StandIn, Any], None]] = {
    "uvicorn.config": _uvicorn,
    "gunicorn.workers.base": _gunicorn,
    "hypercorn.utils": _hypercorn,
    "granian._internal": _granian,
    "waitress.server": _waitress,
    "werkzeug.serving": _werkzeug,
    "wsgiref.simple_server": _wsgiref,
    "celery.signals": _celery,
    "multiprocessing.util": _multiprocessing,
}
"""The modules that are waited for; Django's runserver serves with wsgiref's server, Flask's with werkzeug's."""
