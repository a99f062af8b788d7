"""taskiq's brokers on Redis streams: how much they fetch at once, and a task that kills each worker that takes it."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from twelvefactor.integrations._job_settings import Settings
    from twelvefactor.service import Service

DEFAULT_COUNT = 100
DELIVERIES = 5
"""How often a task is delivered; one that then comes back once more has killed each of its workers."""
_KINDS = ("RedisStreamBroker", "RedisStreamClusterBroker", "RedisStreamSentinelBroker")


def is_stream(broker: Any) -> bool:
    """Whether *broker* keeps its tasks in a Redis stream."""
    return any(base.__name__ in _KINDS for base in type(broker).__mro__)


def check(broker: Any, settings: Settings) -> None:
    """Note what would lose tasks."""
    if broker.count != 1:
        settings.wrong(
            "xread_count",
            f"a worker that stops leaves up to {broker.count} tasks that it has fetched and not begun",
            "RedisStreamBroker(url, xread_count=1)",
        )
    settings.notes.append(
        f"a task of a killed worker is free for others after idle_timeout ({broker.idle_timeout} ms), with the next "
        "message; one that runs longer begins a second time beside itself"
    )


def give_up_on_poison(service: Service[Any], broker: Any) -> None:
    """
    Let a task that was delivered too often go to the stream ``QUEUE:given-up``, and say so.

    Redis counts deliveries. It is asked only about a message that is older than the time after which it is delivered
    again, so one that is taken in time costs nothing. Not for clusters and sentinels.
    """
    if not hasattr(broker, "connection_pool"):
        return
    plain_ack, plain_listen = broker._ack_generator, broker.listen  # noqa: SLF001 - the only place that knows the id

    def ack_generator(id: Any, queue_name: str) -> Any:  # noqa: A002 - as taskiq calls it
        ack = plain_ack(id=id, queue_name=queue_name)
        ack.delivery = id, queue_name
        return ack

    async def listen() -> AsyncGenerator[Any, None]:
        async with aclosing(plain_listen()) as messages:
            async for message in messages:
                if not await _gave_up(service, broker, message):
                    yield message

    broker._ack_generator, broker.listen = ack_generator, listen  # noqa: SLF001 - as above


async def _gave_up(service: Service[Any], broker: Any, message: Any) -> bool:
    try:
        found, queue = message.ack.delivery
        if _age(found) < broker.idle_timeout or await _deliveries(broker, queue, found) <= DELIVERIES:
            return False
        told = broker.formatter.loads(message.data)
        async with _redis(broker) as redis:
            await redis.xadd(f"{_text(queue)}:given-up", {b"data": message.data})
        await message.ack()
    except Exception as error:  # noqa: BLE001 - it is run, as without us
        service.fault("taskiq: deliveries", error)
        return False
    service.event(
        "error", "job.given_up", name=told.task_name, id=told.task_id, queue=_text(queue), deliveries=DELIVERIES
    )
    return True


def _age(id: Any) -> float:  # noqa: A002 - Redis' word
    """Milliseconds since a message was added, as its id tells."""
    return time.time() * 1000 - int(_text(id).partition("-")[0])


async def _deliveries(broker: Any, queue: Any, found: Any) -> int:
    async with _redis(broker) as redis:
        pending = await redis.xpending_range(queue, broker.consumer_group_name, min=found, max=found, count=1)
    return int(pending[0]["times_delivered"]) if pending else 0


def _redis(broker: Any) -> Any:
    from redis.asyncio import Redis

    return Redis(connection_pool=broker.connection_pool)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
