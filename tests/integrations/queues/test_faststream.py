"""FastStream: real workers on RabbitMQ and Redis; each message a job, given back at SIGTERM when its time is over."""

import asyncio
import importlib
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.conftest import url_of
from twelvefactor.testing.servers import Server

pytest.importorskip("faststream")
pytest.importorskip("aio_pika")
pytest.importorskip("typer", reason="faststream[cli]")

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def app():
    """The module that workers load, here to send with; its queues are this run's own."""
    url_of("rabbitmq"), url_of("redis")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUEUE", f"shop{uuid.uuid4().hex}")
        patch.syspath_prepend(str(HERE))
        module = importlib.import_module("real_faststream")
        yield module
        asyncio.run(forget(module))
        module.service.stream.close()
        sys.modules.pop("real_faststream")


async def forget(app):
    import aio_pika

    async with await aio_pika.connect("amqp://guest:guest@127.0.0.1:5672/") as connection:
        channel = await connection.channel()
        for suffix in ("", "-told", "-thread", "-fails", "-early"):
            await channel.queue_delete(app.QUEUE + suffix)


def send(app, *messages):
    """Send (suffix, body) each to RabbitMQ."""
    from faststream.rabbit import RabbitQueue

    async def main():
        await app.broker.connect()
        for suffix, body in messages:
            await app.broker.declare_queue(RabbitQueue(app.QUEUE + suffix))  # no worker may have done it yet
            await app.broker.publish(body, app.QUEUE + suffix)
        await app.broker.stop()

    asyncio.run(main())


def worker(app, name="app", grace="10", **environ):
    environ |= {"PYTHONPATH": ":".join(sys.path), "QUEUE": app.QUEUE, "TWELVEFACTOR_GRACE_PERIOD": grace}
    command = (sys.executable, "-m", "faststream", "run", f"real_faststream:{name}")
    return Server(command, cwd=HERE, environ=environ, ready=None)


def of(running, event, **fields):
    return [each for each in running.events if each["event"] == event and fields.items() <= each.items()]


def ended(running, name):
    return running.wait_event("job", where=lambda event: event["name"] == name)


@pytest.fixture(scope="module")
def lived(app):
    """One life: messages of each kind, then SIGTERM while one is handled that goes on for a while when it is told to stop."""
    with worker(app) as running:
        running.wait_event("twelvefactor.jobs.settings")
        with app.service.in_flight.work("request", "/", request_id="r-1"):
            send(app, ("", 0), ("-fails", "x"))
        for name in ("Send", "Fails", "Early"):
            ended(running, name)
        first = ended(running, "Send")["work_id"]
        send(app, ("-told", 0.5))
        running.wait_event("begun", where=lambda event: event["work_id"] != first)
        return running, running.stop()


def test_a_message_is_a_job(app, lived):
    """
    One event with the queue, the attempt, the delay, and the id of the request that sent it.
    """
    event = of(lived[0], "job", name="Send")[0]
    assert (event["outcome"], event["attempt"], event["queue"], event["request_id"]) == ("ok", 1, app.QUEUE, "r-1")
    assert event["queue_delay_ms"] > 0


def test_an_error_and_what_it_published_before(lived):
    """
    An error has its traceback; what a handler publishes belongs to the same request.
    """
    (failed,) = of(lived[0], "job", name="Fails")
    assert (failed["outcome"], failed["exception_type"]) == ("error", "ValueError")
    assert [each["request_id"] for each in of(lived[0], "job", name="Early")] == ["r-1"]


def test_sigterm_lets_a_message_be_handled(lived):
    """
    It finishes, knows that it should stop early, and nothing is given back.
    """
    running, status = lived
    assert status == 0
    assert [each["stopping"] for each in of(running, "done")] == [False, True]
    assert not of(running, "job.handed_back")
    assert not of(running, "twelvefactor.fault")


def test_what_would_lose_messages_is_named(lived):
    """
    `graceful_timeout` comes from the budget; a subscriber that acknowledges first is TF904, with what to write.
    """
    (told,) = of(lived[0], "twelvefactor.jobs.settings")
    assert told["set"] == {"graceful_timeout": 6.5}
    (finding,) = of(lived[0], "twelvefactor.finding", rule="TF904")
    assert finding["culprit"] == "faststream:Early"
    assert "ack_policy=AckPolicy.NACK_ON_ERROR" in finding["hint"]


def test_messages_are_given_back_and_handled_by_the_next(app):
    """
    At the end of the budget they go back, a coroutine's and a thread's; the next worker handles them, as attempt 2.
    """
    send(app, ("", 30), ("-thread", 30))
    with worker(app, grace="5") as running:
        ends = time.monotonic() + 60
        while len(of(running, "begun")) < 2:
            assert time.monotonic() < ends, running.tail(20)
            time.sleep(0.05)
        assert running.stop() == 0
        assert {each["name"] for each in of(running, "job.handed_back")} == {"Send", "InThread"}
        assert [each["outcome"] for each in of(running, "job")] == ["handed_back"] * 2
        assert not of(running, "done")
    with worker(app, AT_MOST="1") as running:
        assert [ended(running, name)["attempt"] for name in ("Send", "InThread")] == [2, 2]
        running.kill()


def test_a_redis_list_gets_it_back(app):
    """
    FastStream pops it before it is handled: it is pushed again, and TF904 says that a killed worker loses it.
    """

    async def push():
        await app.redis.connect()
        await app.redis.publish(30, list=app.QUEUE)
        await app.redis.stop()

    asyncio.run(push())
    with worker(app, "lists", grace="5") as running:
        running.wait_event("begun")
        assert running.stop() == 0
        assert len(of(running, "job.handed_back")) == 1
        assert {each["culprit"] for each in of(running, "twelvefactor.finding", rule="TF904")} == {"faststream:Popped"}
    with worker(app, "lists", AT_MOST="1") as running:
        assert ended(running, "Popped")["outcome"] == "ok"
        running.kill()
