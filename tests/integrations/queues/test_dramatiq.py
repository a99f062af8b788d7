"""Dramatiq for real: workers on Redis and RabbitMQ, stopped and killed in the middle of messages."""

import signal

import pytest

import twelvefactor as tf
from tests.conftest import url_of
from twelvefactor.testing.queues import Stop

dramatiq = pytest.importorskip("dramatiq")
redis = pytest.importorskip("dramatiq.brokers.redis")
adapter = pytest.importorskip("twelvefactor.integrations.dramatiq")

APP = """
    import os, sys, time
    import dramatiq
    import twelvefactor as tf
    from dramatiq.brokers.redis import RedisBroker
    from twelvefactor.integrations import _dramatiq_begun
    from tests.integrations.queues import in_hand
    from twelvefactor.testing.queues import Book

    _dramatiq_begun.REDIS_LIMIT = _dramatiq_begun.RABBITMQ_LIMIT = 2

    class Config(tf.Config):
        broker: str
        queue: str
        book: str

    service = tf.Service("shop", Config)
    book, queue, url = Book(service.config.book), service.config.queue, service.config.broker
    if url.startswith("amqp"):
        from dramatiq.brokers.rabbitmq import RabbitmqBroker
        broker = service.jobs(RabbitmqBroker(url=url))
    else:
        impatient = {"heartbeat_timeout": 1_000, "maintenance_chance": 1_000_000} if "IMPATIENT" in os.environ else {}
        broker = service.jobs(RedisBroker(url=url, namespace=queue, **impatient))
    broker.add_middleware(dramatiq.middleware.AsyncIO())
    dramatiq.set_broker(broker)

    @dramatiq.actor(queue_name=queue)
    def work(number, seconds, together=0):
        in_hand.work(book, number, seconds, together)

    @dramatiq.actor(queue_name=queue, max_retries=1, min_backoff=1, max_backoff=10)
    def look(how):
        service.log.info("looked", how=how, request_id=tf.current_work().request_id)
        if how == "raise":
            raise ValueError("broken")
        if how == "exit":
            sys.exit(3)
        if how == "fork":
            if not (pid := os.fork()):
                os._exit(0)
            os.waitpid(pid, 0)
        if how == "send":
            look.send("sent")
        if how == "object":
            return object()

    @dramatiq.actor(queue_name=queue)
    def poison():
        book.write("begun", "poison")
        os.kill(os.getpid(), 9)

    @dramatiq.actor(queue_name=queue)
    async def looks():
        service.log.info("awaited", name=tf.current_work().name)

    @dramatiq.actor(queue_name=queue)
    def stops():
        book.write("begun", "stops")
        work = tf.current_work()
        while not work.should_stop:
            time.sleep(0.01)
        book.write("done", f"stops {work.deadline is not None} {service.stopping.is_set()}")
"""
WORKER = ("-m", "dramatiq", "shop", "--processes", "1")
FOUR = (*WORKER, "--threads", "4")


@pytest.fixture(scope="module")
def make(workshop):
    """A shop on a broker, and a client that sends it messages."""
    made = []

    def make(name="redis"):
        url = url_of(name)
        shop = workshop(APP, BROKER=url)
        if name == "rabbitmq":
            kind = pytest.importorskip("dramatiq.brokers.rabbitmq").RabbitmqBroker(url=url)
        else:
            kind = redis.RedisBroker(url=url, namespace=shop.queue)
        shop.broker = kind
        kind.declare_queue(shop.queue)
        made.append((name, shop))

        def send(actor, *args, **options):
            return kind.enqueue(
                dramatiq.Message(queue_name=shop.queue, actor_name=actor, args=args, kwargs={}, options=options)
            )

        shop.send = send
        return shop

    yield make
    for name, shop in made:
        if name == "redis":
            for key in shop.broker.client.scan_iter(f"{shop.queue}*"):
                shop.broker.client.delete(key)
        else:
            for suffix in ("", ".DQ", ".XQ"):
                shop.broker.channel.queue_delete(shop.queue + suffix)
        shop.broker.close()


