"""
Run any command, in any language, as a child that is stopped well: what a container's first process must do.

On SIGTERM a flag is raised that readiness in the child reads, the child serves on for the drain delay, then it gets its
SIGTERM, and SIGKILL when the grace period is nearly over. Orphans are reaped, other signals are passed on at once.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from twelvefactor.disposability.budget import Budget
from twelvefactor.disposability.flag import VARIABLE
from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)
_TICK, _LEAST = 5.0, 0.001  # seconds between two looks where no signal comes
_CHUNK = 4096
NOT_FOUND, NOT_EXECUTABLE = 127, 126  # what a shell says


class Runner:
    """
    The parent of one command.

    Args:
        command: The program and its arguments.
        environ: What the child's environment is made of, and where the budget is read from.
        say: Called with a line for people.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], say: Callable[[str], None]) -> None:
        if not command:
            raise UsageError("name the command to run: twelvefactor run -- uvicorn orders.service:app")
        self._command = list(command)
        self._environ = environ
        self._say = say
        self._budget = Budget.from_environ(environ)
        self._flag = _flag_path()
        self._child = 0
        self._early: list[int] = []  # signals that came before there was a child
        self._told: float | None = None
        self._forwarded = self._killed = False

    def run(self) -> int:
        """Run it to its end; its exit status, 128 and the signal's number where one ended it."""
        before = {each: signal.signal(each, self._pass_on) for each in _PASSED_ON}
        before[signal.SIGTERM] = signal.signal(signal.SIGTERM, self._on_sigterm)
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)  # so that it wakes us
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        woken = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            self._start()
            return self._wait(reader)
        except FileNotFoundError:
            self._say(f"{self._command[0]}: no such command")
            return NOT_FOUND
        except PermissionError:
            self._say(f"{self._command[0]}: may not be executed")
            return NOT_EXECUTABLE
        finally:
            signal.set_wakeup_fd(woken)
            reader.close()
            writer.close()
            for each, handler in before.items():
                signal.signal(each, handler)
            self._lower_flag()

    def _start(self) -> None:
        sys.stdout.flush()
        environ = {**self._environ, VARIABLE: str(self._flag)}
        default = [*_PASSED_ON, signal.SIGTERM, signal.SIGCHLD]
        self._own_group = sys.stdin is None or not sys.stdin.isatty()  # a terminal's stays its own
        command = _passing_sockets_on(self._command, environ)
        spawn = functools.partial(os.posix_spawnp, command[0], command, environ, setsigdef=default)
        self._child = spawn(setpgroup=0) if self._own_group else spawn()
        early, self._early = self._early, []
        for signum in early:
            self._send(signum)
        if self._told is not None:
            self._begin()

    # -- signals

    def _on_sigterm(self, _signum: int, _frame: object) -> None:
        """Only the first counts: Heroku repeats it."""
        if self._told is None:
            self._told = time.monotonic()
            if self._child:
                self._begin()

    def _begin(self) -> None:
        self._flag.touch()

    def _pass_on(self, signum: int, _frame: object) -> None:
        """A terminal's Ctrl-C reaches the child by itself where it shares our group."""
        if not self._child:
            self._early.append(signum)
        elif self._own_group or signum != signal.SIGINT:
            self._send(signum)

    def _send(self, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, signum)

    # -- waiting

    def _wait(self, signals: socket.socket) -> int:
        while True:
            status = self._reap()
            if status is not None:
                return status
            self._act()
            signals.settimeout(max(_LEAST, min(_TICK, self._next() - time.monotonic())))
            with contextlib.suppress(TimeoutError):
                signals.recv(_CHUNK)

    def _reap(self) -> int | None:
        """Every child that ended, orphans that became ours among them; the status once it is the command's."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return 0
            if pid == 0:
                return None
            if pid == self._child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code

    def _act(self) -> None:
        """Forward the signal once the delay is over, kill once the grace period nearly is."""
        if self._told is None:
            return
        since = time.monotonic() - self._told
        if not self._forwarded and since >= self._budget.drain:
            self._forwarded = True
            self._send(signal.SIGTERM)
        if not self._killed and since >= self._deadline:
            self._killed = True
            self._say(f"{self._command[0]} still ran after {since:.1f} s, and is killed")
            self._kill()

    @property
    def _deadline(self) -> float:
        return self._budget.grace - self._budget.flush / 2

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child, signal.SIGKILL) if self._own_group else os.kill(self._child, signal.SIGKILL)

    def _next(self) -> float:
        """When there is something to do without a signal."""
        if self._told is None:
            return float("inf")
        return self._told + (self._deadline if self._forwarded else self._budget.drain)

    def _lower_flag(self) -> None:
        with contextlib.suppress(OSError):
            self._flag.unlink()
        with contextlib.suppress(OSError):
            self._flag.parent.rmdir()


def _flag_path() -> Path:
    """In memory where there is any: a read-only root file system is normal."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    folder = tempfile.mkdtemp(prefix="twelvefactor-", dir=memory if os.access(memory, os.W_OK) else None)
    return Path(folder) / "draining"


_NAME_CHILD = "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); os.execvp(sys.argv[1], sys.argv[1:])"


def _passing_sockets_on(command: list[str], environ: Mapping[str, str]) -> list[str]:
    """
    *command*, and where the service manager passed sockets to us, what makes them the child's first.

    sd_listen_fds(3) has a process believe `LISTEN_FDS` only where `LISTEN_PID` is its own number, which nobody knows
    before it is born.
    """
    if not environ.get("LISTEN_FDS") or environ.get("LISTEN_PID") != str(os.getpid()):
        return command
    if shutil.which(command[0], path=environ.get("PATH")) is None:
        return command  # the spawn says what is wrong with it
    return [sys.executable, "-c", _NAME_CHILD, *command]
