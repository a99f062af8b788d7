"""A service whose environment lacks its config ends under every server, with the whole text and for good."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOP = """
import twelvefactor as tf

class Config(tf.Config):
    stripe_secret_key: tf.Secret
    workers: int

service = tf.Service("shop", Config)

async def inner(scope, receive, send): ...

app = service.asgi(inner)
"""
CELERY = SHOP + "\nfrom celery import Celery\ncelery = Celery('shop')\n"
SAID = ["STRIPE_SECRET_KEY: is empty; expected a secret, not empty", "WORKERS: is not an integer"]

SERVERS = {
    # the exit status is the server's own: hypercorn says 0 of a worker that could not boot
    "python": (["-c", "import shop"], 1, 1),
    "uvicorn": (["-m", "uvicorn", "shop:app", "--port", "0"], 1, 1),
    "gunicorn": (["-m", "gunicorn", "shop:app", "-b", "127.0.0.1:0"], 3, 3),
    "hypercorn": (["-m", "hypercorn", "shop:app", "-b", "127.0.0.1:0"], 0, 1),
    "granian": (["-m", "granian", "--interface", "asgi", "--port", "18439", "shop:app"], 1, 1),
    "celery": (["-m", "celery", "-A", "shop:celery", "worker", "-P", "solo"], 2, 1),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


def run(folder, *args, timeout=60, **more):
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environ = {**kept, "PYTHONPATH": str(ROOT), "STRIPE_SECRET_KEY": "", "WORKERS": "planted-value", **more}
    return subprocess.run(
        [sys.executable, *args], cwd=folder, env=environ, capture_output=True, text=True, timeout=timeout
    )


@pytest.mark.parametrize("server", SERVERS)
def test_the_process_ends_with_the_whole_text(folder, server):
    """
    Every problem is told, no value, and nothing is restarted for ever.
    """
    if server != "python" and find_spec(server) is None:
        pytest.skip(f"{server} is not installed")
    if server == "celery":
        (folder / "shop.py").write_text(CELERY)
    args, status, at_most = SERVERS[server]

    done = run(folder, *args)

    told = done.stdout + done.stderr
    assert done.returncode == status, told
    assert [line for line in SAID if f"  {line}" not in told] == []
    assert 1 <= told.count(f"\n  {SAID[0]}") <= at_most
    assert "planted" not in told


def test_our_command_ends_with_its_own_status_and_no_traceback(folder):
    """
    78, and the text alone.
    """
    done = run(folder, "-m", "twelvefactor", "config", "check", "--service", "shop:service")

    assert (done.returncode, "Traceback" in done.stderr) == (78, False)
    assert [line.strip() for line in done.stderr.splitlines()[1:]] == SAID


def test_the_scorecard_has_it_as_a_failed_rule(folder):
    """
    A process that could not start leaves its evidence, and `check` grades it.
    """
    run(folder, "-c", "import shop", TWELVEFACTOR_EVIDENCE="web.json")

    done = run(folder, "-m", "twelvefactor", "check", "--evidence", "web.json", "--format", "json")

    rules = json.loads(done.stdout)["factors"][2]["rules"]
    assert next(rule["verdict"] for rule in rules if rule["id"] == "TF301") == "fail"
    assert "planted" not in done.stdout


def test_the_event_stream_has_it_as_json(folder):
    """
    One event, for those who read events.
    """
    (event,) = [json.loads(line) for line in run(folder, "-c", "import shop").stdout.splitlines()]

    assert (event["level"], event["event"]) == ("critical", "twelvefactor.config.refused")
    assert [problem["variables"] for problem in event["problems"]] == [["STRIPE_SECRET_KEY"], ["WORKERS"]]
