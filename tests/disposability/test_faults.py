"""What may go wrong while a real server stops: it ends by itself, within the grace period."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.disposability.conftest import SOON, eventually
from twelvefactor.testing.engines import free_port
from twelvefactor.testing.servers import Server

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMAND = (sys.executable, "-m", "uvicorn", "tests.disposability.app:app", "--port", "{port}")
GRACE = {"TWELVEFACTOR_GRACE_PERIOD": "5s", "WORK": "1"}  # much is left for what comes after the cut


@pytest.fixture
def server():
    with Server(COMMAND, environ={**GRACE, "LOG_FORMAT": "json"}, cwd=ROOT) as running:
        yield running


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(server, path):
    """A connection on which *path* was asked for, and from which nobody reads."""
    client = socket.create_connection(("127.0.0.1", server.port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def test_a_client_that_never_reads_does_not_hold_the_stop(server):
    """
    Its answer is cut at the end of the budget and named, hooks run, and SIGKILL is not needed.
    """
    with ask(server, "/big") as client:
        client.recv(1)
        server.send_signal()
        status = server.wait(SOON)

    assert status in (-signal.SIGTERM, 143)
    assert "hook second" in [event["event"] for event in server.events]
    assert any(event.get("rule") == "TF903" and "/big" in event["culprit"] for event in server.events)


def test_a_handler_that_ignores_its_cancellation_does_not_hold_the_stop(server):
    """
    The server would wait for ever: the process finishes and ends by itself, as if SIGTERM had done it.
    """
    with ask(server, "/stubborn"):
        assert eventually(lambda: server.get("/").status == 200)
        server.send_signal()
        status = server.wait(SOON)

    said = [event["event"] for event in server.events]
    assert status == 143
    assert {"cancellation ignored", "twelvefactor.deadline", "hook first", "twelvefactor.stopped"} <= set(said)


def test_stdout_that_was_closed_does_not_hold_the_stop():
    """
    Whoever read the stream has gone: the process stops all the same, with the server's own status.
    """
    reader, writer = os.pipe()
    port = free_port()
    command = [part.replace("{port}", str(port)) for part in COMMAND]
    process = subprocess.Popen(command, cwd=ROOT, stdout=writer, stderr=subprocess.DEVNULL, env={**os.environ})
    try:
        os.close(writer)
        assert eventually(lambda: listens(port), 30)
        os.close(reader)
        process.send_signal(signal.SIGTERM)

        assert process.wait(SOON) == -signal.SIGTERM
    finally:
        process.kill()
        process.wait(SOON)


def test_a_worker_that_was_killed_leaves_nothing_that_keeps_the_next_from_starting(server):
    """
    SIGKILL asks nobody; the port is free again at once.
    """
    server.send_signal(signal.SIGKILL)
    assert server.wait(SOON) == -signal.SIGKILL

    with socket.create_server(("127.0.0.1", server.port)) as again:
        assert again.getsockname()[1] == server.port
