"""arq: real workers on a real Redis. It wants an older redis-py than the rest, so it has an environment of its own."""

import asyncio
import dataclasses
import importlib
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.conftest import url_of
from tests.integrations.queues.brokers import Redis
from twelvefactor.testing.servers import Server

arq = pytest.importorskip("arq", reason="arq is tested in an environment of its own: make test-arq")

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def app():
    """The module that workers load, here to send with; its queue is this run's own."""
    url_of("redis")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUEUE", f"shop{uuid.uuid4().hex}")
        patch.syspath_prepend(str(HERE))
        module = importlib.import_module("real_arq")
        yield module
        asyncio.run(in_redis(module, "delete", module.queue))
        module.service.stream.close()
        sys.modules.pop("real_arq")


async def in_redis(app, method, *args, **kwargs):
    pool = await arq.create_pool(app.redis, default_queue_name=app.queue)
    app.service.jobs(pool)
    try:
        return await getattr(pool, method)(*args, **kwargs)
    finally:
        await pool.aclose()


def send(app, name, *args, **kwargs):
    return asyncio.run(in_redis(app, "enqueue_job", name, *args, **kwargs)).job_id


def worker(app, settings="WorkerSettings", grace="10", **environ):
    told = {"PYTHONPATH": str(HERE.parents[2]), "QUEUE": app.queue, "TWELVEFACTOR_GRACE_PERIOD": grace}
    environ = {**told, **environ}
    command = (sys.executable, "-m", "arq", f"real_arq.{settings}")
    return Server(command, cwd=HERE, environ=environ, ready=None)


def ended(running, name, **fields):
    return running.wait_event("job", where=lambda event: event["name"] == name and fields.items() <= event.items())


def of(running, event, **fields):
    return [each for each in running.events if each["event"] == event and fields.items() <= each.items()]


@pytest.fixture(scope="module")
def lived(app):
    """One life: every kind of job, then SIGTERM while one runs that has time to finish."""
    with app.service.in_flight.work("request", "/", request_id="r-1"):
        send(app, "send")
        send(app, "sends")
    for name in ("fails", "again", "cannot_be_kept"):
        send(app, name)
    with worker(app) as running:
        ended(running, "fails")
        ended(running, "again", outcome="ok")
        ended(running, "cannot_be_kept")
        running.wait_event("job", where=lambda event: event["name"] == "send" and event["work_id"] != first(running))
        slow = send(app, "send", 0.5)
        running.wait_event("begun", where=lambda event: event["work_id"] == slow)
        status = running.stop()
        return running, status, slow


def first(running):
    return ended(running, "send")["work_id"]


def test_a_job_is_a_unit_of_work(app, lived):
    """
    One event with the queue, the attempt, the delay, and the id of the request that sent it.
    """
    sent = of(lived[0], "job", name="send")[0]
    assert (sent["outcome"], sent["attempt"], sent["queue"], sent["request_id"]) == ("ok", 1, app.queue, "r-1")
    assert sent["queue_delay_ms"] > 0


def test_a_job_that_a_job_sends_belongs_to_the_request_too(lived):
    """
    The worker's own pool sends the ids along.
    """
    assert [each["request_id"] for each in of(lived[0], "job", name="send")[:2]] == ["r-1", "r-1"]


def test_other_ends(lived):
    """
    An error has its traceback; a retry is no error and has another attempt; a result that cannot be kept loses nothing.
    """
    (failed,) = of(lived[0], "job", name="fails")
    assert (failed["outcome"], failed["exception_type"]) == ("error", "ValueError")
    assert [(each["attempt"], each["outcome"]) for each in of(lived[0], "job", name="again")] == [
        (1, "retry"),
        (2, "ok"),
    ]
    assert [each["outcome"] for each in of(lived[0], "job", name="cannot_be_kept")] == ["ok"]


def test_sigterm_lets_a_job_finish(lived):
    """
    Where arq alone cancels at once, the job has the budget's time, and knows that it should stop early.
    """
    running, status, slow = lived
    assert status == 0
    assert [each["stopping"] for each in of(running, "done", work_id=slow)] == [True]
    assert not of(running, "job.handed_back")


def test_what_was_set_is_told(lived):
    """
    `job_completion_wait` comes from the budget, and TF904 finds nothing wrong; the app's own start hook runs.
    """
    (told,) = of(lived[0], "twelvefactor.jobs.settings")
    assert told["set"] == {"job_completion_wait": 6.4, "redis_settings.retry": 12}
    assert "310" in str(told["notes"]) or "300" in str(told["notes"])
    assert of(lived[0], "startup")
    assert not of(lived[0], "twelvefactor.finding", rule="TF904")
    assert not of(lived[0], "twelvefactor.fault")


