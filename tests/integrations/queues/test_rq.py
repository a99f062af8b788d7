"""RQ for real: our worker on Redis, stopped and killed in the middle of jobs."""

import os
import signal
import time

import pytest

import twelvefactor as tf
from tests.conftest import url_of
from twelvefactor.testing.queues import Stop, session_of

rq = pytest.importorskip("rq")
redis = pytest.importorskip("redis")

APP = """
    import os, sys, time
    import redis, rq
    import twelvefactor as tf
    from tests.integrations.queues import in_hand
    from twelvefactor.testing.queues import Book

    class Config(tf.Config):
        broker: str
        queue: str
        book: str

    service = tf.Service("shop", Config)
    book = Book(service.config.book)
    queue = service.jobs(rq.Queue(service.config.queue, connection=redis.Redis.from_url(service.config.broker)))

    def work(number, seconds, together=0):
        in_hand.work(book, number, seconds, together)

    def look(how):
        service.log.info("looked", how=how, request_id=tf.current_work().request_id)
        if how == "raise":
            raise ValueError("broken")
        if how == "retry":
            return rq.Retry(max=1)
        if how == "exit":
            sys.exit(3)
        if how == "die":
            os.kill(os.getpid(), 9)
        if how == "fork" and not (pid := os.fork()):
            os._exit(0)
        if how == "send":
            queue.enqueue(look, "sent")
        if how == "object":
            return lambda: None

    @service.job
    def decorated():
        return tf.current_work().name

    def stops():
        book.write("begun", "stops")
        work = tf.current_work()
        while not work.should_stop:
            time.sleep(0.01)
        service.stopping.wait(5)
        book.write("done", f"stops {work.deadline is not None} {service.stopping.is_set()}")
"""


@pytest.fixture(scope="module")
def make(workshop):
    """A shop on Redis, and a queue that sends it jobs by their names."""
    url, made = url_of("redis"), []

    def make():
        shop = workshop(APP, BROKER=url, TWELVEFACTOR_SERVICE="shop:service")
        connection = redis.Redis.from_url(url)
        shop.jobs = rq.Queue(shop.queue, connection=connection, default_timeout=60)
        shop.send = lambda name, *args, **options: shop.jobs.enqueue(f"shop.{name}", *args, **options)
        shop.command = (
            "-m", "rq.cli", "worker", "-w", "twelvefactor.integrations.rq.Worker", "-u", url, shop.queue,
            "--name", shop.queue, "--logging_level", "WARNING",
        )  # fmt: skip
        made.append(shop)
        return shop

    yield make
    for shop in made:
        shop.jobs.delete(delete_jobs=True)
        shop.jobs.connection.close()


@pytest.fixture(scope="module")
def running(make):
    """A worker that several tests share."""
    shop = make()
    with shop.worker(*shop.command) as worker:
        worker.wait_event("twelvefactor.ready", within=60)
        shop.worker = worker
        yield shop


def job(shop, id, name="job", **where):
    def fits(event):
        told = event.get("work_id" if name == "job" else "id")
        return told == id and all(event.get(key) == value for key, value in where.items())

    return shop.worker.wait_event(name, where=fits, within=30)


def test_nothing_is_lost_or_done_twice_where_the_grace_is_long_enough(make):
    """
    SIGTERM to every process of a pool, twice: the jobs in hand end in their own processes, and are begun once.
    """
    shop = make()
    for number in range(5):
        shop.send("work", number, 2.0, 2)
    words = shop.command[3:8]
    drill = shop.drill("-m", "rq.cli", "worker-pool", *words, "-n", "2", "--logging-level", "WARNING")
    counted = drill.run(5, Stop(grace=15, after=2, into=0.2, to_all=True, twice=True))
    told = drill.first.tail(40)
    assert (counted.never_done, counted.done_twice, counted.begun_twice, counted.cut) == (0, 0, 0, 0), told
    assert (counted.running, counted.status) == (2, 0)
    assert not [event for event in drill.first.events if event.get("rule") in ("TF902", "TF904")]


def test_a_second_ctrl_c_gives_the_job_back(make):
    """
    Who forces the worker to stop ends the job's process, and the job goes back to its queue.
    """
    shop = make()
    shop.send("work", 1, 30)
    with shop.worker(*shop.command) as worker:
        assert shop.book.wait(lambda book: book.begun, 60)
        worker.send_signal(signal.SIGINT)
        worker.wait_event("twelvefactor.stopping")
        time.sleep(1.1)  # RQ takes what comes within a second for the same Ctrl-C
        assert worker.stop(signal.SIGINT) == 0
    assert shop.jobs.count == 1
    assert len([event for event in worker.events if event["event"] == "job.handed_back"]) == 1


