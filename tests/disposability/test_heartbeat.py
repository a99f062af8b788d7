"""A process without HTTP says that it lives, and stops saying so when it is stuck."""

import io
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from twelvefactor import probe
from twelvefactor._core.clock import SYSTEM_CLOCK
from twelvefactor.disposability.heartbeat import Heartbeat
from twelvefactor.disposability.turns import Turns
from twelvefactor.service import Service
from twelvefactor.testing.engines import free_port
from twelvefactor.work import InFlight

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import asyncio, os, sys, threading, time
import twelvefactor as tf

service = tf.Service("worker")


async def work():
    with service.work("message", "one"):
        pass
    os.write(1, b"up\\n")
    while await asyncio.to_thread(sys.stdin.readline) and {act}:
        pass


asyncio.run(work())
"""


LOADED = """
import runpy, sys
sys.argv[1:] = ["probe"]
try:
    runpy.run_module("twelvefactor", run_name="__main__")
except SystemExit:
    print(*{each.partition(".")[0] for each in sys.modules})
"""


class Quiet:
    """A process that only beats."""

    def __init__(self, path):
        self.environ = {"TWELVEFACTOR_HEARTBEAT": str(path)}
        self.clock = SYSTEM_CLOCK
        self.in_flight = InFlight()
        self.faults = []

    def fault(self, where, error):
        self.faults.append((where, error))


@pytest.fixture
def beat(tmp_path):
    return tmp_path / "beat"


@pytest.fixture
def start(beat):
    running = []

    def begin(code, **environ):
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TWELVEFACTOR_HEARTBEAT": str(beat), **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        for line in process.stdout:
            if line.strip() == "up":
                return process
        raise AssertionError("it never came up")

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def ask(beat, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "twelvefactor", "probe", "--heartbeat", str(beat), *arguments],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.returncode, done.stdout.strip() or done.stderr


def wait_until(status, beat, *arguments):
    """The probe's answer, once it is *status*."""
    ends = time.monotonic() + 15
    while (answer := judge(beat, *arguments))[0] != status:
        assert time.monotonic() < ends, answer
        time.sleep(0.1)
    return answer


def judge(beat, max_age=2.5, ready=False):
    return probe.judge(str(beat), max_age, ready=ready, now=time.monotonic())


def test_a_worker_whose_loop_turns_beats_and_one_that_is_stuck_does_not(start, beat):
    """
    The loop blocks after its first message: the thread that beats goes on, the beat does not.
    """
    worker = start(WORKER.format(act="time.sleep(60) is None"))
    assert ask(beat, "--ready", "--max-age", "5")[0] == 0
    worker.stdin.write("block\n")
    worker.stdin.flush()

    status, why = wait_until(1, beat)

    assert worker.poll() is None
    assert re.fullmatch(rf"the last beat of process {worker.pid} is \d+\.\d s old, of 2\.5 s", why)


def test_a_killed_worker_is_stale_and_a_stopped_one_leaves_no_file(start, beat):
    """
    Killed, its file stays and gets old; ended, there is none.
    """
    killed = start(WORKER.format(act="True"))
    killed.kill()
    killed.wait()
    assert wait_until(1, beat, 1)[1].startswith("the last beat")
    ended = start(WORKER.format(act="True"))
    assert judge(beat, 60)[0] == 0
    ended.communicate("", timeout=20)

    assert judge(beat) == (1, f"no heartbeat in {beat}")


def test_a_loop_that_beats_by_hand_must_go_on(beat):
    """
    With work in hand that has time left it may be silent.
    """
    process = Quiet(beat)
    process.turns = Turns(process.clock, process.in_flight)
    heart = Heartbeat(process)
    assert heart.alive
    process.turns.turned("loop", within=0, works=True)
    assert not heart.alive
    with process.in_flight.work("job", "long") as work:
        assert heart.alive
        work.deadline = process.clock.monotonic() - 1
        assert not heart.alive