@pytest.fixture(scope="module")
def running(make):
    """A worker that several tests share."""
    shop = make()
    with shop.worker(*WORKER, "--threads", "2") as worker:
        worker.wait_event("twelvefactor.ready", within=60)
        shop.worker = worker
        yield shop


def job(shop, id, **where):
    def fits(event):
        return event["work_id"] == id and all(event.get(key) == value for key, value in where.items())

    return shop.worker.wait_event("job", where=fits, within=30)


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_nothing_is_lost_or_done_twice_where_the_grace_is_long_enough(make, broker):
    """
    SIGTERM to every process, twice: the messages in hand end, are begun once, and nothing is taken any more.
    """
    shop = make(broker)
    for number in range(10):
        shop.send("work", number, 2.0, 4)
    drill = shop.drill(*FOUR)
    counted = drill.run(10, Stop(grace=15, into=0.2, to_all=True, twice=True))
    assert (counted.never_done, counted.done_twice, counted.begun_twice, counted.cut) == (0, 0, 0, 0), drill.first.tail(
        40
    )
    assert (counted.running, counted.status) == (4, 0)
    assert not [event for event in drill.first.events if event.get("rule") in ("TF902", "TF904")]


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_messages_come_back_where_the_grace_is_too_short(make, broker):
    """
    At the end of their time the messages in hand go back, said so, with those that were only fetched.
    """
    shop = make(broker)
    for number in range(10):
        shop.send("work", number, 9, 4)
    drill = shop.drill(*FOUR)
    counted = drill.run(10, Stop(grace=4, into=0.1), patience=20)
    assert (counted.never_done, counted.done_twice) == (0, 0), drill.first.tail(40)
    assert counted.cut == counted.begun_twice == 4
    assert counted.status != -signal.SIGKILL
    events = drill.first.events
    assert len({event["id"] for event in events if event["event"] == "job.handed_back"}) == 4
    assert not [
        event for event in events if event["event"] == "twelvefactor.fault" or event.get("rule") in ("TF902", "TF903")
    ]


def test_a_worker_that_is_killed_loses_nothing(make):
    """
    SIGKILL to every process, on RabbitMQ: the broker gives the messages to the next worker.
    """
    shop = make("rabbitmq")
    for number in range(4):
        shop.send("work", number, 5.0, 4)
    counted = shop.drill(*FOUR).run(4, Stop(grace=0.01, into=0.2))
    assert (counted.status, counted.never_done, counted.cut) == (-signal.SIGKILL, 0, 4)


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_a_message_that_kills_each_worker_is_given_up(make, broker):
    """
    It begins a few times, then it is a dead letter, said once; the next message is done.
    """
    shop = make(broker)
    sent = shop.send("poison")
    told, lives = [], 0
    while not told:
        lives += 1
        assert lives < 6
        with shop.worker(*WORKER, "--threads", "1", IMPATIENT="1") as worker:
            assert shop.book.wait(lambda book, lives=lives: book.begun["poison"] == lives or given_up(worker), 60)
            told = given_up(worker)
            if told:
                last = shop.send("look", "well")
                worker.wait_event("job", where=lambda event: event["work_id"] == last.message_id, within=60)
    assert [(event["id"], event["name"], event["deliveries"]) for event in told] == [(sent.message_id, "poison", 2)]
    assert shop.book.begun["poison"] == lives - 1
    if broker == "redis":
        assert shop.broker.client.zcard(f"{shop.queue}:{shop.queue}.XQ") == 1
        assert not list(shop.broker.client.scan_iter(f"{shop.queue}:__begun__*"))
    else:
        shop.broker.connection.process_data_events()
        assert shop.broker.channel.queue_declare(f"{shop.queue}.XQ", passive=True).method.message_count == 1


def given_up(worker):
    return [event for event in worker.events if event["event"] == "job.given_up"]


def test_a_message_that_is_done_in_time_costs_no_count():
    """
    Redis is asked about messages only that are older than the silence after which others take them.
    """
    broker = redis.RedisBroker(url="redis://127.0.0.1:1/0")  # nobody is there to ask
    fresh = dramatiq.Message(queue_name="q", actor_name="a", args=(), kwargs={}, options={"redis_message_id": "1"})
    assert adapter.begun.verdict(broker, fresh) == (adapter.begun.RUN, 0)
    with pytest.raises(Exception, match="refused"):
        adapter.begun.verdict(broker, fresh.copy(message_timestamp=0))


