"""The loops of the examples, on real brokers: stopped in the middle of a message, they lose and repeat none."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from twelvefactor.testing.engines import free_port
from twelvefactor.testing.servers import Server

LOOPS = Path(__file__).resolve().parents[2] / "examples" / "loops"
PATH = os.pathsep.join([str(LOOPS.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])


def loop(name, **environ):
    environ = {"PYTHONPATH": PATH, "LOG_FORMAT": "json", "SECONDS": "60", **environ}
    return Server((sys.executable, f"{name}_loop.py"), environ=environ, cwd=LOOPS, ready=None)


def stopped_in_the_middle(worker):
    """The event of the job that was in hand at SIGTERM, after which the loop ended."""
    worker.wait_event("sending", within=30)
    assert worker.stop() in (0, 143)
    (job,) = [event for event in worker.events if event["event"] == "job"]
    assert (job["name"], job["outcome"], job["attempt"], job["request_id"]) == ("send_receipt", "ok", 1, "r-1")
    assert [event for event in worker.events if event["event"] == "twelvefactor.stopped"]
    assert not [event for event in worker.events if event["event"] in ("job.handed_back", "twelvefactor.fault")]
    return job


def test_pika(rabbitmq_url):
    """
    The message in hand is done and acknowledged, the other two wait for the next worker.
    """
    pika = pytest.importorskip("pika")
    queue = f"receipts-{uuid.uuid4().hex}"
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
        channel = connection.channel()
        channel.queue_declare(queue, durable=True)
        for number in range(3):
            told = pika.BasicProperties(message_id=f"m-{number}", headers={"x-request-id": "r-1"})
            channel.basic_publish("", queue, str(number).encode(), told)
        try:
            with loop("pika", AMQP_URL=rabbitmq_url, QUEUE=queue) as worker:
                assert stopped_in_the_middle(worker)["work_id"] == "m-0"
            assert channel.queue_declare(queue, passive=True).method.message_count == 2
        finally:
            channel.queue_delete(queue)


def test_nats(nats_url):
    """
    The message in hand is done and acknowledged, the other two are pending.
    """
    nats = pytest.importorskip("nats")
    queue = f"receipts-{uuid.uuid4().hex}"

    async def with_stream(act):
        client = await nats.connect(nats_url)
        try:
            return await act(client.jetstream())
        finally:
            await client.close()

    async def send(stream):
        await stream.add_stream(name=queue, subjects=[queue])
        for number in range(3):
            await stream.publish(queue, str(number).encode(), headers={"x-request-id": "r-1"})

    async def left(stream):
        info = await stream.consumer_info(queue, "mailer")
        await stream.delete_stream(queue)
        return info.num_pending + info.num_ack_pending

    asyncio.run(with_stream(send))
    try:
        with loop("nats", NATS_URL=nats_url, QUEUE=queue) as worker:
            stopped_in_the_middle(worker)
    finally:
        pending = asyncio.run(with_stream(left))
    assert pending == 2


@pytest.fixture
def sqs():
    """An SQS of the test's own, and its address."""
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("moto.server")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "of the tests", "region_name": "eu-west-1"}
    client = boto3.client("sqs", endpoint_url=url, **keys)
    ends = time.monotonic() + 30
    try:
        while True:
            with contextlib.suppress(Exception):
                client.list_queues()
                break
            assert time.monotonic() < ends
            time.sleep(0.05)
        yield client, url
    finally:
        client.close()
        process.kill()
        process.wait(10)


def test_sqs(sqs):
    """
    The message in hand is done and deleted, the other two are still there.
    """
    client, url = sqs
    queue = client.create_queue(QueueName="receipts")["QueueUrl"]
    for number in range(3):
        told = {"x-request-id": {"DataType": "String", "StringValue": "r-1"}}
        client.send_message(QueueUrl=queue, MessageBody=str(number), MessageAttributes=told)
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "of the tests", "AWS_DEFAULT_REGION": "eu-west-1"}
    with loop("sqs", QUEUE_URL=queue, ENDPOINT_URL=url, **keys) as worker:
        stopped_in_the_middle(worker)
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    told = client.get_queue_attributes(QueueUrl=queue, AttributeNames=list(names))["Attributes"]
    assert sum(int(told[name]) for name in names) == 2


def test_kafka_is_written_as_its_library_is():
    """
    There is no Kafka here: its loop is compiled, and the names that it uses are there.
    """
    confluent_kafka = pytest.importorskip("confluent_kafka")
    compile((LOOPS / "kafka_loop.py").read_text(), "kafka_loop.py", "exec")
    assert all(hasattr(confluent_kafka.Consumer, name) for name in ("subscribe", "poll", "commit", "close"))
