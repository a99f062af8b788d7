"""Only one at a time: real locks in PostgreSQL, MariaDB and Redis."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from uuid import uuid4

import pytest
import redis

import twelvefactor as tf
from tests.admin_processes.conftest import ROOT
from twelvefactor.admin_processes import exclusive

SOURCE = """
import sys

@service.admin(exclusive=True)
def repair() -> None:
    print("begun", flush=True)
    sys.stdin.readline()
"""


NOBODY = "somebody who just let go"


@contextlib.contextmanager
def service_on(url):
    """The service in this process, with *url* attached."""
    service = tf.Service("orders", environ={}, stream=io.StringIO())
    service.attach(tf.URL(url))
    try:
        yield service
    finally:
        service.close()


@pytest.fixture(params=["postgres", "mariadb", "redis"])
def url(request):
    return request.getfixturevalue(f"{request.param}_url")


def test_a_second_copy_says_who_holds_it_and_exits_75(project, url):
    """
    And the first one goes on; then it is free again.
    """
    project = project(SOURCE)
    first = project.start("admin", "repair", DATABASE_URL=url, TWELVEFACTOR_ACTOR="jo")
    assert first.stdout.readline() == "begun\n"

    second = project("admin", "repair", DATABASE_URL=url)
    _, err = first.communicate("\n", timeout=30)
    third = project("admin", "repair", DATABASE_URL=url, stdin="\n")

    assert (second.status, first.returncode, third.status) == (75, 0, 0), (second.err, err, third.err)
    assert "repair is running already" in second.err
    assert "repair by jo on " in second.err
    assert "Traceback" not in second.err


def test_a_killed_one_frees_the_lock(project, url):
    """
    It goes with the connection; in Redis with the lease, which is half a minute: `TestLease` has a shorter one.
    """
    if url.startswith("redis"):
        pytest.skip("see TestLease")
    project = project(SOURCE)
    first = project.start("admin", "repair", DATABASE_URL=url)
    assert first.stdout.readline() == "begun\n"
    with service_on(url) as service:
        _, lock = exclusive._lock_in(service, "twelvefactor:orders:repair", "", lambda resource: resource.client)
        assert lock.holder() != NOBODY
        first.send_signal(signal.SIGKILL)
        first.wait(30)
        until(lambda: lock.holder() == NOBODY)  # the signal is passed on, and the service hears of the end
        lock.free()

    assert project("admin", "repair", DATABASE_URL=url, stdin="\n").status == 0


HOLDER = """
import sys
import twelvefactor as tf
from twelvefactor.admin_processes import exclusive

exclusive._LEASE = float(sys.argv[2])
service = tf.Service("orders", environ={"LOG_FORMAT": "json"})
service.attach(tf.RedisURL(sys.argv[1]))
with exclusive.held(service, sys.argv[3], "repair by jo", None):
    print("held", file=sys.stderr, flush=True)
    sys.stdin.readline()