def test_of_several_loops_each_must_turn():
    """
    One that ended is not missed, nor is any in a forked child, nor while the process stops.
    """
    stops = []
    hands = InFlight(stop_early=lambda: bool(stops))
    turns = Turns(hands.clock, hands)
    turns.turned("mail", within=0)
    turns.turned("news")
    turns.turned("chat", within=None)
    assert turns.stuck == "mail"
    with hands.work("job", "long"):
        assert turns.stuck == "mail"
    stops.append("SIGTERM")
    assert turns.stuck is None
    stops.clear()
    turns.ended("mail")
    turns.ended("mail")
    assert turns.stuck is None
    turns.turned("news", within=0)
    turns.forget()
    assert turns.stuck is None


def test_the_file_is_the_first_living_processs(beat):
    """
    A forked child does not beat for its parent; where that is gone, somebody else may.
    """
    beat.write_bytes(probe.line(os.getppid(), "ready", 1.0))
    heart = Heartbeat(Quiet(beat))
    heart.install()
    assert probe.read(str(beat))[1] == os.getppid()
    heart.remove()
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    beat.write_bytes(probe.line(gone.pid, "ready", 1.0))
    heart.install()
    assert probe.read(str(beat))[1] == os.getpid()
    heart.remove()
    assert not beat.exists()


def test_a_file_that_cannot_be_written_is_one_fault(tmp_path):
    """
    A root file system that is read-only, a link that somebody else put there: the process goes on.
    """
    (tmp_path / "target").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    process = Quiet(tmp_path / "link")
    heart = Heartbeat(process)
    heart.install()
    heart.beat_once()
    heart.remove()

    assert [where for where, _ in process.faults] == [f"heartbeat {tmp_path / 'link'}"]
    assert (tmp_path / "target").read_text() == "precious"


def test_the_probe_says_why(beat):
    """
    Fresh, draining, old, of another boot, no beat at all.
    """
    beat.write_bytes(probe.line(7, "draining", 100.0))

    assert judge_at(beat, 101.5) == (0, "process 7 is draining, 1.5 s ago")
    assert judge_at(beat, 101.5, ready=True) == (1, "process 7 is draining")
    assert judge_at(beat, 140.0) == (1, "the last beat of process 7 is 40.0 s old, of 30 s")
    assert judge_at(beat, 5.0) == (1, "the beat is of another boot")
    beat.write_text("nonsense")
    assert judge_at(beat, 5.0)[0] == 1


def processor(went_well):
    """Seconds of the processor that the processes took which *went_well* starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert went_well()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def judge_at(beat, now, ready=False):
    return probe.judge(str(beat), 30.0, ready=ready, now=now)


def test_wrong_usage_is_told(beat):
    """
    Exit status 64; help is 0.
    """
    assert ask(beat, "--max-age", "soon")[0] == 64
    assert ask(beat, "--nonsense")[0] == 64
    assert ask(beat, "--help")[0] == 0


def test_the_management_port_can_be_asked_instead(monkeypatch):
    """
    The same questions to /livez and /readyz.
    """
    monkeypatch.setattr(probe, "_TIMEOUT", 30.0)  # who answers are threads of this process, which may be busy
    port = free_port()
    service = Service("worker", environ={"TWELVEFACTOR_MANAGEMENT_PORT": str(port)}, stream=io.StringIO())
    service.start()
    assert probe.ask(port, ready=False)[0] == 0
    assert probe.ask(port, ready=True)[0] == 1
    service.ready()
    assert probe.ask(port, ready=True) == (0, "/readyz says HTTP/1.0 200 OK")
    service.beat("mail", within=0)
    assert probe.ask(port, ready=False)[0] == 1
    service.beat("mail")
    assert probe.ask(port, ready=False)[0] == 0
    service.close()
    assert probe.ask(port, ready=False)[0] == 1


def test_a_probe_is_quick_and_loads_the_standard_library_only(beat):
    """
    Four times the processor of a Python that does nothing at most, the best of three: a kubelet gives it one second, on
    a machine that is busy.
    """
    beat.write_bytes(probe.line(7, "ready", time.monotonic()))
    spent, nothing = [], []
    for _ in range(3):
        spent.append(processor(lambda: ask(beat)[0] == 0))
        nothing.append(processor(lambda: subprocess.run([sys.executable, "-c", "pass"], env={}).returncode == 0))
    done = subprocess.run(
        [sys.executable, "-c", LOADED], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())

    assert min(spent) < 4 * min(nothing)
    assert "twelvefactor" in loaded
    assert loaded & {"click", "pydantic", "structlog", "rich", "asyncio"} == set()
