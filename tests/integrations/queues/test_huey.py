"""huey: real consumers on a real Redis; each task a job, given back at SIGTERM when its time is over."""

import importlib
import sys
import uuid
from pathlib import Path

import pytest

from tests.conftest import url_of
from twelvefactor.testing.servers import Server

pytest.importorskip("huey")

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def app():
    """The module that consumers load, here to send with; its queue is this run's own."""
    url_of("redis")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUEUE", f"shop{uuid.uuid4().hex}")
        patch.syspath_prepend(str(HERE))
        module = importlib.import_module("real_huey")
        yield module
        module.huey.storage.flush_all()
        module.service.close()
        module.service.stream.close()
        sys.modules.pop("real_huey")


def consumer(app, *options, grace="10", **environ):
    command = (sys.executable, "-m", "huey.bin.huey_consumer", "real_huey.huey", "-c", "0.1", *options)
    environ = {
        "PYTHONPATH": str(HERE.parents[2]),
        "QUEUE": app.huey.name,
        "TWELVEFACTOR_GRACE_PERIOD": grace,
        **environ,
    }
    return Server(command, cwd=HERE, environ=environ, ready=None)


def ended(running, name, **fields):
    """The event of a job that has ended."""
    return running.wait_event(
        "job", where=lambda event: event["name"].endswith(name) and fields.items() <= event.items()
    )


@pytest.fixture(scope="module")
def lived(app):
    """One life: every kind of task, then SIGTERM while one runs that goes on for a while when it is told to stop."""
    with app.service.in_flight.work("request", "/", request_id="r-1"):
        app.send()
    for task in (app.fails, app.asks_again, app.gives_up, app.leaves, app.cannot_be_kept):
        task()
    with consumer(app) as running:
        for name, outcome in LAST.items():
            ended(running, name, outcome=outcome)
        app.until_told(1)
        running.wait_event("begun", where=lambda event: event.get("work_id") != ended(running, "send")["work_id"])
        app.send.schedule(delay=3600)
        running.send_signal()
        running.wait_event("Shutting down gracefully...")
        status = running.stop()  # as Heroku repeats it
        return running, status


LAST = {
    "send": "ok",
    "fails": "error",
    "asks_again": "ok",
    "gives_up": "ignored",
    "leaves": "cancelled",
    "cannot_be_kept": "error",
}


def of(running, name):
    return [event for event in running.events if event["event"] == "job" and event["name"] == f"real_huey.{name}"]


def test_a_task_is_a_job(lived):
    """
    One event with the queue, the attempt, the delay, and the id of the request that sent it.
    """
    first = of(lived[0], "send")[0]
    assert (first["outcome"], first["attempt"], first["request_id"]) == ("ok", 1, "r-1")
    assert first["queue"].startswith("shop")
    assert first["queue_delay_ms"] > 0


def test_attempts_are_counted(lived):
    """
    An error that is tried again has an event each time; a task that asks to be tried again is no error.
    """
    assert [(each["attempt"], each["outcome"]) for each in of(lived[0], "fails")] == [(1, "error"), (2, "error")]
    assert [(each["attempt"], each["outcome"]) for each in of(lived[0], "asks_again")] == [(1, "retry"), (2, "ok")]
    assert of(lived[0], "fails")[0]["exception_type"] == "ValueError"


@pytest.mark.parametrize(
    ("name", "outcome"), [("gives_up", "ignored"), ("leaves", "cancelled"), ("cannot_be_kept", "error")]
)
def test_other_ends(lived, name, outcome):
    """
    Given up, ended by `SystemExit`, or with a result that cannot be kept: the job is closed, and the next one is taken.
    """
    assert [each["outcome"] for each in of(lived[0], name)] == [outcome]


def test_sigterm_lets_a_task_finish(lived):
    """
    SIGTERM means: no more tasks, this one may finish, and a second one changes nothing; it knows that it should stop early.
    """
    running, status = lived
    assert status == 0
    assert [event["stopping"] for event in running.events if event["event"] == "done"] == [False, True]
    assert not [event for event in running.events if event["event"] == "job.handed_back"]


