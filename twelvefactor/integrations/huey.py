"""
huey: each task a job, given back when its time is over.

huey takes a task off its queue before it runs, and knows no headers: the ids of the work that sent it follow the
serialised task, where a consumer without this library reads past them.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from twelvefactor._core import threads
from twelvefactor.exceptions import MissingExtraError

try:
    from huey import signals
except ImportError as exc:
    raise MissingExtraError("huey") from exc

from twelvefactor.integrations._huey_turns import Loops, in_task
from twelvefactor.integrations._job import Job, Message, open_job, outcome_of
from twelvefactor.integrations._job_headers import SENT_AT, for_message
from twelvefactor.integrations._job_settings import Settings

if TYPE_CHECKING:
    from huey.api import Huey, Task
    from huey.consumer import Consumer

    from twelvefactor.service import Service

ATTEMPTS = "x-attempts"
_MARK = b"\n#twelvefactor"
_SEEN_AFTER = 0.3  # seconds; huey's main thread looks ten times a second
_FAILED = (
    signals.SIGNAL_ERROR,
    signals.SIGNAL_TIMEOUT,
    signals.SIGNAL_LOCKED,
    signals.SIGNAL_RATE_LIMITED,
    signals.SIGNAL_CANCELED,
)


def jobs(service: Service[Any], huey: Huey) -> None:
    """Take over every task of *huey*, those that are declared later too. Idempotent."""
    if "twelvefactor" not in vars(huey):
        huey.twelvefactor = Tasks(service, huey)


@dataclass(slots=True)
class Hand:
    """A task in hand, its job, and the thread that runs it."""

    task: Task
    job: Job
    thread: int
    error: BaseException | None = None


class Tasks:
    """
    The tasks of a huey as jobs of a service.

    Args:
        service: Whose jobs they are.
        huey: Stands before these methods of this one object: execute, enqueue, serialize_task, deserialize_task,
            create_consumer.
    """

    def __init__(self, service: Service[Any], huey: Huey) -> None:
        self._service = service
        self._huey = huey
        self._hands: dict[int, Hand] = {}
        self._given: set[str] = set()
        self._giving = threading.RLock()
        self.may_run = threading.Event()  # a worker thread of huey's may be quicker than the start of the service
        self.may_run.set()
        self._executes, huey.execute = huey.execute, self._execute
        self._enqueues, huey.enqueue = huey.enqueue, self._enqueue
        self._serializes, huey.serialize_task = huey.serialize_task, self._serialize
        self._deserializes, huey.deserialize_task = huey.deserialize_task, self._deserialize
        self._creates, huey.create_consumer = huey.create_consumer, self._create_consumer
        huey.signal(signals.SIGNAL_EXECUTING)(self._begin)
        huey.signal(*_FAILED)(self._failed)
        huey.signal(signals.SIGNAL_RETRYING)(self._retrying)
        huey.signal(signals.SIGNAL_INTERRUPTED)(self._interrupted)
        service.on_time_over(self._give_back_all, early=0.1)

    # -- what goes with a task -------------------------------------------------------------------------------------

    def _serialize(self, task: Task) -> bytes:
        data: bytes = self._serializes(task)
        try:
            return data + _MARK + orjson.dumps(self._headers(task))
        except Exception as error:  # noqa: BLE001 - the task must be sent whatever becomes of its ids
            self._service.fault("huey: headers", error)
            return data

    def _headers(self, task: Task) -> dict[str, Any]:
        """Its own from an earlier time in the queue, else those of the work that sends it; the time is always new."""
        own: dict[str, Any] | None = vars(task).get("headers")
        return for_message() if own is None else {**own, SENT_AT: for_message()[SENT_AT]}

    def _deserialize(self, data: bytes) -> Task:
        plain, mark, told = data.rpartition(_MARK)
        task = self._deserializes(plain if mark else data)
        if mark:
            try:
                headers = orjson.loads(told)
            except ValueError:
                headers = None
            vars(task)["headers"] = headers if isinstance(headers, dict) else {}
        return task

    # -- a task in hand --------------------------------------------------------------------------------------------

    def _execute(self, task: Task, timestamp: Any = None) -> Any:
        try:
            with in_task(self._service.turns, task):
                self.may_run.wait()
                return self._executes(task, timestamp)
        except BaseException as error:
            self._end(task, error)
            raise
        finally:
            self._end(task, None)

    def _begin(self, _: str, task: Task) -> None:
        try:
            job = open_job(self._service, self._message(task))
            job.begin()
            self._hands[id(task)] = Hand(task, job, threading.get_ident())
        except Exception as error:  # noqa: BLE001 - the task runs all the same
            self._service.fault("huey: job", error)

    def _message(self, task: Task) -> Message:
        headers = vars(task).setdefault("headers", {})
        attempts = headers.get(ATTEMPTS)
        attempt = headers[ATTEMPTS] = attempts + 1 if isinstance(attempts, int) else 1
        due = None if task.eta is None else self._moment(task.eta)
        name = f"{type(task).__module__}.{task.name}"
        return Message(name, task.id, self._huey.name, attempt, due, headers, task.timeout or None, task)

    def _moment(self, eta: Any) -> float:
        """The seconds of a time that huey keeps without its zone."""
        from datetime import UTC

        return float((eta.replace(tzinfo=UTC) if self._huey.utc else eta).timestamp())

    def _failed(self, _: str, task: Task, *__: Any) -> None:
        hand = self._hands.get(id(task))
        if hand is not None:
            hand.error = sys.exception()

    def _retrying(self, _: str, task: Task) -> None:
        hand = self._hands.get(id(task))
        if hand is not None and outcome_of(hand.error) != "error":
            hand.job.outcome = "retry"

    def _end(self, task: Task, error: BaseException | None) -> None:
        hand = self._hands.pop(id(task), None)
        if hand is None:
            return
        try:
            hand.job.end(hand.error if error is None else error)
        except Exception as fault:  # noqa: BLE001 - the next task must be taken
            self._service.fault("huey: job", fault)

    # -- giving back -----------------------------------------------------------------------------------------------

    def _give_back_all(self) -> None:
        for hand in tuple(self._hands.values()):
            self._give_back(hand)
            threads.interrupt(hand.thread)

    def _interrupted(self, _: str, task: Task) -> None:
        hand = self._hands.get(id(task))
        if hand is not None:
            hand.error = sys.exception()
            self._give_back(hand)
            if hand.thread != threading.get_ident():
                threads.interrupt(hand.thread)

    def _give_back(self, hand: Hand) -> None:
        """To the queue once, though huey may call it interrupted too, and the app's own receiver enqueue it."""
        with self._giving:  # the thread that is stopped, and the one that stops it
            if hand.task.id not in self._given:
                self._enqueues(hand.task)
                self._given.add(hand.task.id)
                hand.job.hand_back()

    def _enqueue(self, task: Any) -> Any:
        hand = self._hands.get(id(task))
        if hand is None or self._huey.immediate:
            return self._enqueues(task)
        if task.id in self._given:
            return None
        if threading.get_ident() != hand.thread or isinstance(sys.exception(), KeyboardInterrupt):
            self._given.add(task.id)  # by the app's own receiver of SIGNAL_INTERRUPTED, before ours
            hand.job.hand_back()
        return self._enqueues(task)

    # -- a worker --------------------------------------------------------------------------------------------------

    def _create_consumer(self, **options: Any) -> Consumer:
        made: dict[str, Any] = {}
        ends = _wait_for(self._service)
        if options.get("graceful_signal", "INT") == "INT":  # what huey takes where nobody says
            made["graceful_signal"] = "TERM"
        if options.get("shutdown_timeout") is None:
            made["shutdown_timeout"] = ends
        consumer = self._creates(**{**options, **made})
        Worker(self._service, self, consumer, made)
        return consumer


