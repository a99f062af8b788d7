"""TF803: a scheduler, or a queue's consumer, that runs inside a web process and so runs once in each replica."""

from __future__ import annotations

import functools
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from twelvefactor.concurrency.rules import TF803, TF803_CONSUMER
from twelvefactor.factor import Finding
from twelvefactor.work import nothing

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from twelvefactor._core.process import Process
    from twelvefactor.work import Work


class Watched(NamedTuple):
    """A method that runs a scheduler or a consumer for as long as it runs, or starts it."""

    module: str
    cls: str
    method: str
    library: str


SCHEDULERS = (
    Watched("apscheduler.schedulers.base", "BaseScheduler", "start", "APScheduler"),
    Watched("schedule", "Scheduler", "run_pending", "schedule"),
    Watched("celery.beat", "Service", "start", "Celery beat"),
    Watched("rq.cron", "CronScheduler", "start", "RQ's cron scheduler"),
)
CONSUMERS = (
    Watched("celery.worker.worker", "WorkController", "start", "a Celery worker"),
    Watched("kombu.mixins", "ConsumerMixin", "run", "a kombu consumer"),
    Watched("rq.worker.base", "BaseWorker", "work", "an RQ worker"),
    Watched("rq.worker", "Worker", "work", "an RQ worker"),
    Watched("dramatiq.worker", "Worker", "start", "a Dramatiq worker"),
    Watched("huey.consumer", "Consumer", "start", "a huey consumer"),
    Watched("arq.worker", "Worker", "main", "an arq worker"),
    Watched("taskiq.receiver.receiver", "Receiver", "listen", "a taskiq receiver"),
    Watched("pika.adapters.blocking_connection", "BlockingChannel", "start_consuming", "a pika consumer"),
)
_RUNS_ON = ((("apscheduler.schedulers.blocking", "BlockingScheduler", "_main_loop"), "APScheduler"),)
"""Where a method that started it has returned: what its thread is in from then on."""

_LOCKED = ("redbeat",)
"""Schedulers for Celery beat that take a shared lock; of several, one is at work."""

_MARK = "_twelvefactor_watched"


