"""TF906: a process that was killed is found by the next one of its instance, and nobody else is."""

import io
import subprocess
import sys
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

import twelvefactor as tf
from twelvefactor.build_release_run.ledger import opened, resource_for
from twelvefactor.disposability.rules import TF906
from twelvefactor.factor import Verdict

BEFORE = """
import twelvefactor as tf

class Config(tf.Config):
    database_url: tf.SQLiteURL

service = tf.Service("orders", Config)
service.attach(service.config.database_url)
service.start()
service.ready()
with service.work("job", "wait"):
    service.stopping.wait(60)
"""


class Config(tf.Config):
    database_url: tf.SQLiteURL


@pytest.fixture
def environ(tmp_path):
    return {
        "DATABASE_URL": f"sqlite:///{tmp_path}/app.db",
        "TWELVEFACTOR_DEPLOY": "test",
        "TWELVEFACTOR_RELEASE": "v1",
        "HOSTNAME": "orders-5d9f",
    }


@pytest.fixture
def serve(environ):
    """A service of this test's process, attached; started unless a test says otherwise."""
    made = []

    def serve(start=True, **more):
        service = tf.Service("orders", Config, environ={**environ, **more}, stream=io.StringIO())
        service.attach(service.config.database_url)
        made.append(service)
        if start:
            service.start()
            service.ready()
        return service

    yield serve
    for service in made:
        service.close()


@pytest.fixture
def ledger(serve):
    """The ledger, made; closed again."""
    service = serve(start=False)
    with opened(resource_for(service)) as ledger:
        ledger.init()
        yield ledger


@pytest.fixture
def before(environ, ledger, tmp_path):
    """A process of the same service that has entered itself; it ends by the signal that a test sends."""
    started = []

    def run(**more):
        process = subprocess.Popen(
            [sys.executable, "-c", BEFORE],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **environ, **more},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        already, ends = running(ledger), time.monotonic() + 20
        while running(ledger, otherwise=already) == already:
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < ends, "it did not enter itself"
            time.sleep(0.02)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait(10)
        process.stdout.close()


def running(ledger, otherwise=None):
    """How many; *otherwise* where SQLite cannot say in the middle of another process's transaction."""
    try:
        with ledger.begin() as connection:
            return connection.execute(text("SELECT count(*) FROM twelvefactor_processes")).scalar_one()
    except OperationalError:
        if otherwise is None:
            raise
        return otherwise


def judged(service):
    service.close()  # waits for the look
    return service.evidence.ruling(TF906)


def test_fires_after_a_sigkill_and_once(before, serve):
    """
    The next process of the instance names it; the one after that has nothing to tell.
    """
    process = before()
    process.kill()
    process.wait(10)

    ruling = judged(serve())

    assert ruling.verdict is Verdict.FAIL
    assert f"process {process.pid} " in ruling.because
    assert judged(serve()).verdict is Verdict.PASS


def test_quiet_after_a_stop(before, serve, ledger):
    """
    SIGTERM, drain, stop: its row is gone.
    """
    process = before()
    process.terminate()
    said, _ = process.communicate(timeout=20)

    assert running(ledger) == 0, said
    assert judged(serve()).verdict is Verdict.PASS


def test_quiet_about_one_that_still_runs(before, serve):
    """
    Two workers of one host are two processes; so is one on another host, dead or alive.
    """
    before()
    other = before(HOSTNAME="orders-77aa")
    other.kill()
    other.wait(10)

    assert judged(serve()).verdict is Verdict.PASS


def test_unknown_with_a_ledger_of_an_older_version(serve, ledger):
    """
    Which has no such table: the next step is told, and `init` adds it.
    """
    with ledger.begin() as connection:
        connection.execute(text("DROP TABLE twelvefactor_processes"))

    ruling = judged(serve())

    assert (ruling.verdict, "release init" in ruling.because) == (Verdict.UNKNOWN, True)
    assert ledger.init() is False
    assert judged(serve()).verdict is Verdict.PASS


def test_unknown_without_a_ledger(serve):
    """
    Nobody else knows of the process before.
    """
    assert judged(serve()).verdict is Verdict.UNKNOWN