def test_a_job_is_given_back_and_done_by_the_next(app):
    """
    At the end of the budget a running job goes back, and is said once; the next worker does it, as attempt 2.
    """
    sent = send(app, "send", 5)
    with worker(app, grace="1.5") as running:
        running.wait_event("begun")
        assert running.stop() == 0
        assert [(each["id"], each["attempt"]) for each in of(running, "job.handed_back")] == [(sent, 1)]
        assert [each["outcome"] for each in of(running, "job")] == ["handed_back"]
        assert not of(running, "done")
    with worker(app) as running:
        assert ended(running, "send", outcome="ok")["attempt"] == 2
        running.kill()


def test_a_loop_that_is_blocked_ends_in_time(app):
    """
    A job that blocks the loop cannot be given back; its process ends by itself before the kill, and the queue keeps it.
    """
    sent = send(app, "blocks")
    with worker(app, grace="1") as running:
        running.wait_event("begun")
        assert running.stop() == 143
    assert asyncio.run(in_redis(app, "zscore", app.queue, sent)) is not None
    asyncio.run(in_redis(app, "zrem", app.queue, sent))


def test_a_job_that_kills_its_worker_is_tried_so_often_only(app):
    """
    After SIGKILL another worker tries again, until arq's `max_tries`.
    """
    sent = send(app, "kills")
    for attempt in (1, 2):
        with worker(app, "Impatient") as running:
            assert running.wait_event("begun")["attempt"] == attempt
            running.wait()
            assert {each["culprit"] for each in of(running, "twelvefactor.finding", rule="TF904")} == {
                "arq:retry_jobs",
                "arq:job_completion_wait",
            }
        asyncio.run(in_redis(app, "delete", f"arq:in-progress:{sent}"))  # as it expires after job_timeout + 10 s
    with worker(app, "Impatient") as running:
        deadline = time.monotonic() + 10
        while asyncio.run(in_redis(app, "zscore", app.queue, sent)) is not None:
            assert time.monotonic() < deadline
        assert not of(running, "begun")


@pytest.fixture
def broker(tmp_path):
    made = Redis(tmp_path)
    yield made
    made.stop()


async def on(broker, app, *args):
    pool = await arq.create_pool(arq.connections.RedisSettings(port=broker.port), default_queue_name=app.queue)
    try:
        return (await pool.enqueue_job(*args)).job_id
    finally:
        await pool.aclose()


def test_a_broker_that_restarts_in_the_middle_of_a_job(app, broker):
    """
    The job that runs meanwhile ends once, the next one is done by the same worker.
    """
    broker.start()
    sent = asyncio.run(on(broker, app, "send", 3))
    with worker(app, BROKER=broker.url) as running:
        running.wait_event("begun", where=lambda event: event["work_id"] == sent, within=30)
        broker.stop()
        broker.start()
        last = asyncio.run(on(broker, app, "send"))
        running.wait_event("job", where=lambda event: event["work_id"] == last, within=60)
        running.wait_event("job", where=lambda event: event["work_id"] == sent, within=60)
    assert [each["outcome"] for each in of(running, "job", work_id=sent)] == ["ok"]
    assert not of(running, "twelvefactor.fault")


def test_a_connection_that_is_refused_meanwhile_is_tried_again(app, broker):
    """
    What the worker asks its broker with: a broker that is away at that moment does not end the worker.
    """

    async def asked_while_it_is_away():
        settings = dataclasses.replace(app.WorkerSettings.redis_settings, host="127.0.0.1", port=broker.port)
        pool = await arq.create_pool(settings)
        await asyncio.to_thread(broker.stop)  # the loop sees its connections end
        asked = asyncio.create_task(pool.zcard("jobs"))
        await asyncio.wait({asked}, timeout=0.3)  # it would be over by now
        await asyncio.to_thread(broker.start)
        try:
            return await asked
        finally:
            await pool.aclose()

    broker.start()
    assert asyncio.run(asked_while_it_is_away()) == 0


def test_a_worker_waits_for_its_broker(app, broker):
    """
    A broker that is not there yet keeps the worker waiting, for minutes.
    """
    with worker(app, BROKER=broker.url) as running:
        broker.start()
        sent = asyncio.run(on(broker, app, "send"))
        running.wait_event("job", where=lambda event: event["work_id"] == sent, within=60)


def test_what_the_app_says_of_retries_stays(app):
    """
    Its own settings of Redis are not changed where they say how to try again; nor is a pool of its own.
    """
    said = arq.connections.RedisSettings(retry_on_error=[OSError])
    own = type("Own", (), {"functions": [], "redis_settings": said})
    pool = type("Pool", (), {"functions": [], "redis_pool": object()})
    app.service.jobs(own)
    app.service.jobs(pool)
    assert own.redis_settings is said
    assert "redis_settings" not in vars(pool)
