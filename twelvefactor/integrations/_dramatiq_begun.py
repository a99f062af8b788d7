"""
How often a message of Dramatiq's was begun, so that one that kills each worker that takes it is given up at last.

Dramatiq counts what raises, and not what dies. On Redis we count in its Redis, and only messages that are older than
the silence after which others take them: one that is done in time costs nothing. RabbitMQ says of a message that it
delivered it before; that one is sent anew, at the end of its queue as on Redis, with the count in its options.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

BEGUN = "twelvefactor_begun"
"""The option that counts deliveries by RabbitMQ."""
REDIS_LIMIT = 5
RABBITMQ_LIMIT = 20
"""As RabbitMQ's own for its quorum queues: it counts what was fetched and not begun too, as when a worker stops."""
_KEPT = 7 * 24 * 3600  # seconds
_SETTLES = 0.5  # seconds in which the acknowledgement of the message that a copy was made of is surely sent

RUN, AGAIN, GIVE_UP = "run", "again", "give up"


def verdict(broker: Any, message: Any) -> tuple[str, int]:
    """What to do with *message*, which is about to begin, and how often it was counted before."""
    if hasattr(broker, "do_fetch") and hasattr(broker, "client"):
        times = _count(broker, message)
        return (RUN if times < REDIS_LIMIT else GIVE_UP), times
    times = int(message.options.get(BEGUN) or 0)
    if not getattr(message, "redelivered", False):
        if times:
            time.sleep(_SETTLES)  # else its death takes that along, and the message comes back uncounted
        return RUN, times
    return (AGAIN if times < RABBITMQ_LIMIT else GIVE_UP), times


def send_anew(broker: Any, message: Any, times: int) -> None:
    """Send a copy that knows that it comes back; the one in hand is acknowledged after that."""
    broker.enqueue(message.copy(options={BEGUN: times + 1}))


def _count(broker: Any, message: Any) -> int:
    if time.time() * 1000 - message.message_timestamp < broker.heartbeat_timeout:
        return 0
    with broker.client.pipeline() as pipe:
        pipe.incr(_key(broker, message)).expire(_key(broker, message), _KEPT)
        return int(pipe.execute()[0]) - 1


def forget(broker: Any, messages: Iterable[Any]) -> None:
    """Count anew: *messages* are done, or given back because the process stops, which is not their doing."""
    if not hasattr(broker, "client"):
        return
    keys = [_key(broker, each) for each in messages if "redis_message_id" in each.options]
    if keys:
        broker.client.delete(*keys)


def _key(broker: Any, message: Any) -> str:
    """Each sending of a message has an id of its own in Redis, so a retry is counted anew."""
    return f"{broker.namespace}:__begun__.{message.options['redis_message_id']}"
