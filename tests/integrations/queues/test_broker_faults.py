"""The broker goes away in the middle of a job, or is not there at the start: nothing is lost, and the worker comes back."""

import contextlib
import shutil

import pytest

from tests.conftest import absent
from tests.integrations.queues import test_dramatiq as dramatiq_shop
from tests.integrations.queues import test_rq as rq_shop
from tests.integrations.queues.brokers import RabbitMQ, Redis, reachable

celery_shop = pytest.importorskip("tests.integrations.queues.celery_shop")


TASKIQ = """
    import asyncio, os
    import twelvefactor as tf
    from taskiq_redis import RedisStreamBroker
    from twelvefactor.testing.queues import Book

    service = tf.Service("shop")
    book = Book(os.environ["BOOK"])
    broker = service.jobs(RedisStreamBroker(os.environ["BROKER"], os.environ["QUEUE"], idle_timeout=20_000))

    @broker.task
    async def work(number, seconds):
        with book.job(number):
            await asyncio.sleep(seconds)

    async def main(number):
        await broker.startup()
        await work.kiq(number, 3)
        await broker.shutdown()

    send = lambda number: asyncio.run(main(number))
"""
HUEY = """
    import os, time
    import huey as library
    import twelvefactor as tf
    from twelvefactor.testing.queues import Book

    service = tf.Service("shop")
    book = Book(os.environ["BOOK"])
    huey = service.jobs(library.RedisHuey(os.environ["QUEUE"], url=os.environ["BROKER"]))

    @huey.task()
    def work(number, seconds):
        with book.job(number):
            time.sleep(seconds)

    send = lambda number: work(number, 3)
"""


def celery(url):
    client = celery_shop.celery.Celery(broker=url, set_as_current=False)

    def send(shop, number):
        return client.send_task("work", (number, 3), queue=shop.queue)

    return celery_shop.APP, (*celery_shop.WORKER, "-c", "2"), send, client.close


def rq(url):
    redis, library = rq_shop.redis, rq_shop.rq
    connection = redis.Redis.from_url(url)

    def send(shop, number):
        return library.Queue(shop.queue, connection=connection).enqueue("shop.work", number, 3)

    command = ("-m", "rq.cli", "worker", "-w", "twelvefactor.integrations.rq.Worker", "-u", url, "QUEUE")
    return rq_shop.APP, command, send, connection.close


def dramatiq(url):
    library, made = dramatiq_shop.dramatiq, []

    def send(shop, number):
        if not made:
            made.append(dramatiq_broker(url, shop.queue))
            made[0].declare_queue(shop.queue)
        message = {"queue_name": shop.queue, "actor_name": "work", "args": (number, 3), "kwargs": {}, "options": {}}
        return made[0].enqueue(library.Message(**message))

    return dramatiq_shop.APP, (*dramatiq_shop.WORKER, "--threads", "2"), send, lambda: [each.close() for each in made]


def dramatiq_broker(url, namespace):
    if url.startswith("redis"):
        return dramatiq_shop.redis.RedisBroker(url=url, namespace=namespace)
    return pytest.importorskip("dramatiq.brokers.rabbitmq").RabbitmqBroker(url=url)


def by_itself(shop, number):
    with shop.worker("-c", f"import shop; shop.send({number})") as client:
        assert client.wait(60) == 0, client.tail(20)


def taskiq(_):
    pytest.importorskip("taskiq_redis")
    return TASKIQ, ("-m", "taskiq", "worker", "shop:broker", "--workers", "1"), by_itself, lambda: None


def huey(_):
    pytest.importorskip("huey")
    return HUEY, ("-m", "huey.bin.huey_consumer", "shop.huey", "-w", "2", "-f"), by_itself, lambda: None


QUEUES = {"celery": celery, "rq": rq, "dramatiq": dramatiq, "taskiq": taskiq, "huey": huey}
ON_REDIS = [("redis", name) for name in QUEUES]
ON_RABBITMQ = [("rabbitmq", "celery"), ("rabbitmq", "dramatiq")]


@pytest.fixture
def broker(request, tmp_path):
    kind = getattr(request, "param", "redis")
    if kind == "rabbitmq":
        if not shutil.which("rabbitmq-server"):
            absent("RabbitMQ is not installed")
        tmp_path = reachable()
    made = {"redis": Redis, "rabbitmq": RabbitMQ}[kind](tmp_path)
    yield made
    made.stop()
    if kind == "rabbitmq":
        shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def start(workshop, broker):
    """Makes a shop on the broker: its worker, not started, and what sends it a job by its number."""
    with contextlib.ExitStack() as stack:

        def start(queue):
            code, command, send, close = QUEUES[queue](broker.url)
            stack.callback(close)
            shop = workshop(code, BROKER=broker.url, TWELVEFACTOR_SERVICE="shop:service")
            worker = shop.worker(*(word.replace("QUEUE", shop.queue) for word in command))
            return shop, worker, lambda number: send(shop, number)

        yield start


@pytest.mark.parametrize(("broker", "queue"), [*ON_REDIS, *ON_RABBITMQ], indirect=["broker"])
def test_a_broker_that_restarts_in_the_middle_of_jobs(start, broker, queue):
    """
    Jobs that run meanwhile end, those that wait are done afterwards, none is lost, and the worker lives on.

    On Redis each is done once. RabbitMQ delivers what was not acknowledged to the new connection, so what ran meanwhile
    is done once more, and says so.
    """
    broker.start()
    shop, worker, send = start(queue)
    for number in range(3):
        send(number)
    with worker:
        assert shop.book.wait(lambda book: book.begun, 60), worker.tail(30)
        broker.stop()
        broker.start()
        assert shop.book.wait(lambda book: len(book.done) == 3, 120), worker.tail(60)
        send(3)
        assert shop.book.wait(lambda book: "3" in book.done, 60), worker.tail(60)
    again = [event["work_id"] for event in worker.events if event["event"] == "job.begins_again"]
    assert sum(shop.book.done.values()) == 4 + len(again)
    assert len(again) == len(set(again))
    assert not again or isinstance(broker, RabbitMQ)
    assert not [event for event in worker.events if event["event"] == "twelvefactor.fault"]
    assert len(worker.events) < 200  # no storm, in the quarter of a minute that RabbitMQ takes


@pytest.mark.parametrize("queue", ["celery", "dramatiq", "taskiq", "huey"])
def test_a_worker_waits_for_its_broker(start, broker, queue):
    """
    A broker that is not there yet keeps the worker waiting, and nothing else.
    """
    shop, worker, send = start(queue)
    with worker:
        worker.wait_event("twelvefactor.starting", within=60)
        worker.wait_event("twelvefactor.jobs.settings", within=60)
        broker.start()
        send(1)
        assert shop.book.wait(lambda book: book.done, 60), worker.tail(30)


def test_rqs_worker_ends_without_its_broker(start):
    """
    RQ does not wait: the worker ends, says why, and the platform starts it again.
    """
    _, worker, _ = start("rq")
    with worker:
        assert worker.wait(60) != 0
    assert "refused" in worker.tail(30)
