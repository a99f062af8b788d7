"""A worker's heartbeat stops when the worker's own loop is stuck, and goes on beside a job that takes long."""

import contextlib
import os
import signal
import time

import pytest

from tests.integrations.queues.brokers import Redis
from twelvefactor import probe

SHOP = """
    import os, signal, time
    import twelvefactor as tf
    from twelvefactor.testing.queues import Book

    class Config(tf.Config):
        broker: str
        queue: str
        book: str

    service = tf.Service("shop", Config)
    book, queue, url = Book(service.config.book), service.config.queue, service.config.broker
    signal.signal(signal.SIGRTMIN + 5, lambda *_: os.read(os.pipe()[0], 1))  # the main thread waits for ever

    def work():
        with book.job("long"):
            while not os.path.exists("go"):
                time.sleep(0.05)
"""
CELERY = """
    import celery
    from twelvefactor.integrations.celery import turns
    turns._WITHIN = float(os.environ.get("PATIENCE", "4"))
    app = service.jobs(celery.Celery("shop", broker=url))
    app.conf.update(task_default_queue=queue, task_ignore_result=True, worker_enable_remote_control=False)
    send = app.task(name="work")(work).delay
"""
RQ = """
    import redis, rq
    from twelvefactor.integrations import rq as ours
    ours._LATE = 2.0
    jobs = service.jobs(rq.Queue(queue, connection=redis.Redis.from_url(url)))
    send = lambda: jobs.enqueue("shop.work")
"""
DRAMATIQ = """
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker
    from twelvefactor.integrations import dramatiq as ours
    ours._TURNS = 4.0
    import redis
    client = redis.Redis.from_url(url, socket_timeout=None)
    broker = service.jobs(RedisBroker(client=client, namespace=queue))
    dramatiq.set_broker(broker)
    send = dramatiq.actor(work, queue_name=queue).send
"""
HUEY = """
    import huey as library, redis
    from twelvefactor.integrations import _huey_turns as ours
    ours._LATE = 4.0
    huey = service.jobs(library.RedisHuey(queue, connection_pool=redis.ConnectionPool.from_url(url, socket_timeout=None)))
    send = huey.task()(work)
"""


def celery(pool, *options):
    command = ("-m", "celery", "-A", "shop:app", "worker", "-P", pool, "-c", "1", "--loglevel", "WARNING")
    return CELERY, (*command, "--without-gossip", "--without-mingle", *options)


def rq(kind):
    kind = f"twelvefactor.integrations.rq.{kind}"
    short = ("--worker-ttl", "16", "--job-monitoring-interval", "1")
    return RQ, ("-m", "rq.cli", "worker", "-w", kind, *short, "-u", "URL", "QUEUE")


def dramatiq():
    return DRAMATIQ, ("-m", "dramatiq", "shop", "--processes", "1", "--threads", "1")


def huey(kind):
    return HUEY, ("-m", "huey.bin.huey_consumer", "shop.huey", "-k", kind, "-m", "1", "-f")


KINDS = {
    "celery prefork": (celery, "prefork"),
    "celery threads": (celery, "threads"),
    "celery solo": (celery, "solo"),
    "celery gevent": (celery, "gevent"),
    "rq": (rq, "Worker"),
    "rq simple": (rq, "SimpleWorker"),
    "dramatiq": (dramatiq,),
    "huey threads": (huey, "thread"),
    "huey processes": (huey, "process"),
}
LONGEST = 14.0  # seconds of silence that the workers above are given, RQ's by its timeout of a dequeue


@pytest.fixture
def redis(tmp_path):
    made = Redis(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def begun(workshop, redis, tmp_path):
    """Starts a worker of a kind that beats into a file, with a job in hand; gives the worker, the shop and the file."""
    with contextlib.ExitStack() as stack:

        def begun(kind, **more):
            make, *how = KINDS[kind]
            code, command = make(*how)
            beat = tmp_path / "beat"
            environ = {"BROKER": redis.url, "TWELVEFACTOR_SERVICE": "shop:service", "TWELVEFACTOR_HEARTBEAT": str(beat)}
            shop = workshop(SHOP + code, **environ, **more)
            words = {"URL": redis.url, "QUEUE": shop.queue}
            worker = stack.enter_context(shop.worker(*(words.get(word, word) for word in command)))
            worker.wait_event("twelvefactor.ready", within=60)
            stack.callback((shop.folder / "go").touch)
            send(shop)
            assert shop.book.wait(lambda book: book.begun, 60), worker.tail(30)
            return worker, shop, beat

        yield begun


def send(shop):
    with shop.worker("-c", "import shop; shop.send()") as client:
        assert client.wait(60) == 0, client.tail(20)


def wait_for_beat(beat, after):
    """A beat that was made after the monotonic second *after*."""
    ends = max(time.monotonic(), after) + 30
    while (told := probe.read(str(beat))) is None or told[0] <= after:
        assert time.monotonic() < ends, told
        time.sleep(0.1)
    return told


def wait_until_stale(beat):
    ends = time.monotonic() + LONGEST + 60
    while probe.judge(str(beat), 3.0, ready=False, now=time.monotonic())[0] != probe.STALE:
        assert time.monotonic() < ends
        time.sleep(0.1)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "dramatiq"])
def test_a_long_job_keeps_the_beat_and_a_stuck_loop_stops_it(begun, kind):
    """
    The job takes longer than the loop may be silent; then the main thread, which runs the loop, waits for ever.
    """
    if "gevent" in kind:
        pytest.importorskip("gevent")
    worker, shop, beat = begun(kind)
    _, pid, _ = wait_for_beat(beat, time.monotonic() + LONGEST + 3)
    assert not shop.book.done
    (shop.folder / "go").touch()
    assert shop.book.wait(lambda book: book.done, 30), worker.tail(30)
    wait_for_beat(beat, time.monotonic())
    os.kill(pid, signal.SIGRTMIN + 5)
    wait_until_stale(beat)
    os.kill(pid, 0)  # it lives all the same
    worker.kill()


@pytest.mark.parametrize("kind", ["dramatiq", "huey threads"])
def test_threads_that_wait_for_a_broker_for_ever_stop_the_beat(begun, redis, kind):
    """
    A broker that answers nothing any more, on a connection without a timeout; a long job alone changes nothing.
    """
    worker, shop, beat = begun(kind)
    _, pid, _ = wait_for_beat(beat, time.monotonic() + 10)
    (shop.folder / "go").touch()
    assert shop.book.wait(lambda book: book.done, 30), worker.tail(30)
    redis.freeze()
    wait_until_stale(beat)
    os.kill(pid, 0)
    worker.kill()


def test_a_broker_that_is_away_is_no_stuck_loop(begun, redis):
    """
    Celery tries to connect again and again, each try with its client's own: the worker beats on for longer than its patience.
    """
    worker, shop, beat = begun("celery prefork", PATIENCE="15")
    redis.stop()
    (shop.folder / "go").touch()  # its acknowledgement meets no broker
    wait_for_beat(beat, time.monotonic() + 18)
    redis.start()
    assert shop.book.wait(lambda book: book.done, 60), worker.tail(30)
