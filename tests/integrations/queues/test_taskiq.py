"""taskiq: real workers on a real Redis; each task a job, sent anew at SIGTERM when its time is over."""

import asyncio
import importlib
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.conftest import url_of
from twelvefactor.testing.servers import Server
from twelvefactor.work import current_work

pytest.importorskip("taskiq")
redis = pytest.importorskip("redis")
pytest.importorskip("taskiq_redis")

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def app():
    """The module that workers load, here to send with; its queue is this run's own."""
    url = url_of("redis")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUEUE", f"shop{uuid.uuid4().hex}")
        patch.syspath_prepend(str(HERE))
        module = importlib.import_module("real_taskiq")
        yield module
        with redis.Redis.from_url(url) as client:
            for key in client.scan_iter(f"*{module.QUEUE}*", count=1000):
                client.delete(key)
        module.service.stream.close()
        sys.modules.pop("real_taskiq")


def send(app, *sent):
    """Send (task, argument) each; their ids."""

    async def main():
        made = []
        for task, *args in sent:
            kicked = await task.kiq(*args)
            made.append(kicked.task_id)
        await app.broker.connection_pool.disconnect()
        await app.forgetful.connection_pool.disconnect()
        return made

    return asyncio.run(main())


def worker(app, *options, broker="broker", grace="10"):
    environ = {"PYTHONPATH": ":".join(sys.path), "QUEUE": app.QUEUE}
    command = (sys.executable, "-m", "taskiq", "worker", f"real_taskiq:{broker}", "--workers", "1", *options)
    environ["TWELVEFACTOR_GRACE_PERIOD"] = grace
    return Server(command, cwd=HERE, environ=environ, ready=None)


def named(name):
    return lambda event: event["name"] == f"real_taskiq:{name}"


def of(running, event, **fields):
    return [each for each in running.events if each["event"] == event and fields.items() <= each.items()]


@pytest.fixture(scope="module")
def lived(app):
    """One life: every kind of task, then SIGTERM while two run that go on for a while when they are told to stop."""
    with app.service.in_flight.work("request", "/", request_id="r-1"):
        send(app, (app.send,))
    send(app, (app.fails,), (app.cannot_be_kept,), (app.leaves,))
    with worker(app) as running:
        for name in ("send", "cannot_be_kept", "leaves"):
            running.wait_event("job", where=named(name))
        running.wait_event("job", where=lambda event: named("fails")(event) and event["attempt"] == 2)
        slow = send(app, (app.until_told,), (app.until_told_in_thread,))
        for each in slow:
            running.wait_event("begun", where=lambda event, each=each: event["work_id"] == each)
        status = running.stop()
        return running, status, slow


def test_a_task_is_a_job(app, lived):
    """
    One event with the queue, the attempt, the delay, and the id of the request that sent it.
    """
    event = of(lived[0], "job", name="real_taskiq:send")[0]
    assert (event["outcome"], event["attempt"], event["queue"], event["request_id"]) == ("ok", 1, app.QUEUE, "r-1")
    assert event["queue_delay_ms"] > 0


def test_other_ends(lived):
    """
    An error has its traceback and another attempt; a result that cannot be kept and `SystemExit` close their job too.
    """
    failed = of(lived[0], "job", name="real_taskiq:fails")
    assert [(each["attempt"], each["outcome"], each["exception_type"]) for each in failed] == [
        (1, "error", "ValueError"),
        (2, "error", "ValueError"),
    ]
    assert [each["outcome"] for each in of(lived[0], "job", name="real_taskiq:leaves")] == ["cancelled"]
    assert [each["outcome"] for each in of(lived[0], "job", name="real_taskiq:cannot_be_kept")] == ["ok"]


def test_sigterm_lets_tasks_finish(lived):
    """
    Both finish, know that they should stop early, and nothing is given back.
    """
    running, status, slow = lived
    assert status == 0
    assert {each["work_id"] for each in of(running, "done")} > set(slow)
    assert [of(running, "done", work_id=each)[0]["stopping"] for each in slow] == [True, True]
    assert not of(running, "job.handed_back")


