"""
Real workers stopped in the middle of their jobs, plain and with the library: what became of the jobs.

python benchmarks/queues.py [--only "rq;celery on Redis"] [--cells "to all"] [--jobs 40] [--runs 1] [--ours] [--plain]

Each queue does its jobs four at a time. A worker is stopped once eight were begun, a second one does what is left.
Redis is a server of this script's own; RabbitMQ is the machine's, on its standard port.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import textwrap
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from twelvefactor.testing import engines  # noqa: E402 - the checkout, not an installed one
from twelvefactor.testing.queues import Book, Counted, QueueDrill, Stop  # noqa: E402 - as above

RABBITMQ = os.environ.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/")
HEAD = """
    import asyncio, os, sys, time
    from twelvefactor.testing.queues import Book

    URL, QUEUE, SECONDS, OURS = (os.environ[name] for name in ("URL", "QUEUE", "SECONDS", "OURS"))
    book, seconds = Book(os.environ["BOOK"]), float(SECONDS)
    if OURS == "1":
        import twelvefactor as tf
        service = tf.Service("drilled")
        jobs = service.jobs
    else:
        jobs = lambda queue: queue

    def work(number):
        with book.job(number):
            time.sleep(seconds)

    async def work_async(number):
        with book.job(number):
            await asyncio.sleep(seconds)
"""
SEND = """
    def send_all(count):
        for number in range(count):
            send(number)
"""
CELERY = """
    import celery
    app = jobs(celery.Celery("drilled", broker=URL))
    app.conf.update(task_default_queue=QUEUE, task_ignore_result=True, worker_enable_remote_control=False)
    task = app.task(work, name="work")
    send = task.delay
"""
RQ = """
    import redis, rq
    queue = jobs(rq.Queue(QUEUE, connection=redis.Redis.from_url(URL)))
    send = lambda number: queue.enqueue("drilled.work", number)
"""
DRAMATIQ = """
    import dramatiq
    if URL.startswith("amqp"):
        from dramatiq.brokers.rabbitmq import RabbitmqBroker as Broker
    else:
        from dramatiq.brokers.redis import RedisBroker as Broker
    broker = jobs(Broker(url=URL))
    dramatiq.set_broker(broker)
    send = dramatiq.actor(work, queue_name=QUEUE).send
"""
TASKIQ = """
    from taskiq_redis import RedisStreamBroker
    broker = jobs(RedisStreamBroker(URL, QUEUE))
    task = broker.task(work_async)

    def send_all(count):
        async def main():
            await broker.startup()
            for number in range(count):
                await task.kiq(number)
            await broker.shutdown()
        asyncio.run(main())
"""
HUEY = """
    from huey import RedisHuey
    huey = jobs(RedisHuey(QUEUE, url=URL, results=False))
    send = huey.task()(work)
"""
ARQ = """
    from arq import create_pool
    from arq.connections import RedisSettings

    async def do(ctx, number):
        await work_async(number)

    @jobs
    class WorkerSettings:
        functions = [do]
        redis_settings = RedisSettings.from_dsn(URL)
        queue_name = QUEUE
        max_jobs = 4

    async def send_async(count):
        pool = await create_pool(WorkerSettings.redis_settings)
        for number in range(count):
            await pool.enqueue_job("do", number, _queue_name=QUEUE)

    def send_all(count):
        asyncio.run(send_async(count))
"""
FASTSTREAM = """
    from faststream import FastStream
    from faststream.rabbit import Channel, RabbitBroker, RabbitQueue
    broker = RabbitBroker(URL, logger=None, default_channel=Channel(prefetch_count=4))
    app = jobs(FastStream(broker, logger=None))
    broker.subscriber(QUEUE)(work_async)

    async def send_async(count):
        await broker.connect()
        await broker.declare_queue(RabbitQueue(QUEUE))
        for number in range(count):
            await broker.publish(number, QUEUE)
        await broker.stop()

    def send_all(count):
        asyncio.run(send_async(count))
