"""
Dramatiq: a middleware that makes each message a job, and gives back what still runs at the end of its time.

Dramatiq tells nobody of SIGTERM for up to a second, and its threads take messages meanwhile; ours stop at once. It has
no limit for what runs then, and a second SIGTERM loses it: here the message goes back before the kill, and repeated
signals change nothing.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from twelvefactor.exceptions import MissingExtraError, TwelveFactorError
from twelvefactor.integrations import _dramatiq_begun as begun
from twelvefactor.integrations import _job_headers
from twelvefactor.integrations._job import HANDED_BACK, Job, Message, open_job, say_handed_back
from twelvefactor.integrations._job_settings import Settings

try:
    import dramatiq
    from dramatiq.common import iter_queue
    from dramatiq.compat import StreamablePipe
    from dramatiq.middleware import CurrentMessage, SkipMessage, TimeLimit
except ImportError as exc:
    raise MissingExtraError("dramatiq") from exc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twelvefactor.service import Service

_HEADERS = "twelvefactor"
"""The message option that keeps the ids of the work that sent it."""
_EARLY = 0.3  # seconds that giving back takes
_HEARTBEAT = 30_000  # milliseconds without a sign of life after which a worker's messages are others'
_MAINTENANCE = 50_000  # times in a million that a command looks for such workers
_TURNS = 30.0  # seconds that a round of a consumer may take, a new connection too
_DEFAULTS = {"heartbeat_timeout": 60_000, "maintenance_chance": 1_000}


def jobs(service: Service[Any], broker: dramatiq.Broker) -> None:
    """Take every message of *broker* over, and its workers' life and settings. Idempotent."""
    if any(isinstance(each, Jobs) for each in broker.middleware):
        return
    first = type(broker.middleware[0]) if broker.middleware else None
    broker.add_middleware(Jobs(service), before=first)


def message(told: Any) -> Message:
    """What Dramatiq tells of a message."""
    options = told.options
    headers = options.get(_HEADERS)
    return Message(
        name=told.actor_name,
        id=told.message_id,
        queue=told.queue_name,
        attempt=int(options.get("retries") or 0) + 1,
        due=None if headers else told.message_timestamp / 1000,
        headers=headers,
        carrier=told,
        redelivered=getattr(told, "redelivered", False) or begun.BEGUN in options,
    )


def current() -> Message | None:
    """What Dramatiq tells of the message that runs here, or None."""
    told = CurrentMessage.get_current_message()
    return None if told is None else message(told)


def guarded(method: Callable[..., None]) -> Callable[..., None]:
    """*method*, whose own faults are told as ours, and cost Dramatiq nothing."""

    @functools.wraps(method)
    def call(self: Jobs, *args: Any, **named: Any) -> None:
        try:
            method(self, *args, **named)
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not cost a message
            self.service.fault(f"dramatiq: {method.__name__}", error)

    return call


