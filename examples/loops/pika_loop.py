"""A loop on RabbitMQ with pika: one message at a time, acknowledged last."""

import pika

import twelvefactor as tf


class Config(tf.Config):
    """What the environment provides."""

    amqp_url: tf.AMQPURL
    queue: str = "receipts"
    seconds: float = 0.1


service = tf.Service("mailer", Config)


def send_receipt(body: bytes) -> None:
    """The work itself; it may run twice, so it is safe to repeat."""
    service.log.info("sending", order=body.decode())
    service.stopping.wait(service.config.seconds)  # stands for work that can hurry when the process stops


def main() -> None:
    """Take messages until SIGTERM."""
    service.start()
    service.takes_jobs()
    with pika.BlockingConnection(pika.URLParameters(service.config.amqp_url.reveal())) as connection:
        channel = connection.channel()
        channel.queue_declare(service.config.queue, durable=True)
        channel.basic_qos(prefetch_count=1)
        service.ready()
        for method, properties, body in channel.consume(service.config.queue, inactivity_timeout=0.5):
            if service.stopping.is_set():
                break  # what was fetched is not acknowledged, and goes back
            if method is None:
                continue
            with service.work(
                "job",
                "send_receipt",
                properties.message_id,
                queue=service.config.queue,
                headers=properties.headers,
                attempt=2 if method.redelivered else 1,
                comes_back=True,
            ):
                send_receipt(body)
                channel.basic_ack(method.delivery_tag)  # last, and inside: until then the job is in hand
        channel.cancel()
    service.close()


if __name__ == "__main__":
    main()
