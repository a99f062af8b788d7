"""Celery's workers stopped and killed in the middle of their tasks, on Redis and RabbitMQ."""

import os
import pathlib
import signal

import pytest

from twelvefactor.testing.queues import Stop

pytest.importorskip("celery")
shop = pytest.importorskip("tests.integrations.queues.celery_shop")
brokers, make, FOUR, WORKER = shop.brokers, shop.make, shop.FOUR, shop.WORKER


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_nothing_is_lost_or_done_twice_where_the_grace_is_long_enough(make, broker):
    """
    SIGTERM to every process of a prefork worker, twice: each task in hand ends, and is begun once.
    """
    shop = make(broker)
    for number in range(10):
        shop.send("work", number, 2.0, 4)
    drill = shop.drill(*FOUR)
    counted = drill.run(10, Stop(grace=15, into=0.2, to_all=True, twice=True))
    assert (counted.never_done, counted.done_twice, counted.begun_twice, counted.cut) == (0, 0, 0, 0), drill.first.tail(
        40
    )
    assert counted.running == 4
    assert counted.status == 0
    assert not [event for event in drill.first.events if event["event"] == "twelvefactor.fault"]


@pytest.mark.parametrize(
    ("broker", "pool", "grace"),
    [
        ("redis", "prefork", 3),
        ("redis", "prefork", 10),
        ("rabbitmq", "prefork", 3),
        ("redis", "threads", 3),
        ("redis", "solo", 3),
        ("redis", "gevent", 3),
    ],
)
def test_tasks_come_back_where_the_grace_is_too_short(make, broker, pool, grace):
    """
    At the end of their time the tasks in hand are given back, said so, and done by the next worker.
    """
    if pool == "gevent":
        pytest.importorskip("gevent")
    shop = make(broker)
    many = 1 if pool == "solo" else 4
    for number in range(many + 2):
        shop.send("work", number, grace + 5.0, many)
    drill = shop.drill(*FOUR, "-P", pool)
    counted = drill.run(many + 2, Stop(grace=grace, into=0.1, after=many), patience=20)
    assert (counted.never_done, counted.done_twice) == (0, 0), drill.first.tail(40)
    assert counted.cut == counted.begun_twice == many
    assert counted.status != -signal.SIGKILL
    events = drill.first.events
    assert len({event["id"] for event in events if event["event"] == "job.handed_back"}) == many
    assert not [event for event in events if event["event"] == "twelvefactor.fault"]
    assert not [event for event in events if event.get("rule") in ("TF902", "TF903", "TF904")]


def test_a_worker_that_is_killed_loses_nothing(make):
    """
    SIGKILL to every process in the middle of tasks, on RabbitMQ: the broker gives them to the next worker.
    """
    shop = make("rabbitmq")
    for number in range(4):
        shop.send("work", number, 5.0, 4)
    drill = shop.drill(*FOUR)
    counted = drill.run(4, Stop(grace=0.01, into=0.2))
    assert counted.status == -signal.SIGKILL
    assert (counted.never_done, counted.cut) == (0, 4)


@pytest.mark.skipif(not pathlib.Path("/proc/self/task").exists(), reason="Linux tells who the pool's process is")
def test_a_task_that_its_process_is_just_taking_is_neither_done_twice_nor_waited_for(make):
    """
    SIGTERM between Celery's writing a task to a process and the process's word that it has it: it ends, once.

    Celery alone forgets such a task, which leaves its message unacknowledged, and its process waits for 30 s.
    """
    shop = make("redis")
    command = (*WORKER, "-c", "1", "--loglevel", "INFO")
    with (
        shop.client.connection_for_read() as connection,
        shop.worker(*command, TWELVEFACTOR_GRACE_PERIOD="25s", LOG_LEVEL="info") as worker,
    ):
        redis = connection.default_channel.client

        def held(task):
            """Whether a worker has the message of *task* and has not acknowledged it."""
            return any(task.id.encode() in each for each in redis.hvals("unacked"))

        first = shop.send("work", 0, 0.0)
        worker.wait_event("job")
        assert shop.book.wait(lambda _: not held(first), within=20)  # its process waits for the next one now
        (process,) = pathlib.Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
        os.kill(int(process), signal.SIGSTOP)
        second = shop.send("work", 1, 0.0)
        worker.wait_event(f"Task work[{second.id}] received")
        worker.send_signal(signal.SIGTERM)
        assert shop.book.wait(lambda book: book.count("flushed"), within=20)
        os.kill(int(process), signal.SIGCONT)
        assert worker.wait(20) == 0, worker.tail(40)
        assert shop.book.done["1"] + redis.llen(shop.queue) == 1  # it may have come before the task was written
        assert not held(second)


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_greenlets_have_their_next_task_when_one_is_done(make, broker):
    """
    Three hundred short tasks, two at a time: the loop that acknowledges them does not wait two seconds for the broker first.
    """
    pytest.importorskip("gevent")
    shop = make(broker)
    with shop.worker(*WORKER, "-c", "2", "-P", "gevent") as worker:
        worker.wait_event("twelvefactor.ready", within=60)
        for number in range(300):
            shop.send("work", number, 0.0)
        assert shop.book.wait(lambda book: len(book.done) == 300, within=60), worker.tail(20)
