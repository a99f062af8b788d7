"""Celery's workers stopped and killed in the middle of their tasks, on Redis and RabbitMQ."""

import signal

import pytest

from twelvefactor.testing.queues import Stop

pytest.importorskip("celery")
shop = pytest.importorskip("tests.integrations.queues.celery_shop")
brokers, make, FOUR = shop.brokers, shop.make, shop.FOUR


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_nothing_is_lost_or_done_twice_where_the_grace_is_long_enough(make, broker):
    """
    SIGTERM to every process of a prefork worker, twice: each task in hand ends, and is begun once.
    """
    shop = make(broker)
    for number in range(10):
        shop.send("work", number, 1.0)
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
        ("redis", "prefork", 1),
        ("redis", "prefork", 10),
        ("rabbitmq", "prefork", 1),
        ("redis", "threads", 1),
        ("redis", "solo", 1),
        ("redis", "gevent", 1),
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
        shop.send("work", number, grace + 1.0)
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
        shop.send("work", number, 1.0)
    drill = shop.drill(*FOUR)
    counted = drill.run(4, Stop(grace=0.01, into=0.2))
    assert counted.status == -signal.SIGKILL
    assert (counted.never_done, counted.cut) == (0, 4)
