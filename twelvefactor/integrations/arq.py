"""
arq: each job of a worker's settings a unit of work; what still runs at the end of its time is cancelled, which for arq
means that it is run again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import pickle
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from twelvefactor.exceptions import MissingExtraError

try:
    from arq.connections import ArqRedis, RedisSettings
    from arq.utils import import_string
    from redis.asyncio.retry import Retry
    from redis.backoff import ExponentialBackoff
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import TimeoutError as RedisTimeoutError
except ImportError as exc:
    raise MissingExtraError("arq") from exc

from twelvefactor.integrations._job import Job, Message, open_job
from twelvefactor.integrations._job_headers import for_message
from twelvefactor.integrations._job_settings import Settings
from twelvefactor.integrations._job_tasks import EARLY, JobTasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from twelvefactor.service import Service

_HEADERS = "twelvefactor"
_SEEN_AFTER = 0.1  # seconds
_TRIES = 12  # with pauses up to 5 s, about half a minute: longer than a Redis takes to restart
_headers: ContextVar[Mapping[str, Any] | None] = ContextVar("twelvefactor.arq", default=None)


def jobs(service: Service[Any], queue: Any) -> None:
    """
    Take over every job of *queue*, a class of worker settings; or let an `ArqRedis` pool send ids along. Idempotent.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(queue, ArqRedis):
        _send_ids(queue)
    elif isinstance(queue, type):
        if "twelvefactor" not in vars(queue):
            queue.twelvefactor = WorkerSettings(service, queue)  # type: ignore[attr-defined]  # a mark of ours
    else:
        raise TypeError(f"arq's jobs are those of a class of worker settings, not of {queue!r}")


# -- the ids in the message --------------------------------------------------------------------------------------------


def _send_ids(pool: Any) -> None:
    if not getattr(pool.job_serializer, "twelvefactor", False):
        pool.job_serializer = _serializer(pool.job_serializer)


def _serializer(plain: Callable[[Any], bytes] | None) -> Callable[[Any], bytes]:
    """*plain*, with the ids beside what arq writes of a job; a worker that does not know them reads past."""
    dumps = plain or pickle.dumps

    def serialize(data: Any) -> bytes:
        is_job = isinstance(data, dict) and "s" not in data  # a result has a success
        return dumps({**data, _HEADERS: for_message(sent_at=False)} if is_job else data)

    serialize.twelvefactor = True  # type: ignore[attr-defined]  # a mark of ours
    return serialize


def _deserializer(plain: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """*plain*, that keeps the ids for the job that is begun in the same task."""
    loads = plain or pickle.loads

    def deserialize(data: bytes) -> Any:
        read = loads(data)
        told = read.get(_HEADERS) if isinstance(read, dict) else None
        _headers.set(told if isinstance(told, dict) else None)
        return read

    return deserialize


# -- the worker --------------------------------------------------------------------------------------------------------


class WorkerSettings:
    """
    A class of worker settings, changed so that its worker's jobs are units of work.

    Args:
        service: Whose jobs they are.
        settings: Its own attributes, which are what arq reads, are replaced.
    """

    def __init__(self, service: Service[Any], settings: Any) -> None:
        self._service = service
        self._settings = settings
        self._jobs = JobTasks(service)
        self._made: dict[str, Any] = {}
        own = vars(settings)
        self._startup, self._shutdown = own.get("on_startup"), own.get("on_shutdown")
        settings.functions = [self._function(each) for each in own.get("functions") or ()]
        if own.get("cron_jobs"):
            settings.cron_jobs = [self._function(each) for each in own["cron_jobs"]]
        settings.on_startup, settings.on_shutdown = self._start, self._stop
        settings.job_serializer = _serializer(own.get("job_serializer"))
        settings.job_deserializer = _deserializer(own.get("job_deserializer"))
        if "job_completion_wait" not in own:
            settings.job_completion_wait = self._made["job_completion_wait"] = self._wait
        self._outlive_redis()

    def _outlive_redis(self) -> None:
        """Where nobody said anything, try again when Redis restarts; alone arq's worker ends with its first error."""
        own = vars(self._settings)
        told = own.get("redis_settings") or RedisSettings()
        if own.get("redis_pool") is None and told.retry is None and not told.retry_on_error:
            self._settings.redis_settings = dataclasses.replace(
                told,
                retry=Retry(ExponentialBackoff(cap=5, base=0.1), _TRIES),
                # asyncio's own error too: redis-py 5 tries a refused connection again for no other reason
                retry_on_error=[RedisConnectionError, RedisTimeoutError, OSError],
            )
            self._made["redis_settings.retry"] = _TRIES

    @property
    def _wait(self) -> float:
        budget = self._service.budget
        return round(max(0.1, budget.drain + budget.work - _SEEN_AFTER), 2)

    def _function(self, function: Any) -> Any:
        """A coroutine function, the dotted name of one, or what arq's `func` and `cron` make of it."""
        if isinstance(function, str):
            function = import_string(function)
        if dataclasses.is_dataclass(function) and not isinstance(function, type):
            named: Any = function
            return dataclasses.replace(named, coroutine=self._job(named.coroutine, named.name))
        return self._job(function, function.__qualname__)

    def _job(self, function: Callable[..., Awaitable[Any]], name: str) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(function)
        async def run(ctx: Any, *args: Any, **kwargs: Any) -> Any:
            job = self._open(name, ctx)
            if job is None:
                return await function(ctx, *args, **kwargs)
            with job:
                self._jobs.add(job)
                try:
                    return await function(ctx, *args, **kwargs)
                except asyncio.CancelledError:
                    if self._service.stopping.is_set():
                        job.hand_back()
                    raise
                finally:
                    self._jobs.discard(job)

        return run

    def _open(self, name: str, ctx: Any) -> Job | None:
        """The job that arq tells of, or None: it runs all the same."""
        try:
            told = ctx if isinstance(ctx, dict) else {}
            due = told.get("score")
            queue = vars(self._settings).get("queue_name", "arq:queue")
            message = Message(
                name,
                told.get("job_id"),
                queue,
                told.get("job_try"),
                None if due is None else due / 1000,
                _headers.get(),
                vars(self._settings).get("job_timeout"),
            )
            return open_job(self._service, message)
        except Exception as error:  # noqa: BLE001 - the job runs all the same
            self._service.fault("arq: job", error)
            return None

    async def _start(self, ctx: dict[Any, Any]) -> None:
        service = self._service
        service.takes_jobs()
        service.start()
        if self._startup is not None:
            await self._startup(ctx)
        await service.aready()
        service.serves()
        self.check().tell(service)

    async def _stop(self, ctx: dict[Any, Any]) -> None:
        try:
            if self._shutdown is not None:
                await self._shutdown(ctx)
        finally:
            await self._service.leave()

    def check(self) -> Settings:
        """What is set, and what would lose jobs or their work."""
        own, settings = vars(self._settings), Settings("arq", dict(self._made))
        timeout = own.get("job_timeout", 300)
        settings.notes.append(
            f"the jobs of a worker that is killed are free for others after job_timeout ({timeout}) + 10 s"
        )
        if own.get("retry_jobs") is False:
            settings.wrong(
                "retry_jobs", "a job that is cancelled when its worker stops is not run again", "retry_jobs = True"
            )
        if own["job_completion_wait"] < self._wait - EARLY:
            settings.wrong(
                "job_completion_wait",
                "jobs in hand are cancelled before the grace period asks for it, and begin again",
                f"job_completion_wait = {self._wait:g}, or leave it out",
            )
        return settings