def test_what_was_set_is_told(lived):
    """
    `xread_count` is 1, and TF904 finds nothing wrong.
    """
    (told,) = of(lived[0], "twelvefactor.jobs.settings")
    assert told["set"] == {"xread_count": 1}
    assert not of(lived[0], "twelvefactor.finding", rule="TF904")
    assert not of(lived[0], "twelvefactor.fault")


def test_tasks_are_given_back_and_done_by_the_next(app):
    """
    At the end of the budget they go back, a coroutine and a thread, each once; the next worker does them, as attempt 2.
    """
    sent = send(app, (app.send, 5), (app.in_thread, 5))
    with worker(app, grace="3") as running:
        for each in sent:
            running.wait_event("begun", where=lambda event, each=each: event["work_id"] == each)
        assert running.stop() == 0
        assert {each["id"] for each in of(running, "job.handed_back")} == set(sent)
        assert [each["outcome"] for each in of(running, "job")] == ["handed_back"] * 2
        assert not of(running, "done")
    with worker(app) as running:
        for each in sent:
            ended = running.wait_event("job", where=lambda event, each=each: event["work_id"] == each)
            assert (ended["outcome"], ended["attempt"]) == ("ok", 2)
        assert running.stop() == 0
        assert len(of(running, "begun")) == 2
    with redis.Redis.from_url(app.URL) as client:
        assert not client.xpending_range(app.QUEUE, app.broker.consumer_group_name, "-", "+", 10)


def test_a_task_that_kills_each_worker_is_given_up(app):
    """
    Redis delivers it again each time; after five it goes to a stream of its own, and an event says so.
    """
    (poison,) = send(app, (app.kills,))
    with worker(app) as running:
        running.wait_event("begun", where=lambda event: event["work_id"] == poison)
        running.kill()
    with redis.Redis.from_url(app.URL) as client:
        group = app.broker.consumer_group_name
        (left,) = client.xpending_range(app.QUEUE, group, "-", "+", 10)
        client.xclaim(app.QUEUE, group, "dead", 0, [left["message_id"]], retrycount=5)  # four more died of it
        time.sleep(app.broker.idle_timeout / 1000)
        send(app, (app.send,))
        with worker(app) as running:
            event = running.wait_event("job.given_up")
            ends = time.monotonic() + 30
            while client.xpending_range(app.QUEUE, group, "-", "+", 10):  # the other one may be in hand
                assert time.monotonic() < ends, running.tail(20)
                time.sleep(0.02)
            running.kill()
        assert (event["id"], event["name"]) == (poison, "real_taskiq:kills")
        assert not of(running, "begun", work_id=poison)
        assert client.xlen(f"{app.QUEUE}:given-up") == 1


def test_a_list_forgets(app, make_shop):
    """
    A broker without acknowledgement is TF904, with the line to write; of one that is not known nothing is claimed.
    """
    from taskiq import InMemoryBroker

    found = app.forgetful.middlewares[0].check()
    assert [(each.setting, each.write) for each in found.wrongs] == [
        ("ListQueueBroker", "broker = RedisStreamBroker(url, xread_count=1)")
    ]
    broker = InMemoryBroker()
    make_shop().service.jobs(broker)
    assert "InMemoryBroker" in broker.middlewares[0].check().unknown
    app.broker.count = 7
    assert [each.setting for each in app.broker.middlewares[-1].check().wrongs] == ["xread_count"]


def test_a_task_that_is_run_where_it_is_sent(make_shop):
    """
    A broker for tests runs it in place: each is a job of its own, one inside another, and nothing is left of them.
    """
    from taskiq import InMemoryBroker

    shop, broker = make_shop(), InMemoryBroker(await_inplace=True)
    shop.service.jobs(broker)

    @broker.task
    async def inner():
        return current_work().name

    @broker.task
    async def outer():
        await (await inner.kiq()).wait_result()
        return current_work().name

    async def main():
        result = await (await outer.kiq()).wait_result()
        assert result.return_value == outer.task_name
        assert current_work() is None

    asyncio.run(main())
    assert [each["name"] for each in shop.said("job")] == [inner.task_name, outer.task_name]
    assert shop.idle
    assert not broker.middlewares[0]._hands