def test_what_was_set_is_told(lived):
    """
    What huey was given where nobody said anything is one event, and TF904 tells what no setting changes.
    """
    (told,) = [event for event in lived[0].events if event["event"] == "twelvefactor.jobs.settings"]
    assert told["set"] == {"graceful_signal": "TERM", "shutdown_timeout": 6.2}
    assert [event["culprit"] for event in lived[0].events if event.get("rule") == "TF904"] == ["huey:storage"]
    assert not [event for event in lived[0].events if event["event"] == "twelvefactor.fault"]


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_task_is_given_back(app, kind):
    """
    At the end of the budget a running task goes back, before the kill; the next consumer does it, as attempt 2.
    """
    app.send(30)
    with consumer(app, "-k", kind, grace="4") as running:
        running.wait_event("begun")
        assert running.stop() == 0
        (back,) = [event for event in running.events if event["event"] == "job.handed_back"]
        assert (back["name"], back["attempt"], back["because"]) == ("real_huey.send", 1, "its time is over")
        assert not [event for event in running.events if event["event"] == "done"]
        assert [each["outcome"] for each in of(running, "send")] == ["handed_back"]
    (task,) = app.huey.pending()
    assert task.id == back["id"]
    app.huey.storage.flush_queue()


def test_a_blocked_task_is_given_back_and_done_once_more(app):
    """
    One that is in a call which nothing interrupts goes back too, and the next consumer does it to its end.
    """
    app.sleeps(30)
    with consumer(app, grace="4") as running:
        running.wait_event("begun")
        running.stop()
        assert [event["attempt"] for event in running.events if event["event"] == "job.handed_back"] == [1]
        assert not [event for event in running.events if event["event"] == "done"]
    with consumer(app, AT_MOST="1") as running:
        assert ended(running, "sleeps")["attempt"] == 2


def test_sigkill_loses_the_task_that_was_in_hand(app):
    """
    huey keeps no record of it: TF904 says so, and a task that kills its consumer runs once only.
    """
    app.kills()
    with consumer(app) as running:
        running.wait_event("begun")
        running.wait()
    assert not app.huey.pending_count()


def test_the_apps_own_receiver_gives_back_once(make_shop):
    """
    An app that enqueues what was interrupted, as huey's pages advise, enqueues it once.
    """
    huey = pytest.importorskip("huey").MemoryHuey("shop")
    shop = make_shop()
    shop.service.jobs(huey)
    huey.signal("interrupted")(lambda _, task: huey.enqueue(task))

    @huey.task()
    def stops():
        raise KeyboardInterrupt

    stops()
    huey.execute(huey.dequeue())
    (task,) = huey.pending()
    (back,) = shop.said("job.handed_back")
    assert task.id == back["id"]
    assert shop.service.jobs(huey) is huey


def test_wrong_settings_are_named(make_shop):
    """
    A consumer that is made by hand with SIGTERM as interruption, or without a limit, is TF904 with the flag to write.
    """
    from huey.consumer import Consumer

    from twelvefactor.integrations.huey import Tasks, Worker

    huey = pytest.importorskip("huey").MemoryHuey("shop")
    shop = make_shop()
    made = Worker(shop.service, Tasks(shop.service, huey), Consumer(huey), {}).settings()
    assert {wrong.setting: wrong.write.partition(" (")[0] for wrong in made.wrongs if wrong.setting != "storage"} == {
        "graceful_signal": "huey_consumer -g TERM",
        "shutdown_timeout": "huey_consumer -t 6.2",
    }


def test_a_task_of_another_version(make_shop):
    """
    What was enqueued without the library is read, and what is enqueued with it can be read without it.
    """
    library = pytest.importorskip("huey")
    plain, ours = library.MemoryHuey("shop"), library.MemoryHuey("shop")
    shop = make_shop()
    shop.service.jobs(ours)

    def send():
        pass

    one, two = plain.task(name="send")(send).s(), ours.task(name="send")(send).s()
    assert ours.deserialize_task(plain.serialize_task(one)).id == one.id
    assert plain.deserialize_task(ours.serialize_task(two)).id == two.id