class Companions:
    """Watches who starts a scheduler or a consumer beside the requests, and looks once for those that run already."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._wrapped: list[tuple[type, str, Any]] = []
        self._seen: dict[str, tuple[Watched, str, str]] = {}

    def install(self) -> None:
        """Wrap the methods that are there; those imported later are wrapped when the next work begins."""
        self._process.in_flight.observe(self)
        self.imported()
        names = sorted({each.library for each in SCHEDULERS})
        self._process.evidence.looked(TF803, f"{', '.join(names)}, and the queues' consumers")

    def remove(self) -> None:
        """Put the methods back."""
        self._process.in_flight.unobserve(self)
        while self._wrapped:
            cls, method, original = self._wrapped.pop()
            if getattr(cls.__dict__.get(method), _MARK, None) is self:
                setattr(cls, method, original)

    def ready(self) -> None:
        """Look for what was started before us, and tell what was seen before the type was known."""
        self._look_at_threads()
        self._look_at_loop()
        self._tell()

    begin: Callable[[Work], None] = staticmethod(nothing)
    end = staticmethod(nothing)

    # -- what is started from now on -----------------------------------------------------------------------------

    def imported(self) -> None:
        """Wrap what was imported meanwhile."""
        known = {(cls, method) for cls, method, _ in self._wrapped}
        for each in (*SCHEDULERS, *CONSUMERS):
            cls = getattr(sys.modules.get(each.module), each.cls, None)
            if isinstance(cls, type) and each.method in cls.__dict__ and (cls, each.method) not in known:
                self._wrap(cls, each)

    def _wrap(self, cls: type, watched: Watched) -> None:
        original: Any = cls.__dict__[watched.method]

        @functools.wraps(original)
        def started(instance: Any, *args: Any, **kwargs: Any) -> Any:
            self._started(watched, instance)
            return original(instance, *args, **kwargs)

        setattr(started, _MARK, self)
        setattr(cls, watched.method, started)
        self._wrapped.append((cls, watched.method, original))

    def _started(self, watched: Watched, instance: Any) -> None:
        try:
            if not _has_shared_lock(instance):
                frame = self._process.app_code.frame()
                self._see(watched, self._process.app_code.where(frame))
                self._tell()
        except Exception as error:  # noqa: BLE001 - it starts whatever we think of it
            self._process.fault("watching schedulers", error)

    def _see(self, watched: Watched, where: str) -> None:
        self._seen.setdefault(watched.library, (watched, watched.library, where))

    # -- what runs already ---------------------------------------------------------------------------------------

    def _look_at_threads(self) -> None:
        """A thread that runs one has its method, or the loop that the method left it in, on its stack."""
        known = self._codes()
        if not known:
            return
        own = threading.get_ident()
        for ident, top in sys._current_frames().items():  # noqa: SLF001 - documented for debuggers, which this is
            frame = None if ident == own else top
            while frame is not None:
                watched = known.get(frame.f_code)
                if watched is not None and not _has_shared_lock(frame.f_locals.get("self")):
                    self._see(watched, "")
                frame = frame.f_back

    def _codes(self) -> dict[CodeType, Watched]:
        """The code of each watched method that is loaded."""
        found = {}
        for each in (*SCHEDULERS, *CONSUMERS):
            method: Any = getattr(getattr(sys.modules.get(each.module), each.cls, None), each.method, None)
            method = getattr(method, "__wrapped__", method)
            if hasattr(method, "__code__"):
                found[method.__code__] = each
        for (module, cls, name), library in _RUNS_ON:
            method = getattr(getattr(sys.modules.get(module), cls, None), name, None)
            if hasattr(method, "__code__"):
                found[method.__code__] = next(each for each in SCHEDULERS if each.library == library)
        return found

    def _look_at_loop(self) -> None:
        """An AsyncIOScheduler has no thread: its timer waits in the loop that runs here."""
        import asyncio

        module = sys.modules.get("apscheduler.schedulers.asyncio")
        if module is None:
            return
        try:
            loop: Any = asyncio.get_running_loop()
        except RuntimeError:
            return
        for handle in (*getattr(loop, "_scheduled", ()), *getattr(loop, "_ready", ())):  # uvloop does not show them
            callback = getattr(handle, "_callback", None)
            owner = getattr(callback, "__self__", None) or next(iter(getattr(callback, "args", ())), None)
            if isinstance(owner, module.AsyncIOScheduler) and owner.running:
                self._see(SCHEDULERS[0], "")

    # -- telling -------------------------------------------------------------------------------------------------

    def _ask_again(self, how: Callable[[Work], None]) -> None:
        """A process that was not told its type is a web process from its first request on."""
        if self.begin != how:
            self.begin = how
            self._process.in_flight.observe_anew()

    def _tell(self, _: Work | None = None) -> None:
        if self._process.process_type != "web":
            self._ask_again(self._tell if self._seen else nothing)
            return
        self._ask_again(nothing)
        seen, self._seen = self._seen, {}
        for watched, library, where in seen.values():
            consumer = watched in CONSUMERS
            what = "each replica consumes beside its requests" if consumer else "each replica repeats its work"
            rule = TF803_CONSUMER if consumer else TF803
            self._process.evidence.report(
                Finding(rule, f"{library} runs inside this web process: {what}", library, where)
            )


def _has_shared_lock(instance: Any) -> bool:
    """Whether *instance* is a beat whose scheduler takes a lock in the broker."""
    named = getattr(instance, "scheduler_cls", None)
    module = getattr(named, "__module__", named if isinstance(named, str) else "")
    return any(each in str(module) for each in _LOCKED)