def test_the_ids_of_the_parent_go_along(running):
    """
    A message knows the request and the trace that sent it, and passes them on; queue, attempt and delay are told.
    """
    sent = running.send(
        "look", "send", twelvefactor={"x-request-id": "r-1", "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    )
    event = job(running, sent.message_id)
    assert (event["request_id"], event["trace_id"]) == ("r-1", "1" * 32)
    assert (event["name"], event["queue"], event["attempt"], event["outcome"]) == ("look", running.queue, 1, "ok")
    looked = running.worker.wait_event("looked", where=lambda event: event["how"] == "sent")
    assert looked["request_id"] == "r-1"
    assert job(running, looked["work_id"])["queue_delay_ms"] < 10_000


@pytest.mark.parametrize(("how", "outcome"), [("fork", "ok"), ("exit", "cancelled"), ("object", "ok")])
def test_how_a_message_ends_is_its_outcome(running, how, outcome):
    """
    One event for each, and the worker goes on.
    """
    assert job(running, running.send("look", how).message_id)["outcome"] == outcome
    assert job(running, running.send("look", "well").message_id)["outcome"] == "ok"


def test_each_attempt_is_told(running):
    """
    A message that raises is an error each time it is tried, with its traceback.
    """
    sent = running.send("look", "raise")
    for attempt in (1, 2):
        event = job(running, sent.message_id, attempt=attempt)
        assert (event["outcome"], event["exception_message"]) == ("error", "broken")


def test_an_async_actor_is_in_its_job(running):
    """
    Its code runs in a loop of another thread, inside the unit of work.
    """
    sent = running.send("looks")
    assert running.worker.wait_event("awaited")["work_id"] == sent.message_id
    assert job(running, sent.message_id)["name"] == "looks"


def test_events_are_on_stdout_alone(running):
    """
    Dramatiq sends all output of its workers to stderr; a service's lines are events on stdout.
    """
    assert job(running, running.send("look", "well").message_id)
    assert not running.worker.noise
    assert not [line for line in running.worker.stderr if line.startswith("{")]


def test_a_message_can_stop_early(make):
    """
    `should_stop`, `deadline` and `stopping` follow SIGTERM.
    """
    shop = make()
    shop.send("stops")
    with shop.worker(*WORKER, "--threads", "1", TWELVEFACTOR_GRACE_PERIOD="20") as worker:
        assert shop.book.wait(lambda book: book.begun["stops"], 60)
        assert worker.stop() == 0
    assert shop.book.done["stops True True"] == 1
    (settings,) = [event for event in worker.events if event["event"] == "twelvefactor.jobs.settings"]
    assert settings["set"] == {"heartbeat_timeout": 30_000, "maintenance_chance": 50_000}


def test_what_the_app_set_stays_and_is_told():
    """
    A heartbeat that is too short, or a chance that is too small, is a finding, and is not overridden.
    """
    broker = redis.RedisBroker(url="redis://127.0.0.1:1/0", heartbeat_timeout=1_000, maintenance_chance=1)
    found = adapter.look(broker)
    assert [each.setting for each in found.wrongs] == ["maintenance_chance", "heartbeat_timeout"]
    assert (found.made, broker.heartbeat_timeout, broker.maintenance_chance) == ({}, 1_000, 1)
    assert not adapter.look(redis.RedisBroker(url="redis://127.0.0.1:1/0")).wrongs


def test_taking_over_twice_is_once():
    """
    The middleware stands first, once.
    """
    broker = redis.RedisBroker(url="redis://127.0.0.1:1/0")
    service = tf.Service("shop", environ={}, packages=["shop"])
    assert service.jobs(service.jobs(broker)) is broker
    assert [type(each) for each in broker.middleware].count(adapter.Jobs) == 1
    assert type(broker.middleware[0]) is adapter.Jobs
