"""taskiq: each task a job, by a middleware; what still runs at the end of its time is sent to the queue anew."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from twelvefactor.exceptions import MissingExtraError

try:
    from taskiq import AsyncBroker, TaskiqMiddleware
    from taskiq.exceptions import NoResultError
except ImportError as exc:
    raise MissingExtraError("taskiq") from exc

from twelvefactor.integrations import _taskiq_streams as streams
from twelvefactor.integrations._job import HANDED_BACK, Job, Message, open_job
from twelvefactor.integrations._job_headers import SENT_AT, put
from twelvefactor.integrations._job_settings import Settings
from twelvefactor.integrations._job_tasks import EARLY, JobTasks

if TYPE_CHECKING:
    from taskiq import TaskiqMessage, TaskiqResult

    from twelvefactor.service import Service

GIVEN_BACK = "x-given-back"
"""How often a task was given back, in its labels."""
_SIGNALS_LATE = 1.0  # seconds; the manager of the workers looks once a second whether it was told to stop
_FORGETFUL = ("ListQueueBroker", "PubSubBroker", "ListQueueSentinelBroker", "PubSubSentinelBroker",
              "ListQueueClusterBroker", "ZeroMQBroker")  # fmt: skip
_KEEPING = ("RedisStreamBroker", "RedisStreamClusterBroker", "RedisStreamSentinelBroker", "AioPikaBroker")


def jobs(service: Service[Any], queue: Any) -> None:
    """Take over every task of *queue*, a broker, those that are declared later too. Idempotent."""
    if not isinstance(queue, AsyncBroker):
        raise TypeError(f"taskiq's jobs are those of a broker, not of {queue!r}")
    if not any(isinstance(each, Jobs) for each in queue.middlewares):
        middleware = Jobs(service)
        queue.add_middlewares(middleware)
        middleware.set_up()


class Jobs(TaskiqMiddleware):
    """
    A middleware that makes each task a job of *service*.

    Args:
        service: Whose jobs they are; it starts with the worker.
    """

    def __init__(self, service: Service[Any]) -> None:
        super().__init__()
        self._service = service
        self._jobs = JobTasks(service, self._give_back, early=EARLY + _SIGNALS_LATE)
        self._hands: dict[asyncio.Task[Any], list[Job]] = {}  # one inside another, where a task is run where it is sent
        self._errors: WeakKeyDictionary[asyncio.Task[Any], BaseException] = WeakKeyDictionary()
        self._made: dict[str, Any] = {}
        self._interrupts: Any = None

    def set_up(self) -> None:
        """Set what the broker needs where nobody set anything."""
        broker: Any = self.broker
        if streams.is_stream(broker):
            if broker.count == streams.DEFAULT_COUNT:
                broker.count = self._made["xread_count"] = 1
            streams.give_up_on_poison(self._service, broker)

    # -- the sender ------------------------------------------------------------------------------------------------

    def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        """Let the ids of the work that sends it go along, and the time."""
        message.labels.pop(SENT_AT, None)  # of an earlier attempt
        put(message.labels)
        return message

    # -- the worker ------------------------------------------------------------------------------------------------

    async def startup(self) -> None:
        """Start the service, in a worker."""
        if not self.broker.is_worker_process:
            return
        service = self._service
        service.takes_jobs()
        service.start()
        self._follow_manager()
        await service.aready()
        service.serves()
        self.check().tell(service)

    def _follow_manager(self) -> None:
        """The workers' manager tells them to stop by SIGINT; to the service that is a SIGTERM."""
        if threading.current_thread() is threading.main_thread():
            self._interrupts = signal.signal(signal.SIGINT, self._interrupted)

    def _interrupted(self, signum: int, frame: Any) -> None:
        if not self._service.stopping.is_set():
            signal.raise_signal(signal.SIGTERM)
        elif callable(self._interrupts):
            self._interrupts(signum, frame)

    async def shutdown(self) -> None:
        """Finish, and leave the process as it was."""
        if not self.broker.is_worker_process:
            return
        await self._service.leave()
        on_main = threading.current_thread() is threading.main_thread()
        if on_main and signal.getsignal(signal.SIGINT) == self._interrupted:
            signal.signal(signal.SIGINT, self._interrupts)

    # -- a task ----------------------------------------------------------------------------------------------------

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        """Open its job; it stays open in the asyncio task that runs it."""
        task = asyncio.current_task()
        if task is not None:
            try:
                self._open(message, task)
            except Exception as error:  # noqa: BLE001 - the task runs all the same
                self._service.fault("taskiq: job", error)
        return message

    def _open(self, message: TaskiqMessage, task: asyncio.Task[Any]) -> None:
        job = open_job(self._service, self._told(message))
        job.begin()
        if task not in self._hands:
            self._hands[task] = []
            task.add_done_callback(self._ended)
        self._hands[task].append(job)
        self._jobs.add(job)

    def _told(self, message: TaskiqMessage) -> Message:
        labels = message.labels
        attempt = 1 + _number(labels.get("_retries")) + _number(labels.get(GIVEN_BACK))
        timeout = labels.get("timeout")
        return Message(
            message.task_name,
            message.task_id,
            labels.get("queue_name") or getattr(self.broker, "queue_name", None),
            attempt,
            None,
            labels,
            None if timeout is None else float(timeout),
            message,
        )

    def on_error(self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException) -> None:  # noqa: ARG002 - its shape
        """Keep what was raised: a middleware that tries again takes it out of the result."""
        task = asyncio.current_task()
        if task is not None and task in self._hands:
            self._errors[task] = exception

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:  # noqa: ARG002 - as taskiq calls it
        """Close its job; one that was given back has no result yet."""
        task = asyncio.current_task()
        if task is None or task not in self._hands:
            return
        job = self._taken(task)
        error = self._errors.pop(task, result.error)
        if job.outcome == HANDED_BACK:
            result.error = NoResultError()
        job.end(error)

    def _taken(self, task: asyncio.Task[Any]) -> Job:
        """The innermost job of *task*, which is over."""
        jobs = self._hands[task]
        job = jobs.pop()
        if not jobs:
            del self._hands[task]
            task.remove_done_callback(self._ended)
        self._jobs.discard(job)
        return job

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """Whatever became of it, its jobs are over."""
        while task in self._hands:
            self._taken(task).end(asyncio.CancelledError() if task.cancelled() else task.exception())

    # -- giving back -----------------------------------------------------------------------------------------------

    async def _give_back(self, job: Job) -> None:
        """Send it anew, as it came; the one in hand is acknowledged once it is cancelled, and not tried again."""
        message: TaskiqMessage = job.carrier
        anew = message.model_copy(
            update={"labels": {**message.labels, GIVEN_BACK: _number(message.labels.get(GIVEN_BACK)) + 1}}
        )
        await self.broker.kick(self.broker.formatter.dumps(anew))
        message.labels["retry_on_error"] = False

    # -- settings --------------------------------------------------------------------------------------------------

    def check(self) -> Settings:
        """What is set, and what would lose tasks."""
        settings = Settings("taskiq", dict(self._made))
        kinds = [base.__name__ for base in type(self.broker).__mro__]
        kind = kinds[0]
        if any(each in _FORGETFUL for each in kinds):
            settings.wrong(
                kind,
                f"{kind} forgets a task the moment a worker takes it, so one whose worker is killed is lost",
                "broker = RedisStreamBroker(url, xread_count=1)",
            )
        elif not any(each in _KEEPING for each in kinds):
            settings.unknown = f"whether taskiq's {kind} keeps a task until it is done is not known"
        if streams.is_stream(self.broker):
            streams.check(self.broker, settings)
        if "--ack-type" in sys.argv and sys.argv[sys.argv.index("--ack-type") + 1] == "when_received":
            settings.wrong("ack_type", "a task is acknowledged before it runs", "taskiq worker --ack-type when_saved")
        return settings


def _number(told: Any) -> int:
    try:
        return max(0, int(told or 0))
    except (TypeError, ValueError):
        return 0
