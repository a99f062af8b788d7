"""TF806: a connection that was opened before a fork is used in the child."""

import contextlib
import socket
import ssl
import threading

import pytest

from tests.conftest import url_of
from twelvefactor.concurrency import TF806

FORKED = """
import os, socket, sys
import twelvefactor as tf

service = tf.Service("orders")
{before}


def pay():
    {use}


child = os.fork()
if not child:
    with service.work("request", "POST /pay"):
        pay()
    service.close()
    os._exit(0)
os.waitpid(child, 0)
{after}
"""


@pytest.fixture
def echo():
    """A server that gives back what it gets."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=_echo, args=(client,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


def _echo(client):
    with client, contextlib.suppress(ConnectionError):
        while data := client.recv(100):
            client.sendall(data)


def forked(before, use, after="pass"):
    return FORKED.format(before=before, use=use, after=after)


def test_it_fires_on_a_socket_of_the_parent(run_app, echo):
    """
    The worker talks through what its parent had opened; the line and the peer are told, once.
    """
    before = f"connection = socket.create_connection(('127.0.0.1', {echo}))"
    ran = run_app(forked(before, "connection.sendall(b'x'); connection.recv(1); connection.sendall(b'y')"))

    (finding,) = ran.found("TF806")
    assert finding["culprit"] == f"__main__.pay 127.0.0.1:{echo}"
    assert finding["where"].startswith("orders.py:")
    assert not ran.faults()


def test_it_is_quiet_on_one_that_is_carried_and_not_used(run_app, echo):
    """
    The parent goes on to use it; the child has one of its own.
    """
    before = f"address = ('127.0.0.1', {echo}); connection = socket.create_connection(address)"
    use = "own = socket.create_connection(address); own.sendall(b'x'); own.recv(1)"
    ran = run_app(forked(before, use, "connection.sendall(b'x'); connection.recv(1)"))

    assert ran.found("TF806") == []
    assert "1" in ran.evidence[0]["TF806"]["because"]


def test_it_fires_on_a_pooled_connection_of_a_driver_in_c(run_app):
    """
    libpq has no socket that Python sees; the pool knows when it is taken.
    """
    url = url_of("postgres").replace("postgresql://", "postgresql+psycopg://")
    before = f"import sqlalchemy\nengine = sqlalchemy.create_engine({url!r})\nengine.connect().close()"
    ran = run_app(forked(before, "engine.connect().close()"))

    (finding,) = ran.found("TF806")
    assert finding["culprit"] == "__main__.pay 127.0.0.1:5432"
    assert not ran.faults()


def test_it_is_quiet_on_what_was_attached_and_on_clients_that_notice(run_app):
    """
    `attach` opens anew in the child, and redis-py drops its connections by itself.
    """
    postgres, redis = url_of("postgres"), url_of("redis")
    before = f"""
import redis
engine = service.attach(tf.PostgresURL({postgres!r}))
engine.connect().close()
attached = service.attach(tf.RedisURL({redis!r}))
attached.ping()
client = redis.Redis.from_url({redis!r})
client.ping()"""
    ran = run_app(forked(before, "engine.connect().close(); attached.ping(); client.ping()"))

    assert ran.status == 0, ran.stderr
    assert ran.found("TF806") == []
    assert ran.evidence[0]["TF806"]["verdict"] == "pass"
    assert not ran.faults()


def test_a_socket_is_a_plain_one_again(echo):
    """
    After the first use, and where there was none after the end.
    """
    from twelvefactor.concurrency.forks import _Carried, _CarriedTLS

    with socket.create_connection(("127.0.0.1", echo)) as connection:
        connection.__class__ = _Carried
        connection.sendall(b"x")
        assert type(connection) is socket.socket
        assert connection.recv(1) == b"x"
    with ssl.create_default_context().wrap_socket(socket.socket(), server_hostname="localhost") as connection:
        connection.__class__ = _CarriedTLS
        with pytest.raises(OSError):
            connection.send(b"x")
        assert type(connection) is ssl.SSLSocket


def test_a_process_that_is_no_fork_passes(new_service):
    """
    There is nothing to carry.
    """
    service = new_service()
    with service.work("request", "GET /"):
        pass

    assert service.evidence.ruling(TF806).because == "this process is not a fork"
