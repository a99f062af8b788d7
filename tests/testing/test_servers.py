"""The helper for real servers, on a real one."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from twelvefactor.exceptions import ResourceUnavailable
from twelvefactor.testing.servers import Server, python_server

ROOT = str(Path(__file__).resolve().parents[2])
APP = """
import twelvefactor as tf

service = tf.Service("shop")

async def hello(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-pid", b"1")]})
        await send({"type": "http.response.body", "body": b'{"hello": true}'})

app = service.asgi(hello)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(APP)
    return folder


def shop(folder, *, name="uvicorn", **options):
    return Server(python_server(name, "shop:app"), cwd=folder, environ={"PYTHONPATH": ROOT}, **options)


def alive(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def children(server):
    return psutil.Process(server.pid).children(recursive=True)


def test_a_server_answers_tells_events_and_stops(folder):
    """
    One life: ready when the block begins, an answer, its event, SIGTERM, a clean end.
    """
    with shop(folder) as server:
        answer = server.get("/things", {"X-Request-ID": "a-1"})

        assert (answer.status, answer.json(), answer.headers["x-request-id"]) == (200, {"hello": True}, "a-1")
        assert server.wait_event("request")["path"] == "/things"
        assert server.stop() in (0, -signal.SIGTERM)
        assert server.events[-1]["event"] == "twelvefactor.stopped" or server.wait_event("twelvefactor.stopped")


def test_nothing_of_the_group_outlives_the_block(folder):
    """
    A block that ends in an exception takes the server's workers along.
    """
    family = []
    with contextlib.suppress(LookupError), shop(folder, name="uvicorn-2") as server:
        family = [psutil.Process(server.pid), *children(server)]
        raise LookupError

    assert len(family) > 2
    ends = time.monotonic() + 10  # a killed process closes its files, which ends the block, before it is gone itself
    while time.monotonic() < ends and any(map(alive, family)):
        time.sleep(0.01)
    assert not [each for each in family if alive(each)]


def test_a_server_that_cannot_start_says_why(folder):
    """
    The end of what it said is in the error.
    """
    with pytest.raises(ResourceUnavailable, match="no_such_module"):
        Server((sys.executable, "-c", "import no_such_module"), cwd=folder).start()


def test_an_event_that_is_not_said_is_an_error_with_what_was(folder):
    """
    Waiting has a bound.
    """
    with shop(folder) as server:
        server.wait_event("twelvefactor.ready")
        with pytest.raises(TimeoutError, match=r"twelvefactor\.ready"):
            server.wait_event("order.created", within=0.1)


def test_a_server_does_not_outlive_the_process_that_started_it(folder):
    """
    Killed without a chance to clean up, the test process takes the server along.
    """
    starter = (
        "import sys\n"
        "from twelvefactor.testing.servers import Server, python_server\n"
        f"server = Server(python_server('uvicorn', 'shop:app'), cwd={str(folder)!r}).start()\n"
        "print(server.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    env = {**os.environ, "PYTHONPATH": ROOT}
    with subprocess.Popen(
        [sys.executable, "-c", starter], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    ) as test:
        server = psutil.Process(int(test.stdout.readline()))
        test.kill()

    server.wait(10)
