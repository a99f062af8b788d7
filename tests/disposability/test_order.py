"""The order of a stop, once, in a real server's process."""

import concurrent.futures
import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.disposability.conftest import SOON, eventually
from twelvefactor.testing.engines import free_port

pytest.importorskip("uvicorn")

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """A started server; one connection a request."""

    def __init__(self, tmp_path):
        self.port = free_port()
        self.path = tmp_path / "out"
        self.out = self.path.open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "tests.disposability.app:app", "--port", str(self.port)],
            cwd=ROOT,
            stdout=self.out,
            env={
                **os.environ,
                "TWELVEFACTOR_DRAIN_DELAY": "60s",
                "TWELVEFACTOR_GRACE_PERIOD": "90s",
                "LOG_FORMAT": "json",
                "PYTHONPATH": str(ROOT),
            },
        )

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SOON)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            connection.close()

    def ready(self):
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def lines(self):
        whole = self.path.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def said(self, event):
        return any(line["event"] == event for line in self.lines())

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(SOON)
        self.out.close()


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    yield made
    made.stop()


def test_the_order_of_a_stop_under_a_real_server(server):
    """
    SIGTERM: readiness withdrawn while the listener is open, work and background task finished, hooks last in first
    out, resources last, the last line written, the server's own exit status.
    """
    assert eventually(server.ready)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        held = pool.submit(server.get, "/hold")
        assert eventually(lambda: server.said("holding"))
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: not server.ready())

        status, _, headers = server.get("/readyz")
        assert (status, headers["Retry-After"]) == (503, "5")
        assert server.get("/livez")[0] == 200
        status, body, headers = server.get("/")
        assert (status, body, headers["Connection"]) == (200, "home", "close")
        server.process.send_signal(signal.SIGTERM)
        assert server.get("/")[0] == 200
        server.get("/release")
        assert held.result(SOON)[:2] == (200, "held")
        assert eventually(lambda: server.said("background done"))
        assert server.get("/force")[0] == 200

    assert server.process.wait(30) == -signal.SIGTERM
    told = [
        "twelvefactor.draining",
        "background done",
        "twelvefactor.stopping",
        "hook second",
        "hook first",
        "resources closed",
        "twelvefactor.stopped",
    ]
    lines = server.lines()
    assert [line["event"] for line in lines if line["event"] in told] == told
    assert lines[-1]["event"].startswith(("Finished server process", "twelvefactor.stopped", "Application shutdown"))
