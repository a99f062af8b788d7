"""A loop on SQS with boto3: long polls, deleted last."""

import boto3

import twelvefactor as tf


class Config(tf.Config):
    """What the environment provides; boto3 reads its own variables or the machine's role."""

    queue_url: str
    seconds: float = 0.1
    endpoint_url: str | None = None


service = tf.Service("mailer", Config)


def send_receipt(body: str) -> None:
    """The work itself; it may run twice, so it is safe to repeat."""
    service.log.info("sending", order=body)
    service.stopping.wait(service.config.seconds)  # stands for work that can hurry when the process stops


def main() -> None:
    """Take messages until SIGTERM."""
    service.start()
    service.takes_jobs()
    config = service.config
    sqs = boto3.client("sqs", endpoint_url=config.endpoint_url)
    service.ready()
    while not service.stopping.is_set():
        answer = sqs.receive_message(
            QueueUrl=config.queue_url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
            AttributeNames=["ApproximateReceiveCount"],
        )
        for message in answer.get("Messages", ()):
            if service.stopping.is_set():
                break  # it comes back when its visibility timeout is over
            told = message.get("MessageAttributes", {})
            with service.work(
                "job",
                "send_receipt",
                message["MessageId"],
                queue=config.queue_url,
                headers={name: value.get("StringValue") for name, value in told.items()},
                attempt=int(message["Attributes"]["ApproximateReceiveCount"]),
                comes_back=True,
            ):
                send_receipt(message["Body"])
                sqs.delete_message(  # last, and inside: until then the job is in hand
                    QueueUrl=config.queue_url, ReceiptHandle=message["ReceiptHandle"]
                )
    service.close()


if __name__ == "__main__":
    main()
