"""What services do to their clients, with real ones: late, frozen, killed, restarted."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

import twelvefactor as tf
from twelvefactor.backing_services.resources import Resources
from twelvefactor.testing import engines
from twelvefactor.testing.engines import free_port


def _until(condition, timeout=20):
    waiting = threading.Event()
    for _ in range(int(timeout / 0.02)):
        if condition():
            return
        waiting.wait(0.02)
    raise AssertionError("it did not happen")


def _redis(port):
    binary = engines._redis_server(None)
    return subprocess.Popen([binary, "--port", str(port), "--save", ""], stdout=subprocess.DEVNULL)


def _stop(server):
    server.kill()
    server.wait(10)


LATE = float(os.environ.get("SERVICE_LATE_BY", "1"))


def test_service_that_is_late_is_waited_for(process):
    """
    A Redis that comes a moment after the process (5 s with SERVICE_LATE_BY=5) is ready, and no finding.
    """
    port = free_port()
    resources = Resources(process, timeout=1)
    resources.attach(tf.RedisURL(f"redis://127.0.0.1:{port}"))
    started = []
    timer = threading.Timer(LATE, lambda: started.append(_redis(port)))
    timer.start()
    try:
        assert resources.wait(LATE + 10)
    finally:
        timer.join()
        resources.close()
        _stop(started[0])

    assert process.findings.of("TF402") == ()
    reasons = [each["because"] for each in process.said("waiting")]
    assert ["refused" in each for each in reasons].count(True) == 1, reasons  # an attempt may have had no time


def test_frozen_service_is_lost_in_time_and_back_when_it_thaws(process):
    """
    A server that is stopped in its tracks answers nothing: the ping ends, and one event each says lost and back.
    """
    port = free_port()
    server = _redis(port)
    resources = Resources(process, timeout=0.5, every=0.2)
    try:
        resources.attach(tf.RedisURL(f"redis://127.0.0.1:{port}"))
        assert resources.wait(10)
        server.send_signal(signal.SIGSTOP)
        _until(lambda: process.said("lost"))
        started = time.monotonic()
        assert not resources.ping()["redis"].ok
        assert time.monotonic() - started < 20  # without a bound it would not end at all
        server.send_signal(signal.SIGCONT)
        _until(lambda: process.said("back"))
        assert len(process.said("lost")) == 1
    finally:
        server.send_signal(signal.SIGCONT)
        resources.close()
        _stop(server)


def test_killed_postgres_is_reconnected_by_the_next_use(process, tmp_path_factory):
    """
    After a SIGKILL and a restart the same engine works, its dead connections thrown away.
    """
    data = _reachable()
    try:
        with engines.postgres(data) as url:
            port = url.rpartition(":")[2].partition("/")[0]
            resources = Resources(process, timeout=1, every=0.2)
            db = resources.attach(tf.PostgresURL(url))
            assert resources.wait(15)
            with db.connect() as connection:
                backend = connection.exec_driver_sql("select pg_backend_pid()").scalar_one()
            os.kill(backend, signal.SIGKILL)  # PostgreSQL restarts all of its backends
            _until(lambda: _answers(db))
        assert port
        resources.close()
    finally:
        shutil.rmtree(data)


def _answers(db):
    import sqlalchemy

    try:
        with db.connect() as connection:
            return connection.exec_driver_sql("select 1").scalar_one() == 1
    except sqlalchemy.exc.OperationalError:
        return False


def _reachable():
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    folder.chmod(0o755)
    return folder


def test_async_engine_picks_asyncpg_and_carries_its_options(process, own_postgres):
    """
    asyncpg gets the options in its own words: the application's name, the TLS mode, the bound.
    """

    async def main():
        resources = Resources(process, timeout=2)
        db = resources.attach_async(tf.PostgresURL(f"{own_postgres}?sslmode=disable&connect_timeout=3&keepalives=1"))
        assert db.url.drivername == "postgresql+asyncpg"
        assert await resources.wait_async(10), process.events
        async with db.connect() as connection:
            name = (await connection.exec_driver_sql("show application_name")).scalar_one()
        await resources.aclose()
        return name

    assert asyncio.run(main()) == "demo"


def test_several_hosts_are_tried_in_turn(process, own_postgres):
    """
    A first host that refuses is passed over, with psycopg and with asyncpg.
    """
    address = own_postgres.partition("@")[2].partition("/")[0]
    url = tf.PostgresURL(f"postgres://app@127.0.0.1:{free_port()},{address}/app")

    async def main():
        resources = Resources(process, timeout=3)
        resources.attach(url)
        resources.attach_async(url)
        ready = await resources.wait_async(10)
        await resources.aclose()
        return ready

    assert asyncio.run(main()), process.events


def test_pings_of_async_clients_from_the_watch_thread_do_not_need_the_loop_free(process, own_redis):
    """
    A loop that is blocked for a moment loses no resource's status for good.
    """

    async def main():
        resources = Resources(process, timeout=0.3, every=0.1)
        resources.attach_async(tf.RedisURL(own_redis))
        assert await resources.wait_async(10)
        time.sleep(2)  # the app blocks its own loop
        for _ in range(200):
            await asyncio.sleep(0.02)
            if (await resources.ping_async())["redis"].ok:
                break
        else:
            pytest.fail("it did not come back")
        await resources.aclose()

    asyncio.run(main())


def test_each_reason_is_said_once_while_waiting(process, own_postgres):
    """
    Refused, then a role that does not exist: two events, however many attempts.
    """
    from twelvefactor.backing_services.pinging import Pinger
    from twelvefactor.backing_services.resource import Resource

    resources = Resources(process, timeout=2)
    resources.attach(tf.PostgresURL(own_postgres.replace("app@", "nobody@")))
    (resource,) = resources
    pinger = Pinger(process, 2, lambda _: None)
    assert isinstance(resource, Resource)
    for _ in range(2):
        pinger.check(resource)
        pinger._answer(resource, ConnectionRefusedError(111, "Connection refused"), None, None)
    resources.close()

    said = [fields["because"] for fields in process.said("waiting")]
    assert len(said) == 2
    assert 'role "nobody" does not exist' in said[0]
    assert "refused" in said[1]


class Restarting:
    """An engine of this test's own that can be killed, and started again on the same port with the same data."""

    def __init__(self, kind, folder, monkeypatch):
        self._kind, self._folder = kind, folder
        self._ports = {}
        monkeypatch.setattr(engines, "free_port", self._same_port)
        self._running = None

    def _same_port(self):
        count = self._asked = self._asked + 1
        if count not in self._ports:
            self._ports[count] = free_port()
        return self._ports[count]

    def start(self):
        self._asked = 0
        self._running = engines.start(self._kind, self._folder)
        return self._running.__enter__()

    def kill(self):
        """SIGKILL for every process of it, as the kernel does where memory is short."""
        for entry in Path("/proc").glob("[0-9]*/cwd"):
            try:
                if str(entry.readlink()).startswith(str(self._folder)):
                    os.kill(int(entry.parent.name), signal.SIGKILL)
            except (OSError, ValueError):
                continue
        self.stop()

    def stop(self):
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = None