"""


class TestLease:
    """In Redis the lock is a lease, and a real process holds it."""

    @pytest.fixture
    def lock(self, redis_url):
        """Take the lock in this process; gives the name that the lock is under, and who holds it, or None."""
        name = f"lease-{uuid4().hex[:8]}"
        with service_on(redis_url) as service:

            def take():
                try:
                    with exclusive.held(service, name, "the second", None):
                        return None
                except tf.exceptions.LockHeld as error:
                    return str(error)

            take.name = name
            yield take

    @pytest.fixture
    def holder(self, redis_url, lock, request):
        """A process that holds the lock by a lease of so many seconds."""
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, redis_url, str(request.param), lock.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as process:
            assert "held\n" in process.stderr  # a holder that was slow may have said on stdout that it lost it
            yield process
            process.kill()

    @pytest.mark.parametrize("holder", [3.0], indirect=True)
    def test_it_is_renewed_while_its_holder_lives_and_runs_out_when_it_is_killed(self, holder, lock, redis_url):
        """
        The lease gets longer again before it ends; free soon after a SIGKILL, of which nobody was told.
        """
        with redis.Redis.from_url(redis_url) as client:
            (key,) = client.keys(f"*{lock.name}*")
            left = [client.pttl(key)]
            until(lambda: left.append(client.pttl(key)) or left[-1] > left[-2])
        assert "repair by jo holds its lock" in lock()

        holder.kill()
        until(lambda: lock() is None)

    @pytest.mark.parametrize("holder", [0.5], indirect=True)
    def test_a_holder_that_stood_still_is_told_that_it_lost_it(self, holder, lock):
        """
        Its lease ran out while it was stopped; going on, it says so, and takes nothing from the next one.
        """
        holder.send_signal(signal.SIGSTOP)
        until(lambda: lock() is None)
        holder.send_signal(signal.SIGCONT)

        event = json.loads(holder.stdout.readline())
        holder.communicate("\n", timeout=30)

        assert (event["event"], event["name"]) == ("twelvefactor.admin.lock_lost", lock.name)
        assert holder.returncode == 0


def until(condition, seconds=30):
    waiting = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        waiting.wait(0.05)
    raise AssertionError("it did not happen")


def test_without_a_place_for_the_lock_it_is_refused(project):
    """
    With what would do.
    """
    done = project(SOURCE)("admin", "repair")

    assert (done.status, "needs PostgreSQL, MySQL or Redis" in done.err) == (64, True)


class TestRecorded:
    """Each run is in the ledger: who, release, arguments, outcome, duration."""

    SOURCE = """
@service.admin
def greet(name: str, api_token: str = "") -> None:
    print(name)

@service.admin
def fail() -> None:
    raise ValueError
"""

    @pytest.fixture
    def recorded(self, project, tmp_path):
        project = project(self.SOURCE)
        project.environ = {"DATABASE_URL": f"sqlite:///{tmp_path}/ledger.db", "TWELVEFACTOR_ACTOR": "jo"}
        assert project("release", "init", **project.environ).status == 0
        return project

    def runs(self, project):
        done = project("release", "list", "--runs", "--format", "json", **project.environ)
        return json.loads(done.out)

    def test_a_run_and_its_end(self, recorded):
        """
        The newest first; a secret is masked.
        """
        recorded("admin", "greet", "--name", "jo", "--api-token", "tell-nobody", **recorded.environ)

        ended, started = self.runs(recorded)

        assert (started["kind"], ended["kind"], started["name"]) == ("run.started", "run.ended", "greet")
        assert started["facts"]["arguments"] == {"name": "jo", "api_token": "********"}
        assert (ended["facts"]["who"], ended["facts"]["outcome"]) == ("jo", "ok")
        assert ended["facts"]["run"] == started["facts"]["run"]
        assert ended["facts"]["seconds"] >= 0

    def test_one_that_fails(self, recorded):
        """
        Its outcome and the kind of error, not its text.
        """
        recorded("admin", "fail", **recorded.environ)

        assert [each["facts"].get("error") for each in self.runs(recorded)] == ["ValueError", None]

    def test_an_older_release_is_found(self, recorded):
        """
        TF1203: the newest recorded one came later.
        """
        recorded("release", "record", GIT_SHA="old", **recorded.environ)
        recorded("release", "record", GIT_SHA="new", **recorded.environ)

        old = recorded("admin", "greet", "--name", "x", GIT_SHA="old", **recorded.environ)
        new = recorded("admin", "greet", "--name", "x", GIT_SHA="new", **recorded.environ)
        newer = recorded("admin", "greet", "--name", "x", GIT_SHA="newer", **recorded.environ)

        found = [
            [e["rule"] for e in done.named("twelvefactor.finding") if e["rule"] == "TF1203"]
            for done in (old, new, newer)
        ]
        assert found == [["TF1203"], [], []]

    def test_a_broken_ledger_keeps_nothing_from_running(self, recorded, tmp_path):
        """
        The admin process may be the repair.
        """
        (tmp_path / "ledger.db").write_bytes(b"no database at all, but long enough to be looked at" * 100)

        done = recorded("admin", "greet", "--name", "x", **recorded.environ)

        assert (done.status, done.out, len(done.named("twelvefactor.ledger.unreadable"))) == (0, "x\n", 1)
