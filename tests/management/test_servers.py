"""The management port in real servers: there before the first request, in one worker after the other."""

import http.client
import json
import os
import signal
import sys

import pytest

from tests.management.conftest import wait_for
from twelvefactor.testing.engines import free_port
from twelvefactor.testing.servers import Server, python_server

WSGI = """
import twelvefactor as tf

def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]

app = tf.Service("shop").wsgi(hello)
"""
ASGI = """
import time
import twelvefactor as tf

async def hello(scope, receive, send):
    if scope["path"] == "/sleeps":
        time.sleep(60)  # the test kills it before
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})

app = tf.Service("shop").asgi(hello)
"""


def ask(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except OSError:
        return 0, {}
    finally:
        connection.close()


def loaded(server):
    """The processes that have said what became of the port."""
    told = ("twelvefactor.management.listening", "twelvefactor.management.taken")
    return {event["instance"] for event in server.events if event["event"] in told}


@pytest.fixture
def serve(tmp_path):
    """Start a server on *source*; gives it and its management port."""
    running = []

    def serve(source, command, *more, ready=None, **environ):
        (tmp_path / "shop.py").write_text(source)
        port = free_port()
        told = {"TWELVEFACTOR_MANAGEMENT_PORT": str(port), "PYTHONPATH": os.pathsep.join(sys.path), **environ}
        server = Server((*python_server(command, "shop:app"), *more), cwd=tmp_path, environ=told, ready=ready).start()
        running.append(server)
        return server, port

    yield serve
    for server in running:
        server.kill()


def test_workers_of_gunicorn_share_it_one_after_the_other(serve):
    """
    Probes on it start the service, as no request has come; one worker has it, another says so and takes it over when
    the first is killed.
    """
    server, port = serve(WSGI, "gunicorn-gthread", "--workers", "2")
    wait_for(lambda: ask(port, "/readyz")[0] == 200)
    server.wait_event("twelvefactor.management.taken", within=30)
    first = ask(port, "/score")[1]["pid"]
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: ask(port, "/score")[1].get("pid", first) != first)
    wait_for(lambda: ask(port, "/readyz")[0] == 200)
    wait_for(lambda: len(loaded(server)) == 3)  # gunicorn's worker hears SIGTERM by then

    assert server.stop() == 0
    assert ask(port, "/livez")[0] == 0


def test_it_answers_while_the_loop_of_uvicorn_is_blocked(serve):
    """
    A handler sleeps on the loop: the score is still told, with the request in flight.
    """
    server, port = serve(ASGI, "uvicorn", ready="/readyz")
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/sleeps")
    try:
        wait_for(lambda: ask(port, "/score")[1].get("in_flight") == 1)
    finally:
        connection.close()
