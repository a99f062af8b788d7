"""Celery for real: workers on Redis and RabbitMQ, stopped and killed in the middle of their tasks."""

import pytest

import twelvefactor as tf

celery = pytest.importorskip("celery")
shop = pytest.importorskip("tests.integrations.queues.celery_shop")
brokers, make, WORKER = shop.brokers, shop.make, shop.WORKER
settings = pytest.importorskip("twelvefactor.integrations.celery.settings")

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def running(make):
    """A worker that several tests share."""
    shop = make()
    with shop.worker(*WORKER, "-c", "2") as worker:
        worker.wait_event("twelvefactor.ready", within=60)
        shop.worker = worker
        yield shop


def job(shop, id, **where):
    def fits(event):
        return event["work_id"] == id and all(event.get(key) == value for key, value in where.items())

    return shop.worker.wait_event("job", where=fits, within=30)


def test_the_ids_of_the_parent_go_along(running):
    """
    A task knows the request and the trace that sent it, and passes them on; queue, attempt and delay are told.
    """
    sent = running.send("look", "send", headers={"x-request-id": "r-1", "traceparent": TRACE})
    event = job(running, sent.id)
    assert (event["request_id"], event["trace_id"]) == ("r-1", TRACE.split("-")[1])
    assert (event["name"], event["queue"], event["attempt"], event["outcome"]) == ("look", running.queue, 1, "ok")
    looked = running.worker.wait_event("looked", where=lambda event: event["how"] == "sent")
    assert (looked["request_id"], looked["trace_id"]) == ("r-1", TRACE.split("-")[1])
    child = job(running, looked["work_id"])
    assert child["queue_delay_ms"] < 10_000


@pytest.mark.parametrize(
    ("how", "outcome", "level"),
    [
        ("raise", "error", "error"),
        ("ignore", "ignored", "info"),
        ("reject", "rejected", "info"),
        ("fork", "ok", "info"),
        ("exit", "cancelled", "info"),
    ],
)
def test_how_a_task_ends_is_its_outcome(running, how, outcome, level):
    """
    One event for each, and the worker goes on.
    """
    event = job(running, running.send("look", how).id)
    assert (event["outcome"], event["level"]) == (outcome, level)
    assert ("ValueError: broken" in event.get("exception", "")) == (how == "raise")
    assert job(running, running.send("look", "well").id)["outcome"] == "ok"


def test_a_retry_is_told_with_its_cause(running):
    """
    The first attempt is a retry, the last one the error.
    """
    sent = running.send("look", "retry")
    first, last = job(running, sent.id, attempt=1), job(running, sent.id, attempt=2)
    assert (first["outcome"], first["exception_type"]) == ("retry", "KeyError")
    assert (last["outcome"], last["exception_type"]) == ("error", "KeyError")


def test_a_poison_task_is_bounded(running):
    """
    A task that kills its process every time is begun once and retried as often as it may.
    """
    running.send("poison")
    assert running.book.wait(lambda book: book.begun["poison"] == 3, 30)
    lost = running.worker.wait_event("job.lost", where=lambda event: not event["begins_again"], within=30)
    assert (lost["name"], lost["attempt"]) == ("poison", 3)
    assert running.book.begun["poison"] == 3


def test_a_task_can_stop_early(make):
    """
    In a pool's process `should_stop`, `deadline` and `stopping` follow the SIGTERM that its parent got.
    """
    shop = make()
    shop.send("stops")
    with shop.worker(*WORKER, "-c", "1", TWELVEFACTOR_GRACE_PERIOD="20") as worker:
        assert shop.book.wait(lambda book: book.begun["stops"], 60)
        assert worker.stop() == 0
        assert shop.book.done["stops True True"] == 1
        assert not [event for event in worker.events if event["event"] == "job.handed_back"]


def nothing():
    """Does nothing."""


@pytest.fixture
def look():
    """The findings of TF904 for an app with these settings."""

    def look(tasks=(), **conf):
        app = celery.Celery("shop", broker="redis://h/0", set_as_current=False)
        service = tf.Service("shop", environ={}, packages=["shop"])
        service.jobs(app)
        app.conf.update(conf)
        for options in tasks:
            app.task(nothing, shared=False, **options)

        class Worker:
            pool_cls = "prefork"
            prefetch_multiplier = None

        return settings.look(app, Worker, 6.5)

    return look


def test_what_the_app_left_unset_is_set(look):
    """
    With nothing set all is set, told, and nothing is wrong.
    """
    found = look()
    assert found.made["task_acks_late"] is True
    assert found.made["worker_prefetch_multiplier"] == 1
    assert not found.wrongs


@pytest.mark.parametrize(
    ("conf", "wrong"),
    [
        ({"task_acks_late": False}, "task_acks_late"),
        ({"task_retry_on_worker_lost": False}, "task_retry_on_worker_lost"),
        ({"task_retry_on_worker_lost": False, "task_reject_on_worker_lost": True}, "task_reject_on_worker_lost"),
        ({"worker_prefetch_multiplier": 4}, "worker_prefetch_multiplier"),
        ({"task_time_limit": 7200}, "visibility_timeout"),
        ({"worker_soft_shutdown_timeout": 30}, "worker_soft_shutdown_timeout"),
    ],
)
def test_what_the_app_set_stays_and_is_told(look, conf, wrong):
    """
    Each setting that would lose a task is one finding with the line to write, and is not overridden.
    """
    found = look(tasks=[{"name": "work"}], **conf)
    assert [each.setting for each in found.wrongs] == [wrong]
    assert found.wrongs[0].write.startswith("`app.conf.")
    assert not set(conf) & set(found.made)


def test_a_config_object_wins_over_ours(look):
    """
    What `config_from_object` reads is the app's own too.
    """
    app = celery.Celery("shop", broker="redis://h/0", set_as_current=False)
    tf.Service("shop", environ={}, packages=["shop"]).jobs(app)
    app.config_from_object({"task_acks_late": False})
    assert app.conf.task_acks_late is False
    assert app.conf.worker_prefetch_multiplier == 1


def test_a_task_of_its_own_mind_is_told(look):
    """
    One task with `acks_late=False` is named.
    """
    assert [each.setting for each in look(tasks=[{"name": "work", "acks_late": False}]).wrongs] == ["work.acks_late"]


def test_the_environments_signal_is_told(look, monkeypatch):
    """
    REMAP_SIGTERM without a soft shutdown stops tasks at once.
    """
    monkeypatch.setenv("REMAP_SIGTERM", "SIGQUIT")
    assert [each.setting for each in look().wrongs] == ["REMAP_SIGTERM"]
    assert not look(worker_soft_shutdown_timeout=3).wrongs