@pytest.fixture
def restarting(request, monkeypatch):
    folder = _reachable()
    made = Restarting(request.param, folder, monkeypatch)
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("restarting", ["mysql"], indirect=True)
def test_killed_mariadb_is_reconnected_by_the_next_use(process, restarting):
    """
    SIGKILL, down for a moment, back: the same engine works again, and the outage is two events.
    """
    resources = Resources(process, timeout=1, every=0.1)
    try:
        db = resources.attach(tf.MySQLURL(restarting.start()))
        assert resources.wait(15), process.events
        with db.begin() as connection:
            connection.exec_driver_sql("create table kept (id int)")
        restarting.kill()
        _until(lambda: process.said("lost"))
        restarting.start()
        _until(lambda: process.said("back"), 30)
        assert (len(process.said("lost")), len(process.said("back"))) == (1, 1)
        with db.connect() as connection:
            assert connection.exec_driver_sql("select count(*) from kept").scalar_one() == 0
    finally:
        resources.close()


@pytest.mark.skipif(not os.environ.get("SERVICE_RESTARTS"), reason="RabbitMQ starts slowly")
@pytest.mark.parametrize("restarting", ["rabbitmq"], indirect=True)
def test_killed_rabbitmq_is_reconnected_by_the_next_use(process, restarting):
    """
    The same for kombu and aio-pika at once (with SERVICE_RESTARTS=1, which CI sets).
    """

    async def main():
        resources = Resources(process, timeout=2, every=0.2)
        url = tf.AMQPURL(restarting.start())
        blocking = resources.attach(url, name="blocking")
        robust = resources.attach_async(url, name="robust", options={"reconnect_interval": 0.3})
        try:
            assert await resources.wait_async(20), process.events
            blocking.SimpleQueue("restarted").put("before")
            await asyncio.to_thread(restarting.kill)
            await asyncio.to_thread(_until, lambda: len(process.said("lost")) == 2)
            await asyncio.to_thread(restarting.start)
            await asyncio.to_thread(_until, lambda: len(process.said("back")) == 2, 40)
            assert len(process.said("lost")) == 2
            blocking.close()
            blocking.SimpleQueue("restarted").put("after")
            channel = await robust.channel()
            await channel.declare_queue("restarted-robust", auto_delete=True)
        finally:
            await resources.aclose()

    asyncio.run(main())
