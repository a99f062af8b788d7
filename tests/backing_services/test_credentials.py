"""Credentials that are a callable are asked for again when a client connects again, and what they give is used."""

import asyncio
import contextlib
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import twelvefactor as tf
from tests.conftest import absent
from twelvefactor.backing_services.kind import Opening
from twelvefactor.backing_services.registry import kind_of
from twelvefactor.backing_services.resources import Resources
from twelvefactor.exceptions import ResourceUnavailable
from twelvefactor.testing.engines import find_program, free_port


class Tokens:
    """Gives what is good now, and counts how often it was asked."""

    def __init__(self, user, now):
        self.user, self.now, self.asked = user, now, 0

    def __call__(self):
        self.asked += 1
        return self.user, self.now


class Proxy:
    """A port in front of a server, on which every connection can be cut."""

    def __init__(self, port):
        self._to = port
        self._server = None
        self._writers = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.cut()

    async def _serve(self, reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, back}
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

    async def _copy(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    def cut(self):
        """End all connections, as a server that goes away does."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()


async def eventually(condition, seconds=20):
    for _ in range(int(seconds / 0.05)):
        with contextlib.suppress(Exception):
            if await condition():
                return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen")


def until(condition, seconds=20):
    waiting = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        waiting.wait(0.05)
    raise AssertionError("it did not happen")


def test_redis_connects_again_with_the_token_of_now(resources, own_redis):
    """
    The password was changed and the connections were cut: the next use has the new one.
    """
    import redis

    tokens = Tokens("shop-tokens", "first")
    with redis.Redis.from_url(own_redis) as admin:
        admin.execute_command("ACL", "SETUSER", tokens.user, "reset", "on", ">first", "~*", "+@all")
        cache = resources.attach(tf.RedisURL(own_redis), credentials=tokens)
        assert resources.wait(10)
        assert cache.set("token-key", "v")
        asked, tokens.now = tokens.asked, "second"
        admin.execute_command("ACL", "SETUSER", tokens.user, "reset", "on", ">second", "~*", "+@all")
        admin.client_kill_filter(user=tokens.user)

        assert cache.get("token-key") == b"v"
        assert tokens.asked > asked
        cache.delete("token-key")
        admin.execute_command("ACL", "DELUSER", tokens.user)


@pytest.fixture
def rabbitmq_port(rabbitmq_url):
    return tf.URL(rabbitmq_url).port


def test_kombu_connects_again_with_the_token_of_now(rabbitmq_port):
    """
    A wrong one is refused, the next connection has the right one.
    """
    import amqp.exceptions

    tokens = Tokens("guest", "expired")
    url = tf.AMQPURL(f"amqp://127.0.0.1:{rabbitmq_port}")
    kind = kind_of(url)
    client = kind.open(url, Opening(credentials=tokens))
    try:
        with pytest.raises(amqp.exceptions.AccessRefused):
            client.connect()
        tokens.now = "guest"
        client.connect()
        asked = tokens.asked
        client.close()
        client.connect()
        assert tokens.asked == asked + 1
    finally:
        kind.close(client)


def test_aio_pika_comes_back_with_the_token_of_now(process, rabbitmq_port):
    """
    Its connection was cut: the first attempt has a token that is refused, a later one the right one.
    """
    tokens = Tokens("guest", "guest")

    async def main():
        async with Proxy(rabbitmq_port) as proxy:
            resources = Resources(process, timeout=3)
            client = resources.attach_async(
                tf.AMQPURL(f"amqp://127.0.0.1:{proxy.port}"), credentials=tokens, options={"reconnect_interval": 0.2}
            )
            assert await resources.wait_async(15), process.events
            assert tokens.asked == 1
            tokens.now = "expired"
            proxy.cut()
            await eventually(lambda: _is(tokens.asked > 1))
            tokens.now = "guest"
            await eventually(lambda: _works(client))
            await resources.aclose()

    asyncio.run(main())
    assert tokens.asked >= 3


async def _is(value):
    return value


async def _works(client):
    async with asyncio.timeout(2):
        channel = await client.channel()
        await channel.close()
        return True


def _program(name):
    try:
        return find_program(name)
    except ResourceUnavailable as error:
        absent(str(error))


@contextlib.contextmanager
def _running(*command):
    server = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield server
    finally:
        server.terminate()
        server.wait(10)


@pytest.mark.parametrize("how", ["user and password", "token"])
def test_nats_comes_back_with_the_token_of_now(process, how):
    """
    The server was restarted with another password: the client that reconnects has it.
    """
    program, port = _program("nats-server"), free_port()
    tokens = Tokens("app", "first")

    def server():
        login = ["--user", "app", "--pass", tokens.now] if how != "token" else ["--auth", tokens.now]
        return _running(program, "-a", "127.0.0.1", "-p", port, *login)

    async def main():
        resources = Resources(process, timeout=2)
        credentials = tokens if how != "token" else lambda: tokens()[1]
        options = {"reconnect_time_wait": 0.1}
        with server():
            client = resources.attach_async(
                tf.NATSURL(f"nats://127.0.0.1:{port}"), credentials=credentials, options=options
            )
            assert await resources.wait_async(10), process.events
        await eventually(lambda: _is(not client.is_connected))
        tokens.now = "second"
        asked = tokens.asked
        with server():
            await eventually(lambda: _is(client.is_connected))
            await client.flush()
            await resources.aclose()
        assert tokens.asked > asked

    asyncio.run(main())


def test_mqtt_comes_back_with_the_token_of_now(process, tmp_path):
    """
    The broker was restarted with another password.
    """
    program, passwords, port = _program("mosquitto"), _program("mosquitto_passwd"), free_port()
    config, file = tmp_path / "m.conf", tmp_path / "passwords"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {file}\nuser root\n")
    tokens = Tokens("app", "first")

    def server():
        file.unlink(missing_ok=True)
        subprocess.run([passwords, "-b", "-c", str(file), "app", tokens.now], check=True, capture_output=True)
        return _running(program, "-c", config)

    resources = Resources(process, timeout=2, every=0.2)
    try:
        with server():
            client = resources.attach(tf.MQTTURL(f"mqtt://127.0.0.1:{port}"), credentials=tokens)
            assert resources.wait(10), process.events
        until(lambda: not client.is_connected())
        asked, tokens.now = tokens.asked, "second"
        with server():
            until(client.is_connected)
        assert tokens.asked > asked
    finally:
        resources.close()


def test_mail_is_sent_with_the_token_of_now(mail):
    """
    The server hung up, and the password that it knew is no longer the one that is asked for.
    """
    import smtplib

    tokens = Tokens("app", "expired")
    url = tf.SMTPURL(f"smtp://127.0.0.1:{mail.port}")
    mailer = kind_of(url).open(url, Opening(credentials=tokens))
    try:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            mailer.sendmail("a@example.com", ["b@example.com"], "Subject: none\n\n")
        tokens.now = "secret-of-the-app"
        mailer.sendmail("a@example.com", ["b@example.com"], "Subject: token\n\n")
        assert mail.stdout.readline().strip() == "Subject: token"
    finally:
        kind_of(url).close(mailer)
    assert tokens.asked == 2


def test_mail_from_coroutines_is_sent_with_the_token_of_now(mail):
    """
    The same by aiosmtplib.
    """
    import aiosmtplib

    tokens = Tokens("app", "expired")
    url = tf.SMTPURL(f"smtp://127.0.0.1:{mail.port}")

    async def main():
        mailer = kind_of(url).open_async(url, Opening(credentials=tokens))
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await mailer.sendmail("a@example.com", ["b@example.com"], "Subject: none\n\n")
        mailer.close()
        tokens.now = "secret-of-the-app"
        await mailer.sendmail("a@example.com", ["b@example.com"], "Subject: token\n\n")
        await kind_of(url).close_async(mailer)

    asyncio.run(main())
    assert mail.stdout.readline().strip() == "Subject: token"


@pytest.fixture
def said():
    """A server that remembers the `Authorization` of each request; its port and those."""
    heard = []

    class Server(BaseHTTPRequestHandler):
        def do_HEAD(self):
            heard.append(self.headers.get("Authorization", ""))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server.server_address[1], heard
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_s3_signs_each_request_with_the_key_of_now(said):
    """
    The second request carries the second key.
    """
    port, heard = said
    keys = Tokens("KEYONE", "a")
    url = tf.S3URL(f"s3://127.0.0.1:{port}/uploads?tls=false")
    client = kind_of(url).open(url, Opening(credentials=keys))
    client.head_bucket(Bucket="uploads")
    keys.user = "KEYTWO"
    client.head_bucket(Bucket="uploads")
    kind_of(url).close(client)

    assert ["KEYONE/" in heard[0], "KEYTWO/" in heard[1]] == [True, True]


def test_http_asks_for_each_request(said):
    """
    Basic authentication with what the callable gives.
    """
    port, heard = said
    tokens = Tokens("app", "first")
    url = tf.HTTPURL(f"http://127.0.0.1:{port}")
    client = kind_of(url).open(url, Opening(credentials=tokens))
    for tokens.now in ("first", "second"):
        client.get("/")
    kind_of(url).close(client)

    assert len(set(heard)) == 2
