"""A loop on NATS JetStream with nats-py: a pull consumer, acknowledged last."""

import asyncio

import nats
import nats.errors

import twelvefactor as tf


class Config(tf.Config):
    """What the environment provides."""

    nats_url: tf.NATSURL
    queue: str = "receipts"
    seconds: float = 0.1


service = tf.Service("mailer", Config)


async def send_receipt(body: bytes) -> None:
    """The work itself; it may run twice, so it is safe to repeat."""
    service.log.info("sending", order=body.decode())
    await service.stopping.wait_async(service.config.seconds)  # stands for work that can hurry when the process stops


async def main() -> None:
    """Take messages until SIGTERM."""
    service.start()
    service.takes_jobs()
    client = await nats.connect(service.config.nats_url.reveal())
    stream = client.jetstream()
    await stream.add_stream(name=service.config.queue, subjects=[service.config.queue])
    consumer = await stream.pull_subscribe(service.config.queue, durable="mailer")
    await service.aready()
    while not service.stopping.is_set():
        try:
            (message,) = await consumer.fetch(1, timeout=0.5)
        except (TimeoutError, nats.errors.TimeoutError):
            continue
        async with service.work(
            "job",
            "send_receipt",
            queue=message.subject,
            headers=message.headers,
            attempt=message.metadata.num_delivered,
            comes_back=True,
        ):
            await send_receipt(message.data)
            await message.ack_sync()  # last, and inside: until the server has heard it the job is in hand
    await client.drain()
    await service.aclose()


if __name__ == "__main__":
    asyncio.run(main())
