"""
APScheduler: each run of a scheduled job a unit of work; nothing is begun once the process stops.

A run that is cut belongs to no queue: a job that comes again comes again, and one that was due once is put back into
its store, where that outlives the process.
"""

from __future__ import annotations

import functools
import inspect
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from twelvefactor._core import threads
from twelvefactor.exceptions import MissingExtraError

try:
    from apscheduler.executors.pool import ProcessPoolExecutor
    from apscheduler.job import Job as ScheduledJob
    from apscheduler.jobstores.memory import MemoryJobStore
    from apscheduler.schedulers.base import STATE_RUNNING, BaseScheduler
    from apscheduler.triggers.date import DateTrigger
except ImportError as exc:
    raise MissingExtraError("apscheduler") from exc

from twelvefactor.integrations._job import Job, Message, job_in_hand, open_job
from twelvefactor.integrations._job_settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twelvefactor.service import Service


def jobs(service: Service[Any], queue: Any) -> None:
    """Take over every job of *queue*, a scheduler, those that are added later too. Idempotent."""
    if not isinstance(queue, BaseScheduler):
        raise TypeError(f"APScheduler's jobs are those of a scheduler, not of {queue!r}")
    if "twelvefactor" not in vars(queue):
        queue.twelvefactor = Runs(service, queue)


class Runs:
    """
    The runs of a scheduler's jobs.

    Args:
        service: Starts with a scheduler that has a process to itself.
        scheduler: Stands behind our start, and behind the look-up of its executors.
    """

    def __init__(self, service: Service[Any], scheduler: Any) -> None:
        self._service = service
        self._scheduler = scheduler
        self._open: dict[Job, tuple[Any, int]] = {}
        self._settings = Settings("apscheduler")
        self._starts, scheduler.start = scheduler.start, self._start
        self._looks_up, scheduler._lookup_executor = scheduler._lookup_executor, self._look_up  # noqa: SLF001 - of all kinds
        service.on_stopping(self._pause)
        service.on_time_over(self._give_back, early=0.1)

    def _start(self, *args: Any, **kwargs: Any) -> Any:
        service = self._service
        if not service.started:
            service.become("clock")
            service.takes_jobs()
            service.start()
            service.ready()
        self._settings.tell(service)
        return self._starts(*args, **kwargs)

    def _pause(self) -> None:
        if self._scheduler.state == STATE_RUNNING:
            self._scheduler.pause()

    # -- a run -----------------------------------------------------------------------------------------------------

    def _look_up(self, alias: str) -> Any:
        executor = self._looks_up(alias)
        if "submit_job" not in vars(executor):
            executor.submit_job = functools.partial(self._submit, executor, executor.submit_job)
        return executor

    def _submit(self, executor: Any, submit: Callable[..., Any], job: Any, due: Sequence[datetime]) -> Any:
        if isinstance(job.trigger, DateTrigger):
            self._tell_once()
        if isinstance(executor, ProcessPoolExecutor):  # what it is given goes to another process, pickled
            return submit(job, due)
        return submit(self._wrapped(job, due), due)

    def _tell_once(self) -> None:
        """A job that is due once is not there any more when it runs."""
        if not self._settings.wrongs:
            self._settings.wrong(
                "date",
                "a job that is due once leaves its store before it runs, so one whose process is killed is lost",
                "it for a queue that acknowledges: the job sends, a worker does",
            )
            self._settings.tell(self._service)

    def _wrapped(self, job: Any, due: Sequence[datetime]) -> Any:
        """A copy of *job* whose function runs in a unit of work."""
        copy = object.__new__(ScheduledJob)
        for name in ScheduledJob.__slots__:
            if name != "__weakref__":
                setattr(copy, name, getattr(job, name))
        function = job.func
        run = self._async(job, due) if inspect.iscoroutinefunction(_inner(function)) else self._sync(job, due)
        copy.func = functools.wraps(_inner(function))(run)
        return copy

    def _sync(self, job: Any, due: Sequence[datetime]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            unit = self._unit(job, due)
            if unit is None:
                return job.func(*args, **kwargs)
            with unit:
                self._open[unit] = job, threading.get_ident()
                try:
                    return job.func(*args, **kwargs)
                finally:
                    self._open.pop(unit, None)

        return run

    def _async(self, job: Any, due: Sequence[datetime]) -> Callable[..., Any]:
        async def run(*args: Any, **kwargs: Any) -> Any:
            unit = self._unit(job, due)
            if unit is None:
                return await job.func(*args, **kwargs)
            with unit:
                self._open[unit] = job, 0
                try:
                    return await job.func(*args, **kwargs)
                finally:
                    self._open.pop(unit, None)

        return run

    def _unit(self, job: Any, due: Sequence[datetime]) -> Job | None:
        """The unit of work of a run; None where one is open already, or a fault of ours is in the way."""
        try:
            if job_in_hand() is not None:
                return None
            moment = due[-1]
            message = Message(
                job.name,
                f"{job.id}@{moment.isoformat()}",
                job._jobstore_alias,  # noqa: SLF001 - the only way to it
                due=moment.timestamp(),
                carrier=job,
            )
            return open_job(self._service, message)
        except Exception as error:  # noqa: BLE001 - the job runs all the same
            self._service.fault("apscheduler: job", error)
            return None

    # -- giving back -----------------------------------------------------------------------------------------------

    def _give_back(self) -> None:
        """A job that was due once goes into its store again, for the process that comes after this one."""
        for unit, (job, thread) in tuple(self._open.items()):
            store = self._scheduler._lookup_jobstore(job._jobstore_alias)  # noqa: SLF001 - the only way to it
            if not isinstance(job.trigger, DateTrigger) or isinstance(store, MemoryJobStore):
                continue  # it comes again by itself; or nobody could, and TF903 names it
            self._put_back(job)
            unit.hand_back()
            if thread:  # after that: once no job is open, the process may end
                threads.interrupt(thread)

    def _put_back(self, job: Any) -> None:
        self._scheduler.add_job(
            job.func_ref,
            DateTrigger(datetime.now(UTC)),
            args=job.args,
            kwargs=job.kwargs,
            id=job.id,
            name=job.name,
            misfire_grace_time=None,  # however late the next process comes
            executor=job.executor,
            jobstore=job._jobstore_alias,  # noqa: SLF001 - as above
            replace_existing=True,
        )


def _inner(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function