"""
FOUR = ("--concurrency", "4", "--loglevel", "WARNING", "--without-gossip", "--without-mingle")
RQ_POOL = ("-m", "rq.cli", "worker-pool", "-u", "{url}", "-n", "4", "{queue}")


@dataclass(frozen=True)
class Queue:
    """A worker that is drilled: its app, its command, and what the command has beside it with the library."""

    code: str
    command: tuple[str, ...]
    ours: tuple[str, ...] = ()
    rabbitmq: bool = False


CELERY_WORKER = ("-m", "celery", "-A", "drilled:app", "worker", *FOUR)
DRAMATIQ_WORKER = ("-m", "dramatiq", "drilled:broker", "--processes", "1", "--threads", "4")
QUEUES = {
    "celery on Redis": Queue(CELERY, CELERY_WORKER),
    "celery on RabbitMQ": Queue(CELERY, CELERY_WORKER, rabbitmq=True),
    "celery -P threads on Redis": Queue(CELERY, (*CELERY_WORKER, "-P", "threads")),
    "celery -P gevent on Redis": Queue(CELERY, (*CELERY_WORKER, "-P", "gevent")),
    "rq": Queue(RQ, RQ_POOL, ("-w", "twelvefactor.integrations.rq.Worker")),
    "dramatiq on Redis": Queue(DRAMATIQ, DRAMATIQ_WORKER),
    "dramatiq on RabbitMQ": Queue(DRAMATIQ, DRAMATIQ_WORKER, rabbitmq=True),
    "taskiq": Queue(TASKIQ, ("-m", "taskiq", "worker", "drilled:broker", "--workers", "1", "--max-async-tasks", "4")),
    "huey": Queue(HUEY, ("-m", "huey.bin.huey_consumer", "drilled.huey", "-w", "4")),
    "faststream on RabbitMQ": Queue(FASTSTREAM, ("-m", "faststream", "run", "drilled:app"), rabbitmq=True),
    "arq": Queue(ARQ, ("-m", "arq", "drilled.WorkerSettings")),
}
CELLS = {
    "grace enough": Stop(grace=10, after=8),
    "to all": Stop(grace=10, after=8, to_all=True),
    "twice": Stop(grace=10, after=8, twice=True),
    "grace short": Stop(grace=2, after=8),
}


def drill(name: str, cell: str, ours: bool, options: argparse.Namespace, redis: str) -> Counted:
    """One worker's stop."""
    queue, stop = QUEUES[name], CELLS[cell]
    with tempfile.TemporaryDirectory(prefix="twelvefactor-queues-") as folder:
        key = f"drilled-{uuid.uuid4().hex}"
        code = "".join(textwrap.dedent(part) for part in (HEAD, SEND, queue.code))
        Path(folder, "drilled.py").write_text(code)
        book = Book(Path(folder, "book"))
        url = RABBITMQ if queue.rabbitmq else redis
        environ = {
            "URL": url,
            "QUEUE": key,
            "SECONDS": str(options.seconds),
            "OURS": str(int(ours)),
            "BOOK": str(book.path),
            "PYTHONPATH": os.pathsep.join([str(ROOT), folder, os.environ.get("PYTHONPATH", "")]),
            "TWELVEFACTOR_SERVICE": "drilled:service",
            "LOG_FORMAT": "json",
        }
        send = [sys.executable, "-c", f"import drilled; drilled.send_all({options.jobs})"]
        subprocess.run(send, cwd=folder, env={**os.environ, **environ}, check=True)
        words = (*queue.command, *(queue.ours if ours else ()))
        worker = [sys.executable, *(word.format(url=url, queue=key) for word in words)]
        counted = QueueDrill(worker, book, environ=environ, cwd=folder).run(
            options.jobs, stop, patience=options.patience
        )
        if queue.rabbitmq:
            _forget(url, key)
        return counted


def _forget(url: str, key: str) -> None:
    import kombu

    with kombu.Connection(url) as connection:
        for name in (key, f"{key}.DQ", f"{key}.XQ"):
            connection.default_channel.queue_delete(name)
        connection.default_channel.exchange_delete(key)


def main() -> None:
    """Drill, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--cells", default="")
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--patience", type=float, default=15.0)
    parser.add_argument("--ours", action="store_true", help="not the plain ones")
    parser.add_argument("--plain", action="store_true", help="only the plain ones")
    options = parser.parse_args()
    names = [name for name in QUEUES if not options.only or name in options.only.split(";")]
    cells = [cell for cell in CELLS if not options.cells or cell in options.cells.split(";")]
    kinds = [True] if options.ours else [False] if options.plain else [False, True]
    drills = list(product(names, cells, kinds))
    with engines.redis() as redis, ThreadPoolExecutor(options.at_once) as pool:
        made = {each: [pool.submit(_tried, *each, options, redis) for _ in range(options.runs)] for each in drills}
        print("| worker | stop | | never done | done twice | begun twice | cut | exit s | status |")
        print("|---|---|---|---:|---:|---:|---:|---|---|")
        for (name, cell, ours), futures in made.items():
            _row(name, cell, ours, [future.result() for future in futures])


def _tried(*each: object) -> Counted | Exception:
    try:
        return drill(*each)  # type: ignore[arg-type]  # a row of mixed types, in the order of its arguments
    except Exception as error:
        return error


def _row(name: str, cell: str, ours: bool, counted: list[Counted | Exception]) -> None:
    failed = [each for each in counted if isinstance(each, Exception)]
    told = [each for each in counted if isinstance(each, Counted)]
    for error in failed:
        print(f"{name}, {cell}, {'ours' if ours else 'plain'}: {str(error)[-2000:]}", file=sys.stderr)
    if not told:
        print(f"| {name} | {cell} | {'ours' if ours else 'plain'} | could not run | | | | | |", flush=True)
        return
    sums = [sum(getattr(each, field) for each in told) for field in ("never_done", "done_twice", "begun_twice", "cut")]
    seconds = "/".join(f"{each.seconds:g}" for each in told)
    status = "/".join(str(each.status) for each in told)
    print(
        f"| {name} | {cell} | {'ours' if ours else 'plain'} | {' | '.join(map(str, sums))} | {seconds} | {status} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
