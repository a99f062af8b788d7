"""FastStream: each message that a subscriber handles a job; what still runs at the end of its time goes back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from twelvefactor.exceptions import MissingExtraError

try:
    from faststream import AckPolicy, BaseMiddleware
    from faststream.exceptions import NackMessage
except ImportError as exc:
    raise MissingExtraError("faststream") from exc

from twelvefactor.integrations._job import HANDED_BACK, Job, Message, open_job
from twelvefactor.integrations._job_headers import put
from twelvefactor.integrations._job_settings import Settings
from twelvefactor.integrations._job_tasks import JobTasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from faststream.message import StreamMessage

    from twelvefactor.service import Service

_DEFAULT_WAIT = 15.0  # seconds; FastStream's own graceful_timeout
_PLACES = ("queue", "channel", "subject", "topic", "stream")
"""What each broker calls the place that a message comes from, in its log context."""


def jobs(service: Service[Any], queue: Any) -> None:
    """Take over every subscriber of *queue*, a broker or an app with its brokers. Idempotent."""
    for broker in getattr(queue, "brokers", None) or [queue]:
        if "twelvefactor" not in vars(broker):
            broker.twelvefactor = Subscribers(service, broker)


class Subscribers:
    """
    The subscribers of a broker as jobs of a service.

    Args:
        service: It starts when the broker has started, unless it is started already, as in a web process.
        broker: Gets a middleware, and stands behind our start and stop.
    """

    def __init__(self, service: Service[Any], broker: Any) -> None:
        self.service = service
        self.jobs = JobTasks(service, self._give_back)
        self._broker = broker
        self._made: dict[str, Any] = {}
        self._ours = False
        settings = broker.config.broker_config
        if settings.graceful_timeout == _DEFAULT_WAIT:
            wait = service.budget.drain + service.budget.work
            settings.graceful_timeout = self._made["graceful_timeout"] = round(wait, 2)
        self._starts, broker.start = broker.start, self._start
        self._stops, broker.stop = broker.stop, self._stop

        def middleware(message: Any, *, context: Any) -> JobMiddleware:
            return JobMiddleware(message, context=context, subscribers=self)

        broker.insert_middleware(middleware)

    # -- the broker's life -----------------------------------------------------------------------------------------

    async def _start(self) -> None:
        service = self.service
        self._ours = not service.started and not service.off
        if self._ours:
            service.takes_jobs()
            service.start()
        await self._starts()
        if self._ours:
            await service.aready()
            service.serves()
        self.check().tell(service)

    async def _stop(self, *error: Any) -> None:
        try:
            await self._stops(*error)
        finally:
            if self._ours:
                await self.service.leave()

    # -- a message -------------------------------------------------------------------------------------------------

    def open(self, message: StreamMessage[Any], subscriber: Any) -> Job | None:
        """The job of *message*, or None where a fault of ours is in the way: it is handled all the same."""
        try:
            told = subscriber.get_log_context(message)
            queue = next((str(told[place]) for place in _PLACES if told.get(place)), None)
            name = subscriber.specification.call_name
            attempt = _attempt(message)
            return open_job(
                self.service, Message(name, message.message_id, queue, attempt, None, message.headers, None, message)
            )
        except Exception as error:  # noqa: BLE001 - as said
            self.service.fault("faststream: job", error)
            return None

    async def _give_back(self, job: Job) -> None:
        """Into a Redis list it is put again, at its head; every other broker keeps what is not acknowledged."""
        raw = job.carrier.raw_message
        if isinstance(raw, dict) and raw.get("type") == "list":
            await self._broker.config.broker_config.connection.client.lpush(raw["channel"], raw["data"])

    # -- settings --------------------------------------------------------------------------------------------------

    def check(self) -> Settings:
        """What is set, and what would lose messages."""
        settings = Settings("faststream", dict(self._made))
        for subscriber in self._broker.subscribers:
            _check(subscriber, settings)
        return settings


def _check(subscriber: Any, settings: Settings) -> None:
    name, kind = subscriber.specification.call_name, type(subscriber).__name__
    if "redis" in type(subscriber).__module__ and "Stream" not in kind:
        settings.wrong(
            name,
            f"a message leaves its Redis list or channel before {name} has handled it, and a killed one loses it",
            f"@broker.subscriber(stream=StreamSub(…, group=…, consumer=…, min_idle_time=60_000)) for {name}",
        )
    elif "redis" in type(subscriber).__module__:
        settings.unknown = f"whether another consumer claims what {name} leaves in its stream (min_idle_time)"
    elif subscriber.ack_policy is AckPolicy.ACK_FIRST:
        settings.wrong(
            name,
            f"a message is acknowledged before {name} has handled it",
            f"ack_policy=AckPolicy.NACK_ON_ERROR for {name}",
        )
    elif subscriber.ack_policy is AckPolicy.MANUAL:
        settings.unknown = f"{name} acknowledges by itself: when it does is not known"


def _attempt(message: Any) -> int | None:
    """How often it was delivered, where the broker tells."""
    delivered = message.headers.get("x-delivery-count")
    if isinstance(delivered, int):
        return delivered + 1
    redelivered = getattr(message.raw_message, "redelivered", None)
    if redelivered is not None:
        return 2 if redelivered else 1
    metadata = getattr(message.raw_message, "metadata", None)
    return getattr(metadata, "num_delivered", None)


class JobMiddleware(BaseMiddleware[Any, Any]):
    """Makes a job of each message that is handled, and lets the ids go along with each that is published."""

    __slots__ = ("_subscribers",)

    def __init__(self, message: Any, *, context: Any, subscribers: Subscribers) -> None:
        super().__init__(message, context=context)
        self._subscribers = subscribers

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]) -> Any:
        """Handle it in a job; one that is given back is not acknowledged."""
        job = self._subscribers.open(msg, self.context.get_local("handler_"))
        if job is None:
            return await call_next(msg)
        jobs = self._subscribers.jobs
        with job:
            jobs.add(job)
            try:
                return await call_next(msg)
            except asyncio.CancelledError:
                if job.outcome == HANDED_BACK:
                    raise NackMessage from None
                raise
            finally:
                jobs.discard(job)

    async def publish_scope(self, call_next: Callable[[Any], Awaitable[Any]], cmd: Any) -> Any:
        """Publish it with the ids of the work that does."""
        if isinstance(cmd.headers, dict):
            put(cmd.headers)
        return await call_next(cmd)