class Worker:
    """A consumer that starts: the service starts with it, in each of its processes."""

    def __init__(self, service: Service[Any], tasks: Tasks, consumer: Consumer, made: dict[str, Any]) -> None:
        self._service = service
        self._tasks = tasks
        self._consumer = consumer
        self._made = made
        self._pid = os.getpid()
        self._starts, consumer.start = consumer.start, self._start
        self._handles, consumer._handle_signal = consumer._handle_signal, self._handle_signal  # noqa: SLF001 - see there
        Loops(consumer, service.turns)
        consumer.huey.on_startup("twelvefactor")(self._start_process)
        consumer.huey.on_shutdown("twelvefactor")(self._stop_process)

    def _start(self) -> None:
        self._tasks.may_run.clear()
        self._starts()  # it forks, and sets its signals: the service comes after that
        self._begin()
        self.settings().tell(self._service)

    def _handle_signal(self, signum: int, frame: Any) -> None:
        """After the first SIGTERM huey lets a second one interrupt; to us a repeated one changes nothing."""
        before = signal.getsignal(signum)
        self._handles(signum, frame)
        if signum == signal.SIGTERM:
            signal.signal(signum, before)

    def _begin(self) -> None:
        self._service.takes_jobs()
        self._service.start()
        self._service.ready()
        self._tasks.may_run.set()

    def _start_process(self) -> None:
        """In a process of its own a worker hears nothing of SIGTERM, but of the consumer's stop."""
        if os.getpid() != self._pid:
            self._begin()
            threads.start(self._follow_stop, name="twelvefactor huey")

    def _follow_stop(self) -> None:
        self._consumer.stop_flag.wait()
        self._service.drain()

    def _stop_process(self) -> None:
        if os.getpid() != self._pid:
            self._service.close()

    def settings(self) -> Settings:
        """What is set, and what would lose tasks."""
        settings = Settings("huey", dict(self._made))
        consumer, budget = self._consumer, self._service.budget
        settings.wrong(
            "storage",
            "a task leaves the queue before it runs, so one whose consumer is killed (SIGKILL, out of memory) is lost; "
            "no setting of huey's changes that",
            "tasks that must not be lost for a queue that acknowledges (Celery, RQ, taskiq's streams), or waive TF904",
        )
        if consumer.graceful_signal != "TERM":
            settings.wrong(
                "graceful_signal",
                "SIGTERM interrupts the tasks in hand, and each begins again where it could have ended in time",
                "huey_consumer -g TERM (in Django HUEY['consumer']['graceful_signal'] = 'TERM')",
            )
        if consumer.shutdown_timeout is None or consumer.shutdown_timeout > budget.grace:
            settings.wrong(
                "shutdown_timeout",
                f"it waits longer for tasks than the grace period of {budget.grace:g} s, and would be killed",
                f"huey_consumer -t {_wait_for(self._service):g}",
            )
        return settings


def _wait_for(service: Service[Any]) -> float:
    """Seconds that huey may wait for its tasks, once it has seen the signal."""
    return round(max(0.1, service.budget.drain + service.budget.work - _SEEN_AFTER), 2)