@pytest.mark.parametrize(("kind", "grace"), [("Worker", 4), ("SimpleWorker", 4)])
def test_the_job_comes_back_where_the_grace_is_too_short(make, kind, grace):
    """
    At the end of its time the job in hand goes back to its queue, said so, and the next worker does it.
    """
    shop = make()
    for number in range(2):
        shop.send("work", number, 9, 1)
    command = [word.replace("rq.Worker", f"rq.{kind}") for word in shop.command]
    drill = shop.drill(*command)
    counted = drill.run(2, Stop(grace=grace, after=1, into=0.1))
    assert (counted.never_done, counted.done_twice) == (0, 0), drill.first.tail(40)
    assert counted.cut == counted.begun_twice == 1
    assert counted.status != -signal.SIGKILL
    events = drill.first.events
    assert len([event for event in events if event["event"] == "job.handed_back"]) == 1
    assert not [
        event for event in events if event["event"] == "twelvefactor.fault" or event.get("rule") in ("TF902", "TF903")
    ]
    again = [event for event in drill.second.events if event["event"] == "job" and event["attempt"] == 2]
    assert len(again) == 1


def test_a_job_knows_its_parent(running):
    """
    The ids of the work that sends a job are in it, and in the jobs that it sends; name, queue and delay are told.
    """
    service = tf.Service("web", environ={}, packages=["web"])
    service.jobs(running.jobs)
    with service.in_flight.work("request", "/", request_id="r-1", trace_id="1" * 32, span_id="2" * 16):
        sent = running.send("look", "send")
    event = job(running, sent.id)
    assert (event["request_id"], event["trace_id"], event["queue"]) == ("r-1", "1" * 32, running.queue)
    assert (event["name"], event["outcome"], event["attempt"]) == ("shop.look", "ok", 1)
    assert event["queue_delay_ms"] < 10_000
    assert running.worker.wait_event("looked", where=lambda event: event["how"] == "sent")["request_id"] == "r-1"


@pytest.mark.parametrize(
    ("how", "outcome"),
    [("raise", "error"), ("fork", "ok"), ("exit", "cancelled"), ("object", "ok"), ("retry", "retry")],
)
def test_how_a_job_ends_is_its_outcome(running, how, outcome):
    """
    One event for each, and the worker goes on.
    """
    event = job(running, running.send("look", how).id)
    assert event["outcome"] == outcome
    assert ("ValueError: broken" in event.get("exception", "")) == (how == "raise")
    assert job(running, running.send("look", "well").id)["outcome"] == "ok"


def test_a_decorated_job_is_one_job(running):
    """
    `@service.job` inside the worker's own unit of work steps aside.
    """
    sent = running.send("decorated")
    assert job(running, sent.id)["name"] == "shop.decorated"
    events = [
        event for event in running.worker.events if event["event"] == "job" and event["name"].endswith("decorated")
    ]
    assert len(events) == 1


def test_a_poison_job_is_bounded(running):
    """
    A job that kills its process is begun as often as it may be retried, each time said.
    """
    sent = running.send("look", "die", retry=rq.Retry(max=2))
    last = job(running, sent.id, "job.lost", begins_again=False)
    assert last["attempt"] == 3
    assert "signal 9" in last["because"]
    lost = [event for event in running.worker.events if event["event"] == "job.lost" and event["id"] == sent.id]
    assert [event["begins_again"] for event in lost] == [True, True, False]


def test_a_job_can_stop_early(make):
    """
    In the job's own process `should_stop`, `deadline` and `stopping` follow the SIGTERM that its parent got.
    """
    shop = make()
    shop.send("stops")
    with shop.worker(*shop.command, TWELVEFACTOR_GRACE_PERIOD="20") as worker:
        assert shop.book.wait(lambda book: book.begun["stops"], 60)
        assert worker.stop() == 0
    assert shop.book.done["stops True True"] == 1
    (settings,) = [event for event in worker.events if event["event"] == "twelvefactor.jobs.settings"]
    assert settings["set"] == {"worker_ttl": 75, "maintenance_interval": 60}


def test_a_job_whose_worker_was_killed_begins_again(make):
    """
    RQ would fail it; a worker that cleans up puts it back, a few times.
    """
    shop = make()
    shop.send("work", 1, 20)
    drill = shop.drill(*shop.command)
    with drill.server(10) as worker:
        assert shop.book.wait(lambda book: book.begun["1"], 60)
        for pid in session_of(worker.pid):  # the job's process has a group of its own
            os.kill(pid, signal.SIGKILL)
    connection = shop.jobs.connection
    registry = shop.jobs.started_job_registry
    for entry in connection.zrange(registry.key, 0, -1):
        connection.zadd(registry.key, {entry: 1})  # as if its last heartbeat were long ago
    connection.delete(f"rq:clean_registries:{shop.queue}")
    with shop.worker(*shop.command[:-4], "--logging_level", "WARNING") as worker:
        assert shop.book.wait(lambda book: book.done["1"], 30), worker.tail(30)
        assert worker.wait_event("job.lost")["begins_again"] is True


def test_without_a_service_the_worker_says_what_to_do(make, tmp_path):
    """
    A worker that does not know whose process it is names the variable to set.
    """
    shop = make()
    with shop.worker(*shop.command, TWELVEFACTOR_SERVICE="") as worker:
        assert worker.wait(60) != 0
    assert "TWELVEFACTOR_SERVICE=module:attribute" in worker.tail(30)
