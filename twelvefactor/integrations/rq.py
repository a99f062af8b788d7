"""
RQ: each job a unit of work, and a worker that gives the job in hand back at the end of its time.

RQ offers no hook for that, so the worker is a class of ours: ``rq worker -w twelvefactor.integrations.rq.Worker``.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from twelvefactor.exceptions import MissingExtraError
from twelvefactor.integrations import _job_headers, _process_service, _rq_horse
from twelvefactor.integrations._job import HANDED_BACK, Message, open_job, say_handed_back
from twelvefactor.integrations._job_settings import Settings

try:
    import rq
    from rq.defaults import DEFAULT_MAINTENANCE_TASK_INTERVAL, DEFAULT_WORKER_TTL
    from rq.exceptions import AbandonedJobError
except ImportError as exc:
    raise MissingExtraError("rq") from exc

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from rq.job import Job
    from rq.queue import Queue

    from twelvefactor.service import Service

_HEADERS = "twelvefactor"
"""Where a job's ``meta`` keeps the ids of the work that sent it."""
_AGAIN = "twelvefactor.again"
"""Where it keeps how often it began again after a failure, which RQ does not count."""
_EARLY = 0.3  # seconds that giving back takes
_WORKER_TTL = 75  # seconds; an idle worker looks after lost jobs as often
_MAINTENANCE = 60  # seconds
_LISTENS = 25  # seconds; an idle worker asks anew as often, and so says that it turns
_LATE = 30.0  # seconds that a round may take longer than the wait in it
_AWAY = 60.0  # seconds, RQ's longest wait for a Redis that is away
LOOP = "RQ's loop"
_ABANDONED_MOST = 3
"""How often a job begins again whose worker was killed; more would be the job's own doing."""

_services: list[Service[Any]] = []
_taken: WeakSet[Any] = WeakSet()


def jobs(service: Service[Any], queue: Queue) -> None:
    """Let jobs that are sent to *queue* carry the ids of the work that sends them. Idempotent."""
    if service not in _services:
        _services.append(service)
    if queue in _taken:
        return
    _taken.add(queue)
    original = queue.create_job

    @functools.wraps(original)
    def create_job(*args: Any, **kwargs: Any) -> Job:
        job = original(*args, **kwargs)
        headers = _job_headers.for_message(sent_at=False)
        if headers:
            job.meta.setdefault(_HEADERS, headers)
        return job

    queue.create_job = create_job  # type: ignore[method-assign]  # of this queue alone


def message(job: Job) -> Message:
    """What RQ tells of *job*."""
    return Message(
        name=job.func_name or "",
        id=job.id,
        queue=job.origin,
        attempt=(job.number_of_retries or 0) + _agains(job) + 1,
        due=None if job.enqueued_at is None else job.enqueued_at.timestamp(),
        headers=job.meta.get(_HEADERS) if job.meta else None,
        timeout=float(job.timeout) if job.timeout and job.timeout > 0 else None,
        carrier=job,
    )


def current() -> Message | None:
    """What RQ tells of the job that runs here, or None."""
    job = rq.get_current_job()
    return None if job is None else message(job)


