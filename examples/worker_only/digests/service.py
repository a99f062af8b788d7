"""digests: its workers take jobs from a queue and have no port."""

from rq import Queue

import twelvefactor as tf
from digests.config import Config

service = tf.Service("digests", Config)
redis = service.attach(service.config.redis_url)  # a redis.Redis
queue = service.jobs(Queue("digests", connection=redis))


@service.admin
def request(count: int = 1) -> None:
    """Ask for *count* digests: `twelvefactor admin request --count 20`."""
    for number in range(count):
        queue.enqueue("digests.jobs.digest", f"text {number}")


service.process("worker", queue)
