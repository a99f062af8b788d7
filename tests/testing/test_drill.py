"""The SIGTERM drill notices what clients notice, and nothing else."""

import asyncio
import os
import subprocess
import sys

import pytest

from benchmarks.rollouts import Rollouts
from twelvefactor.testing.drill import Result, Visitors, told
from twelvefactor.testing.fixtures import sigterm_drill  # noqa: F401, RUF100 - the plugin has it too

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
APP = "tests.disposability.drilled"
EVERY = os.environ.get("DRILL") == "all"  # each configuration, at the size of the benchmark
LOAD = 40 if EVERY else 8
GUNICORN = ("gunicorn", "-b", "127.0.0.1:{port}", "--no-control-socket", "--log-level", "warning")
SERVERS = {
    "uvicorn": ("uvicorn", f"{APP}:asgi", "--port", "{port}"),
    "uvicorn --workers 2": ("uvicorn", f"{APP}:asgi", "--port", "{port}", "--workers", "2"),
    "gunicorn asgi": (*GUNICORN, f"{APP}:asgi", "-k", "asgi"),
    "granian asgi": ("granian", f"{APP}:asgi", "--port", "{port}", "--interface", "asgi"),
    "hypercorn": ("hypercorn", f"{APP}:asgi", "-b", "127.0.0.1:{port}"),
    "gunicorn sync --preload": (*GUNICORN, f"{APP}:wsgi", "-w", "4", "--preload"),
    "gunicorn gthread": (*GUNICORN, f"{APP}:wsgi", "-k", "gthread", "--threads", "60"),
    "granian wsgi": ("granian", f"{APP}:wsgi", "--port", "{port}", "--interface", "wsgi", "--blocking-threads", "60"),
    "waitress": ("waitress", "--listen=127.0.0.1:{port}", "--threads=60", f"{APP}:wsgi"),
}
QUICK = ("uvicorn", "hypercorn", "granian asgi", "gunicorn sync --preload")


@pytest.fixture
def visitors():
    def of(server):
        load = [Visitors("/work", 4 if "sync" in server else LOAD), Visitors("/stream", 1, stream=True)]
        if f"{APP}:asgi" in SERVERS[server]:
            load += [Visitors("/background", 1), Visitors("/spawn", 1), Visitors("/echo", 2, websocket=True)]
        return load

    return of


@pytest.mark.parametrize("server", SERVERS if EVERY else QUICK)
def test_nobody_notices_that_an_instance_stops(server, visitors, sigterm_drill):
    """
    In flight, refused, reset, 5xx, streams, tasks, messages in hand: 0 each, and the last line is written.
    """
    result = sigterm_drill((sys.executable, "-m", *SERVERS[server]), visitors=visitors(server), cwd=ROOT)

    result.check()
    assert result.in_flight > 0
    assert result.ok > 0
    assert result.last_line is True


def test_a_server_without_the_library_is_noticed(sigterm_drill):
    """
    waitress by itself cuts what it has in hand: the drill can fail.
    """
    command = (sys.executable, "-m", "waitress", "--listen=127.0.0.1:{port}", f"{APP}:plain_wsgi")
    result = sigterm_drill(command, visitors=[Visitors("/work", 8)], environ={"DRILL_PLAIN": "1"}, cwd=ROOT)

    assert result.in_flight_failed > 0
    assert result.last_line is None
    with pytest.raises(AssertionError, match="requests in flight failed"):
        result.check()


def test_the_table_sums_the_runs():
    """
    One row a configuration.
    """
    runs = [Result(in_flight=3, ok=5, seconds=1.0, status=0), Result(in_flight=4, refused=2, seconds=2.0, status=0)]
    *_, row = told({"uvicorn": runs})

    assert row == "| uvicorn | 2 | 0 of 7 | 5 | 2 | 0 | 0 | 0 | 0 | - | 0 (0) | 1.0/2.0 | 0 | 0 |"


def test_the_command_prints_the_table():
    """
    `twelvefactor drill` exits 0 where nobody noticed.
    """
    command = ["drill", "--path", "/work", "--clients", "6", "--drain", "0.6", "--", *SERVERS["uvicorn"]]
    done = subprocess.run(
        [sys.executable, "-m", "twelvefactor", *command[:8], sys.executable, "-m", *command[8:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "nobody noticed" in done.stdout


def test_rolling_restarts_are_not_noticed():
    """
    Two instances are replaced one after the other under load: no request fails. `benchmarks/rollouts.py` does it 50 times.
    """
    run = Rollouts(clients=4)
    asyncio.run(run.roll(1))

    assert run.answered > 0
    assert run.failed == 0
