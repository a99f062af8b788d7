"""Several real clock processes beside each other: each tick runs once, also when one of them is killed."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from datetime import datetime
from itertools import pairwise

import pytest

from tests.concurrency.conftest import ROOT
from tests.conftest import url_of

pytest.importorskip("apscheduler")

APP = """
import os, time
import twelvefactor as tf


class Config(tf.Config):
    claims_url: tf.{kind}


service = tf.Service({name!r}, Config)
service.attach(service.config.claims_url)


@service.clock(1)
def remind():
    work = tf.current_work()
    line = f"{{work.context['scheduled']}} {{os.getpid()}}\\n"
    with open("ticks", "a") as file:
        file.write(line)
    time.sleep(0.2)
    with open("done", "a") as file:
        file.write(line)
"""
KINDS = {"postgres": "PostgresURL", "mariadb": "MySQLURL", "redis": "RedisURL"}


@pytest.fixture(params=KINDS)
def clocks(request, tmp_path):
    """Three clock processes of one service, or two, on one backing service."""
    url, name = url_of(request.param), f"clock-{uuid.uuid4().hex[:8]}"
    (tmp_path / "orders.py").write_text(APP.format(kind=KINDS[request.param], name=name))
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "CLAIMS_URL": url, "TWELVEFACTOR_GRACE_PERIOD": "8"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "twelvefactor", "run", "--service", "orders:service", "clock"],
            cwd=tmp_path,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3 if request.param == "postgres" else 2)
    ]
    yield started
    for each in started:
        each.kill()
        each.communicate()
    _forget(request.param, url, name)


def _forget(kind, url, name):
    if kind == "redis":
        import redis

        with redis.Redis.from_url(url) as client:
            for key in client.scan_iter(f"twelvefactor:tick:{name}:*"):
                client.delete(key)
        return
    import sqlalchemy as sa

    url = sa.make_url(url).set(drivername={"postgres": "postgresql+psycopg", "mariadb": "mysql+pymysql"}[kind])
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM twelvefactor_ticks WHERE service = :name"), {"name": name})
    engine.dispose()


def until_ticking(process):
    for line in process.stdout:
        if '"clock.ticking"' in line:
            return
    raise AssertionError(process.stderr.read())


def lines(path):
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(path, count):
    ends = time.monotonic() + 30
    while len(lines(path)) < count:
        assert time.monotonic() < ends, lines(path)
        time.sleep(0.02)


def test_a_tick_runs_once_with_several_clocks_of_which_one_is_killed(clocks, tmp_path):
    """
    No second is run twice, none is left out without a word, and SIGTERM lets the tick in hand finish.
    """
    for each in clocks:
        until_ticking(each)
    wait_for(tmp_path / "ticks", 2)
    clocks[0].kill()
    wait_for(tmp_path / "ticks", 4)
    for each in clocks[1:]:
        each.send_signal(signal.SIGTERM)
    said = [each.communicate(timeout=20) for each in clocks]
    events = [json.loads(line) for out, _ in said for line in out.splitlines() if line.endswith("}")]

    begun = Counter(due for due, _ in lines(tmp_path / "ticks"))
    assert set(begun.values()) == {1}
    seconds = sorted(datetime.fromisoformat(each) for each in begun)
    left_out = sum((later - one).total_seconds() - 1 for one, later in pairwise(seconds))
    told = sum(event.get("count", 1) for event in events if event["event"] == "tick.missed")
    assert left_out <= told + 1  # the killed one may have claimed a tick and not begun it
    killed = {str(clocks[0].pid)}
    assert {line for line in map(tuple, lines(tmp_path / "ticks")) if line[1] not in killed} == {
        line for line in map(tuple, lines(tmp_path / "done")) if line[1] not in killed
    }
    assert {each.returncode for each in clocks[1:]} <= {0, 143}
    assert not [event for event in events if event["event"] == "twelvefactor.fault"]
    assert {event["outcome"] for event in events if event["event"] == "tick"} <= {"ok"}
