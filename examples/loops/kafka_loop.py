"""A loop on Kafka with confluent-kafka: no automatic commits, the offset committed last."""

import confluent_kafka

import twelvefactor as tf


class Config(tf.Config):
    """What the environment provides."""

    kafka_url: tf.KafkaURL
    topic: str = "receipts"


service = tf.Service("mailer", Config)


def send_receipt(body: bytes) -> None:
    """The work itself; it may run twice, so it is safe to repeat."""
    service.log.info("sending", order=body.decode())


def main() -> None:
    """Take messages until SIGTERM."""
    service.start()
    service.takes_jobs()
    servers = ",".join(f"{host}:{port}" for host, port in service.config.kafka_url.hosts)
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": servers, "group.id": "mailer", "enable.auto.commit": False}
    )
    consumer.subscribe([service.config.topic])
    service.ready()
    while not service.stopping.is_set():
        message = consumer.poll(0.5)
        if message is None or message.error():
            continue
        with service.work(
            "job",
            "send_receipt",
            f"{message.topic()}-{message.partition()}-{message.offset()}",
            queue=message.topic(),
            headers=dict(message.headers() or ()),
            comes_back=True,
        ):
            send_receipt(message.value())
            consumer.commit(message, asynchronous=False)  # last, and inside: until then the job is in hand
    consumer.close()
    service.close()


if __name__ == "__main__":
    main()