class Jobs(dramatiq.Middleware):
    """
    Each message a job of *service*.

    Args:
        service: Whose jobs they are.
    """

    def __init__(self, service: Service[Any]) -> None:
        self.service = service
        self._here = threading.local()
        self._in_hand: dict[str, Any] = {}
        self._counted: set[str] = set()
        self._worker: Any = None
        self._streams: tuple[Any, Any] | None = None

    # -- sending ---------------------------------------------------------------------------------------------------

    @guarded
    def before_enqueue(self, broker: Any, message: Any, delay: int | None) -> None:
        """Give the ids of the work in hand along; a message that moves from one queue to another keeps its own."""
        headers = message.options.setdefault(_HEADERS, {})
        _job_headers.put(headers, sent_at=False)
        headers[_job_headers.SENT_AT] = f"{time.time() + (delay or 0) / 1000:.6f}"

    # -- doing -----------------------------------------------------------------------------------------------------

    def before_process_message(self, broker: Any, message: Any) -> None:
        """Open the job; a message that killed each worker that took it is given up, and goes to the dead letters."""
        what = begun.RUN
        try:
            what = self._judge(broker, message)
        except Exception as error:  # noqa: BLE001 - it is run, as without us
            self.service.fault("dramatiq: deliveries", error)
        if what == begun.GIVE_UP:
            message.fail()
        if what != begun.RUN:
            raise SkipMessage(f"{message} was delivered before: {what}")
        self._open(broker, message)

    def _judge(self, broker: Any, message: Any) -> str:
        what, times = begun.verdict(broker, message)
        if times:
            self._counted.add(message.message_id)
        if what == begun.AGAIN:
            begun.send_anew(broker, message, times)
        if what == begun.GIVE_UP:
            told = _message(message)
            fields = {"name": told.name, "id": told.id, "queue": told.queue, "deliveries": times}
            self.service.event("error", "job.given_up", **fields)
        return what

    @guarded
    def _open(self, broker: Any, message: Any) -> None:
        told = _message(message)
        told.timeout = _limit(broker, message)
        job = open_job(self.service, told)
        job.begin()
        self._here.job = job
        self._in_hand[message.message_id] = message

    @guarded
    def after_process_message(
        self, broker: Any, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        """Close it."""
        self._end(exception)

    @guarded
    def after_skip_message(self, broker: Any, message: Any) -> None:
        """Close it, where a middleware skipped the message."""
        job: Job | None = getattr(self._here, "job", None)
        if job is not None and job.outcome is None:
            job.outcome = "ignored"
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        job: Job | None = getattr(self._here, "job", None)
        self._here.job = None
        if job is not None:
            job.end(error)

    def after_ack(self, broker: Any, message: Any) -> None:
        """It is done with."""
        self._in_hand.pop(message.message_id, None)
        if message.message_id in self._counted:
            self._counted.discard(message.message_id)
            self._forget(broker, [message])

    after_nack = after_ack

    def _forget(self, broker: Any, messages: list[Any]) -> None:
        try:
            begun.forget(broker, messages)
        except Exception as error:  # noqa: BLE001 - Redis forgets in a week
            self.service.fault("dramatiq: deliveries", error)

    # -- the worker's life -----------------------------------------------------------------------------------------

    def before_worker_boot(self, broker: Any, worker: Any) -> None:
        """Start the service; events go to the descriptor, not through the pipe by which Dramatiq has them on stderr."""
        if isinstance(sys.stdout, StreamablePipe):
            self._streams = sys.stdout, sys.stderr
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        self._worker = worker
        self.service.takes_jobs()
        _or_leave(functools.partial(self.service.start, sigterm=False))
        work = self.service.budget.drain + self.service.budget.work
        look(broker).tell(self.service)
        self.service.on_stopping(self._take_no_more)
        self.service.on_time_over(self._give_back, early=min(_EARLY, work / 2))

    def after_worker_boot(self, broker: Any, worker: Any) -> None:
        """Stand before Dramatiq's handler of SIGTERM, which is set by now."""
        self.service.catch_sigterm()
        _or_leave(self.service.ready)

    @guarded
    def after_consumer_thread_boot(self, broker: Any, thread: Any) -> None:
        """It says at each of its rounds that it turns, and each time that it tries to come back to its broker."""
        loop, within = f"Dramatiq's consumer of {thread.queue_name}", _TURNS + thread.worker_timeout / 1000
        turned = functools.partial(self.service.turns.turned, loop, within)
        thread.handle_delayed_messages = _after(thread.handle_delayed_messages, turned)
        thread.close = _after(thread.close, turned)
        thread.pause = _after(thread.pause, functools.partial(self.service.turns.ended, loop))
        turned()

    def before_consumer_thread_shutdown(self, broker: Any, thread: Any) -> None:
        """It turns no more."""
        self.service.turns.ended(f"Dramatiq's consumer of {thread.queue_name}")

    def after_worker_shutdown(self, broker: Any, worker: Any) -> None:
        """End the service."""
        self.service.close()
        if self._streams is not None:
            sys.stdout, sys.stderr = self._streams
            self._streams = None

    # -- giving back -----------------------------------------------------------------------------------------------

    def _take_no_more(self) -> None:
        for thread in self._worker.workers:
            thread.stop()

    def _give_back(self) -> bool:
        open_ids = {work.id for work in self.service.in_flight}
        begun_here = [each for key, each in tuple(self._in_hand.items()) if key in open_ids]
        if not begun_here:
            return False
        for each in begun_here:
            told = message(each)
            for work in self.service.in_flight:
                if work.id == told.id:
                    work.outcome = HANDED_BACK
            say_handed_back(self.service, name=told.name, id=told.id, queue=told.queue, attempt=told.attempt)
        self._forget(self._worker.broker, begun_here)
        self._requeue(begun_here)
        return True

    def _requeue(self, begun_here: list[Any]) -> None:
        """All that this worker has goes back now, for it is about to end; RabbitMQ does so when the connection ends."""
        fetched = [item.message for item in iter_queue(self._worker.work_queue)]
        for name, thread in self._worker.consumers.items():
            delayed = [item.message for item in iter_queue(thread.delay_queue)]
            mine = [each for each in (*begun_here, *fetched) if each.queue_name == name]
            if thread.consumer is not None:
                thread.requeue_messages([*mine, *delayed, *_cached(thread.consumer)])


_message = message


def _after(act: Callable[[], None], then: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        act()
        then()

    return call


def _cached(consumer: Any) -> Iterator[Any]:
    """What Redis' consumer has fetched and not handed out yet."""
    for data in tuple(getattr(consumer, "message_cache", ())):
        if data is not None:
            yield dramatiq.Message.decode(data)


def _limit(broker: Any, message: Any) -> float | None:
    """Seconds until Dramatiq interrupts the actor; None where nothing does."""
    limits = next((each for each in broker.middleware if isinstance(each, TimeLimit)), None)
    if limits is None:
        return None
    actor = broker.get_actor(message.actor_name)
    limit = message.options.get("time_limit") or actor.options.get("time_limit") or limits.time_limit
    return None if limit in (None, float("inf")) else float(limit) / 1000


def look(broker: Any) -> Settings:
    """What is set where the app set nothing, and what would lose a message of this broker."""
    found = Settings("dramatiq")
    for name, value in (("heartbeat_timeout", _HEARTBEAT), ("maintenance_chance", _MAINTENANCE)):
        if getattr(broker, name, None) == _DEFAULTS[name]:
            setattr(broker, name, value)
            found.made[name] = value
    chance = getattr(broker, "maintenance_chance", None)
    if chance is not None and chance < _DEFAULTS["maintenance_chance"]:
        found.wrong(
            "maintenance_chance",
            f"messages of a killed worker are looked for {chance} times in a million commands: they may stay for days",
            f"`RedisBroker(maintenance_chance={_MAINTENANCE})`",
        )
    heartbeat = getattr(broker, "heartbeat_timeout", None)
    if heartbeat is not None and heartbeat < _LEAST_HEARTBEAT:
        found.wrong(
            "heartbeat_timeout",
            f"a worker that is silent for {heartbeat / 1000:g} s is taken for dead, and its messages begin again",
            f"`RedisBroker(heartbeat_timeout={_HEARTBEAT})`",
        )
    known = begun.REDIS_LIMIT if hasattr(broker, "heartbeat_timeout") else begun.RABBITMQ_LIMIT
    found.notes.append(f"a message that kills its worker begins again {known} times at most, and is a dead letter then")
    return found


_LEAST_HEARTBEAT = 5_000  # milliseconds; a busy worker may be silent for as long


def _or_leave(act: Callable[[], None]) -> None:
    """Dramatiq logs what a middleware raises and goes on; a service that must not start leaves instead."""
    try:
        act()
    except TwelveFactorError as error:
        raise SystemExit(error.exit_code) from error