class _Serving(rq.worker.base.BaseWorker):
    """What both workers share."""

    in_hand: tuple[Job, Queue] | None = None
    handed_back: str | None = None
    forks = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.service = _services[-1] if _services else _process_service.find("twelvefactor.integrations.rq.Worker")
        super().__init__(*args, **kwargs)
        self.settings = Settings("rq")
        if not self.service.off:
            self._set()

    def _set(self) -> None:
        """Where the command line says nothing, look after the jobs of killed workers every minute or so."""
        if self.worker_ttl == DEFAULT_WORKER_TTL:
            self.worker_ttl = self.settings.made["worker_ttl"] = _WORKER_TTL
        if self.maintenance_interval == DEFAULT_MAINTENANCE_TASK_INTERVAL:
            self.maintenance_interval = self.settings.made["maintenance_interval"] = _MAINTENANCE
        self.push_exc_handler(self._abandoned)

    # -- its life --------------------------------------------------------------------------------------------------

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        """Start the service, then what RQ does."""
        if not self.service.off:
            self.service.takes_jobs()
            self.service.lead()
            self.service.start(sigterm=False)
            self.settings.tell(self.service)
        super().bootstrap(*args, **kwargs)

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()
        if not self.service.off:
            work = self.service.budget.drain + self.service.budget.work
            self.service.on_time_over(self._give_back, early=min(_EARLY, work / 2))
            self.service.catch_sigterm()
            self.service.ready()

    @property
    def dequeue_timeout(self) -> int:
        """Seconds that one wait for a job takes; RQ's own are a minute and more."""
        return min(super().dequeue_timeout, _LISTENS)

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        """What RQ does at each round of its loop, so the loop turns; while a job is in a process of its own too."""
        within = max(self.connection_timeout, self.job_monitoring_interval) + _LATE
        self._turned(within)
        try:
            super().heartbeat(*args, **kwargs)
        except Exception:  # RQ tries again where Redis is away
            self._turned(within + _AWAY)
            raise

    def _turned(self, within: float) -> None:
        self.service.turns.turned(LOOP, within, works=not self.forks)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop after the job in hand; a repeated SIGTERM changes nothing, whatever RQ puts in our handler's place."""
        before = signal.getsignal(signal.SIGTERM)
        self.service.drain()  # a pool of workers stops each by SIGINT
        try:
            super().request_stop(signum, frame)
        finally:
            if not self.service.off:
                signal.signal(signal.SIGTERM, _ignore if before == self.request_stop else before)

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """A second Ctrl-C still forces; in a pool it may be the second SIGTERM of the pool, which changes nothing."""
        if multiprocessing.parent_process() is not None and not self.service.off:
            return
        try:
            super().request_force_stop(signum, frame)
        except SystemExit:
            in_hand = None if self.service.off else self._hand_back()
            if in_hand is not None and self.forks:  # without a process of its own the job fails by this exception
                self._fail(*in_hand)
            raise

    def teardown(self) -> None:
        """What RQ does, then the end of the service."""
        try:
            super().teardown()
        finally:
            self.service.close()

    # -- jobs ------------------------------------------------------------------------------------------------------

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Know which job is in hand."""
        self.in_hand = job, queue
        try:
            super().execute_job(job, queue)
        finally:
            self.in_hand = None

    def perform_job(self, job: Job, queue: Queue, execution: Any) -> bool:
        """Do it as a unit of work."""
        if not self.service.off:
            job.perform = functools.partial(self._perform, job, job.perform)  # type: ignore[method-assign]  # once
        return super().perform_job(job, queue, execution)

    def _perform(self, job: Job, perform: Callable[[], Any]) -> Any:
        with open_job(self.service, message(job), start=not self.forks) as work:
            result = perform()
            if isinstance(result, rq.Retry):
                work.outcome = "retry"
        return result

    # -- giving back -----------------------------------------------------------------------------------------------

    def _give_back(self) -> bool:
        in_hand = self._hand_back()
        return in_hand is not None and self._drop(*in_hand)

    def _hand_back(self) -> tuple[Job, Queue] | None:
        """Let RQ retry the job in hand when it ends, and say so. Idempotent."""
        in_hand = self.in_hand
        if in_hand is None or self.handed_back == in_hand[0].id:
            return None
        job, _ = in_hand
        self.handed_back = job.id
        _retry_once(job)
        told = message(job)
        for work in self.service.in_flight:
            if work.id == told.id:
                work.outcome = HANDED_BACK
        say_handed_back(self.service, name=told.name, id=told.id, queue=told.queue, attempt=told.attempt)
        return in_hand

    def _drop(self, job: Job, queue: Queue) -> bool:
        """Let go of the job: RQ puts it back on its queue; whether the process must end at once."""
        self._fail(job, queue)
        self.register_death()
        return True

    def _fail(self, job: Job, queue: Queue) -> None:
        self.handle_job_failure(job, queue, exc_string="handed back", execution=self.execution)

    def _abandoned(self, job: Job, kind: type[BaseException], *_: Any) -> bool:
        """A job whose worker was killed with it begins again, a few times; RQ would fail it."""
        if issubclass(kind, AbandonedJobError):
            again = bool(job.retries_left)
            if not again and _agains(job) < _ABANDONED_MOST:
                _retry_once(job)
                again = True
            self._lost(job, "its worker was killed", again=again)
            if again:
                _count(job)
        return True

    def handle_job_failure(self, job: Job, *args: Any, **kwargs: Any) -> None:
        """What RQ does, with the attempt counted."""
        if job.should_retry and self._stopped_job_id != job.id:
            _count(job)
        super().handle_job_failure(job, *args, **kwargs)

    def _lost(self, job: Job, because: str, *, again: bool) -> None:
        told = message(job)
        fields = {"name": told.name, "id": told.id, "queue": told.queue, "attempt": told.attempt}
        self.service.event("error", "job.lost", **fields, begins_again=again, because=because)


class Worker(_Serving, rq.Worker):
    """RQ's worker, with a process for each job; for ``rq worker -w twelvefactor.integrations.rq.Worker``."""

    forks = True
    told: _rq_horse.Told | None = None
    jobs_done = 0

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """What RQ does, with a way for the job's process to tell what it finds."""
        if not self.service.off:
            self.told = _rq_horse.Told(self.service.findings)
        super().fork_work_horse(job, queue)
        if self.told is not None:
            self.told.forked()

    def monitor_work_horse(self, job: Job, queue: Queue, execution: Any) -> None:
        """What RQ does; then hear what was found, and say what a process of its own proves."""
        pid = self.horse_pid
        super().monitor_work_horse(job, queue, execution)
        if self.told is None:
            return
        self.jobs_done += 1
        try:
            self.told.hear()
            _rq_horse.ended(self.service, pid, job.func_name or "", job.id, self.jobs_done)
        except Exception as error:  # noqa: BLE001 - the next job must be taken
            self.service.fault("rq: the job's process", error)

    def setup_work_horse_signals(self) -> None:
        """In the job's process: a SIGTERM to all is the parent's to decide, which ends this one by SIGKILL."""
        super().setup_work_horse_signals()
        signal.signal(signal.SIGTERM, _ignore)  # a handler, since a program that the job starts would inherit SIG_IGN

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """In the job's process: hear of the stop from the parent."""
        if not self.service.off:
            self.service.hear_parent()
        super().main_work_horse(job, queue)

    def perform_job(self, job: Job, queue: Queue, execution: Any) -> bool:
        """Do it, and leave nothing unsaid: the process ends without exit hooks."""
        try:
            return super().perform_job(job, queue, execution)
        finally:
            self._last_words()

    def _last_words(self) -> None:
        try:
            if self.told is not None:
                self.told.tell()
        except Exception as error:  # noqa: BLE001 - the job is done
            self.service.fault("rq: the job's process", error)
        self.service.last_words()

    def _drop(self, job: Job, queue: Queue) -> bool:
        del job, queue  # RQ retries it when it sees that the process has ended
        self.kill_horse()
        return False

    def handle_work_horse_killed(self, job: Job, retpid: int, ret_val: int, rusage: Any) -> None:
        """Say that a job's process ended before the job, unless we did it."""
        if job.id != self.handed_back and not self.service.off:
            why = f"signal {os.WTERMSIG(ret_val)}" if os.WIFSIGNALED(ret_val) else f"exit status {ret_val >> 8}"
            self._lost(job, f"its process ended: {why}", again=bool(job.should_retry))
        super().handle_work_horse_killed(job, retpid, ret_val, rusage)


class SimpleWorker(_Serving, rq.SimpleWorker):
    """RQ's worker that does jobs in its own process, where the leak watch sees what they leave."""


def _retry_once(job: Job) -> None:
    """One more retry, at once, which RQ takes for its failure."""
    job.retries_left = (job.retries_left or 0) + 1
    job.retry_intervals = None


def _agains(job: Job) -> int:
    return int((job.meta or {}).get(_AGAIN) or 0)


def _count(job: Job) -> None:
    job.meta = {**(job.meta or {}), _AGAIN: _agains(job) + 1}


def _ignore(signum: int, frame: FrameType | None) -> None:
    """The signal is somebody else's to act on."""
