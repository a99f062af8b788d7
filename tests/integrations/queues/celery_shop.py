"""A shop whose tasks Celery does, on either broker."""

import celery
import pytest

from tests.conftest import url_of

APP = """
    import os, sys, time
    import celery
    import twelvefactor as tf
    from tests.integrations.queues import in_hand
    from twelvefactor.testing.queues import Book

    class Config(tf.Config):
        broker: str
        queue: str
        book: str

    service = tf.Service("shop", Config)
    book = Book(service.config.book)
    app = service.jobs(celery.Celery("shop", broker=service.config.broker))
    app.conf.update(task_default_queue=service.config.queue, task_ignore_result=True, worker_enable_remote_control=False,
                    task_default_retry_delay=0.1, task_time_limit=60)

    @celery.signals.worker_ready.connect
    def tell_flush(sender, **_):
        flush = getattr(sender.pool, "flush", None)

        def flushed():
            book.write("flushed", "pool")
            flush()

        if flush is not None:
            sender.pool.flush = flushed

    @app.task(name="work")
    def work(number, seconds, together=0):
        in_hand.work(book, number, seconds, together)

    @app.task(name="look", bind=True, max_retries=1)
    def look(self, how):
        service.log.info("looked", how=how)
        if how == "raise":
            raise ValueError("broken")
        if how == "retry":
            self.retry(exc=KeyError("again"), countdown=0)
        if how == "ignore":
            raise celery.exceptions.Ignore
        if how == "reject":
            raise celery.exceptions.Reject("no", requeue=False)
        if how == "exit":
            sys.exit(3)
        if how == "fork":
            if not (pid := os.fork()):
                os._exit(0)
            os.waitpid(pid, 0)
        if how == "send":
            look.delay("sent")

    @app.task(name="poison", max_retries=2, default_retry_delay=0.05)
    def poison():
        book.write("begun", "poison")
        os.kill(os.getpid(), 9)

    @app.task(name="result", ignore_result=False)
    def result():
        return object()

    @app.task(name="stops")
    def stops():
        book.write("begun", "stops")
        work = tf.current_work()
        while not work.should_stop:
            time.sleep(0.01)
        book.write("done", f"stops {work.deadline is not None} {service.stopping.is_set()}")
"""
WORKER = ("-m", "celery", "-A", "shop:app", "worker", "--loglevel", "WARNING", "--without-gossip", "--without-mingle")
FOUR = (*WORKER, "-c", "4")


@pytest.fixture(scope="module")
def brokers():
    return {"redis": url_of("redis"), "rabbitmq": url_of("rabbitmq")}


@pytest.fixture(scope="module")
def make(workshop, brokers):
    """A shop on a broker, and a client that sends it tasks."""
    made = []

    def make(broker="redis"):
        shop = workshop(APP, BROKER=brokers[broker])
        shop.client = celery.Celery(broker=brokers[broker], set_as_current=False)
        shop.client.conf.task_default_queue = shop.queue
        shop.send = lambda name, *args, **options: shop.client.send_task(name, args, queue=shop.queue, **options)
        made.append((broker, shop))
        return shop

    yield make
    for broker, shop in made:
        with shop.client.connection_for_write() as connection:
            if broker == "redis":
                keys = (shop.queue, f"_kombu.binding.{shop.queue}")
                connection.default_channel.client.delete(*keys)
            else:
                connection.default_channel.queue_delete(shop.queue)
                connection.default_channel.exchange_delete(shop.queue)
        shop.client.close()
