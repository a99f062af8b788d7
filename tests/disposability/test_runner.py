"""`twelvefactor run -- CMD`: any command as a child that is stopped well."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.disposability.conftest import SOON

ROOT = Path(__file__).resolve().parents[2]
SHELL = "trap 'echo told; exit 7' TERM; trap 'echo usr1' USR1; echo up; while :; do sleep 0.05; done"


@pytest.fixture
def start():
    started = []

    def go(*command, delay="0s", grace="20s"):
        process = subprocess.Popen(
            [sys.executable, "-m", "twelvefactor", "run", "--", *command],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env={**os.environ, "TWELVEFACTOR_DRAIN_DELAY": delay, "TWELVEFACTOR_GRACE_PERIOD": grace},
        )
        started.append(process)
        return process

    yield go
    for process in started:
        if process.poll() is None:
            process.terminate()  # it ends its child too
        process.wait(SOON)
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize(
    ("command", "status"),
    [(["true"], 0), (["sh", "-c", "exit 9"], 9), (["sh", "-c", "kill -9 $$"], 137), (["/nowhere/at-all"], 127)],
)
def test_the_commands_status_is_ours(start, command, status):
    """
    An exit status is passed on, a signal is 128 and its number, a command that is missing is 127.
    """
    assert start(*command).wait(SOON) == status


def test_a_file_that_may_not_be_executed_is_126(start, tmp_path):
    """
    As a shell says it.
    """
    (tmp_path / "script").write_text("#!/bin/sh\n")

    assert start(str(tmp_path / "script")).wait(SOON) == 126


def test_without_a_command_usage_is_said(start):
    """
    Status 64, and an example.
    """
    process = start()

    assert process.wait(SOON) == 64
    assert "twelvefactor run -- " in process.stderr.read()


def test_sigterm_is_forwarded_after_the_delay_with_the_flag_up(start):
    """
    The child is told late, and its environment names a file that exists meanwhile.
    """
    script = f"{SHELL.replace('echo up;', 'echo $TWELVEFACTOR_DRAIN_FLAG;')}"
    process = start("sh", "-c", script, delay="300ms")
    flag = Path(process.stdout.readline().strip())
    assert not flag.exists()
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)

    assert process.stdout.readline() == "told\n"
    assert process.wait(SOON) == 7
    assert not flag.parent.exists()


def test_other_signals_are_passed_on_at_once(start):
    """
    SIGUSR1 reaches the child, whose life goes on.
    """
    process = start("sh", "-c", SHELL)
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGUSR1)

    assert process.stdout.readline() == "usr1\n"


def test_a_child_that_will_not_end_is_killed_within_the_grace_period(start):
    """
    The whole group goes, and the platform's own SIGKILL never comes.
    """
    process = start("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done", grace="600ms")
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)

    assert process.wait(SOON) == 137
    assert "is killed" in process.stderr.read()


def test_signals_are_handled_as_at_the_start_of_a_process_in_the_child(start):
    """
    What the runner does with signals is not the child's business.
    """
    ignored = "import signal; print(signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL)"

    assert start(sys.executable, "-c", ignored).stdout.readline() == "True\n"


def test_the_flag_withdraws_readiness_in_the_child(new_service, tmp_path, signals, server):
    """
    A service under the runner drains as soon as the flag is up, and waits no second time when its signal comes.
    """
    flag = tmp_path / "draining"
    service = new_service(
        TWELVEFACTOR_DRAIN_FLAG=str(flag), TWELVEFACTOR_DRAIN_DELAY="1h", TWELVEFACTOR_GRACE_PERIOD="2h"
    )
    service.start()
    service.ready()
    assert service.readiness() == "ok"
    flag.touch()
    os.utime(flag, (flag.stat().st_atime, flag.stat().st_mtime - 3601))

    assert service.readiness() == "draining"
    signals.deliver()
    assert server.told.wait(SOON)


ACTIVATOR = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)  # where it was 3 already, nothing was duplicated
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "twelvefactor", "run", "--", *sys.argv[1:]])
"""
ACTIVATED = """
import os, socket
from twelvefactor.port_binding.binding import Binding
(told,) = Binding.from_environ(os.environ).open()
print(told.getsockname()[1] > 0, os.environ["LISTEN_PID"] == str(os.getpid()))
"""


def test_sockets_of_the_service_manager_are_the_childs():
    """
    `LISTEN_PID` names the child, which would take them for somebody else's otherwise.
    """
    done = subprocess.run(
        [sys.executable, "-c", ACTIVATOR, sys.executable, "-c", ACTIVATED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr


def test_a_command_that_is_missing_is_127_with_sockets_too():
    """
    The one in between does not hide it.
    """
    done = subprocess.run(
        [sys.executable, "-c", ACTIVATOR, "/nowhere/at-all"], cwd=ROOT, capture_output=True, text=True, timeout=30
    )

    assert (done.returncode, "no such command" in done.stderr) == (127, True)
