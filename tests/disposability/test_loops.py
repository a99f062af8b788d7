"""The ways of holding a signal back, each with a real signal in a real process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.disposability.conftest import SOON

ROOT = Path(__file__).resolve().parents[2]
BLOCKED = "blocked main thread"  # it may never run the handler that would end a longer delay
WAYS = ["python handler", "asyncio", "uvloop", BLOCKED]


@pytest.fixture
def start():
    started = []

    def go(how):
        if how == "uvloop":
            pytest.importorskip("uvloop")
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(ROOT / "tests/disposability/loops.py"), how],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "LOG_LEVEL": "CRITICAL",
                "TWELVEFACTOR_MODE": "report",
                "TWELVEFACTOR_DRAIN_DELAY": "200ms" if how == BLOCKED else "20s",
                "TWELVEFACTOR_GRACE_PERIOD": "60s",
            },
        )
        started.append(process)
        line = process.stdout.readline()
        assert line == "ready\n", line
        return process

    yield go
    for process in started:
        process.kill()
        process.wait(SOON)
        process.stdout.close()


@pytest.mark.parametrize("how", WAYS)
def test_the_signal_is_held_back_until_the_delay_is_over(start, how):
    """
    The owner's handler runs once, when the drain is over; a repeated signal does not hurry it.
    """
    process = start(how)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGUSR2)  # the end of the delay

    assert process.stdout.readline() == "told stopping\n"
    assert process.stdout.read() == ""
    assert process.wait(SOON) == 0


@pytest.mark.parametrize("how", ["asyncio", "uvloop"])
def test_other_signals_reach_the_loop_while_sigterm_is_held_back(start, how):
    """
    Only SIGTERM is kept from the loop.
    """
    process = start(how)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGUSR1)

    assert process.stdout.readline() == "usr1\n"
