"""Which adapter takes a queue object: the table of strings, then what was registered, then installed entry points."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from twelvefactor._core.lazy import load
from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twelvefactor.service import Service

    Adopt = Callable[[Service[Any], Any], None]

GROUP = "twelvefactor.queues"

TABLE = {
    "celery": "twelvefactor.integrations.celery:jobs",
    "rq": "twelvefactor.integrations.rq:jobs",
    "dramatiq": "twelvefactor.integrations.dramatiq:jobs",
    "arq": "twelvefactor.integrations.arq:jobs",
    "taskiq": "twelvefactor.integrations.taskiq:jobs",
    "huey": "twelvefactor.integrations.huey:jobs",
    "faststream": "twelvefactor.integrations.faststream:jobs",
    "apscheduler": "twelvefactor.integrations.apscheduler:jobs",
}
"""The adapter of each library, by the package that the queue object's class comes from."""

_registered: dict[str, str | Adopt] = {}
_lock = threading.Lock()


def register(package: str, adopt: str | Adopt) -> None:
    """
    Let *adopt* (or ``module:attribute`` of it) take the queue objects whose class comes from *package*.

    It is called with the service and the object. A built-in package keeps its adapter. Idempotent, thread-safe.

    Raises:
        ValueError: The package is built in, or registered with another adapter.
    """
    with _lock:
        known: Any = TABLE.get(package, _registered.get(package))
        if known is not None and known != adopt:
            raise ValueError(f"queues of {package!r} are taken by {known} already")
        _registered[package] = adopt


def take_over(service: Service[Any], queue: Any) -> None:
    """
    Let the adapter of its library take *queue*; nothing is touched where the mode is off.

    Raises:
        UsageError: Nothing is known of this kind of object.
    """
    adopt = _adapter(queue)
    if not service.off:
        adopt(service, queue)


def _adapter(queue: Any) -> Adopt:
    for package in packages(queue):
        found = TABLE.get(package) or _registered.get(package) or _installed(package)
        if found is not None:
            adopt: Adopt = load(found) if isinstance(found, str) else found
            return adopt
    kind, known = type(queue), ", ".join(sorted({*TABLE, *_registered}))
    raise UsageError(
        f"service.jobs() does not know {kind.__module__}.{kind.__qualname__}; it takes the queue objects of {known}; "
        "for a loop of your own use `with service.work('job', name):`"
    )


def packages(queue: Any) -> Iterator[str]:
    """
    The top-level packages that *queue* comes from, its own class first; ``arq`` for a class of worker settings.

    >>> next(packages(threading.Lock())), next(packages(type("WorkerSettings", (), {"functions": []})))
    ('_thread', 'arq')
    """
    if isinstance(queue, type) and any(hasattr(queue, name) for name in ("functions", "cron_jobs")):
        yield "arq"
    kind = queue if isinstance(queue, type) else type(queue)
    for base in kind.__mro__:
        yield base.__module__.partition(".")[0]


def _installed(package: str) -> Adopt | None:
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP, name=package):
        found: Adopt = entry.load()
        return found
    return None
