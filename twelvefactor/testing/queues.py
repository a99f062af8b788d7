"""
Stop a real worker in the middle of its jobs, start another, and count what became of them.

The jobs write into a `Book`, a file that survives every kill; the drill reads there which were begun, done, done twice.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from twelvefactor.testing.servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_POLL = 0.02


class Book:
    """
    What jobs write down: one line each time one is begun and done. Safe for many processes at once.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     book = Book(folder + "/book")
    ...     with book.job(7):
    ...         pass
    ...     book.begun, book.done
    (Counter({'7': 1}), Counter({'7': 1}))
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def write(self, word: str, job: object) -> None:
        """Add a line; an append of this size is whole."""
        with self.path.open("ab", buffering=0) as book:
            book.write(f"{word} {job}\n".encode())

    @contextlib.contextmanager
    def job(self, job: object) -> Iterator[None]:
        """Write that *job* is begun, and that it is done where it ends well."""
        self.write("begun", job)
        yield
        self.write("done", job)

    def count(self, word: str) -> Counter[str]:
        """How often each job wrote *word*."""
        if not self.path.exists():
            return Counter()
        lines = (line.split(" ", 1) for line in self.path.read_text().splitlines())
        return Counter(line[1] for line in lines if line[0] == word)

    @property
    def begun(self) -> Counter[str]:
        """How often each job was begun."""
        return self.count("begun")

    @property
    def done(self) -> Counter[str]:
        """How often each job was done."""
        return self.count("done")

    def wait(self, until: Callable[[Self], bool], within: float) -> bool:
        """Wait until *until* holds of the book; False where it does not *within* so many seconds."""
        ends = time.monotonic() + within
        while not until(self):
            if time.monotonic() > ends:
                return False
            time.sleep(_POLL)
        return True


@dataclass(frozen=True)
class Stop:
    """
    How the worker is stopped.

    Attributes:
        grace: Seconds from SIGTERM to SIGKILL; the worker is told by `TWELVEFACTOR_GRACE_PERIOD`.
        after: Jobs that are begun before SIGTERM.
        into: Seconds that the last of them has run then.
        to_all: Whether every process of the worker gets it, as with systemd.
        twice: Whether it is sent again 0.3 s later, as Heroku does.
    """

    grace: float = 10.0
    after: int = 4
    into: float = 0.5
    to_all: bool = False
    twice: bool = False


@dataclass(frozen=True)
class Counted:
    """
    What became of the jobs.

    Attributes:
        never_done: Jobs that nobody did in the end.
        done_twice: Jobs that were done more than once.
        begun_twice: Jobs that were begun more than once.
        running: Jobs that ran at SIGTERM.
        cut: Of these, the ones that the worker did not end.
        seconds: From SIGTERM to the worker's end.
        status: Its exit status; -9 where the grace period was over.
        lasted: Seconds from the second worker's start to the last job.
    """

    never_done: int
    done_twice: int
    begun_twice: int
    running: int
    cut: int
    seconds: float
    status: int
    lasted: float


class QueueDrill:
    """
    Jobs on a real queue, and a worker of the caller's that is stopped while it does them.

    Args:
        worker: The command that starts it, ready or not.
        book: Where the jobs write.
        environ: For the worker.
        cwd: Where it runs.
    """

    def __init__(
        self,
        worker: Sequence[str],
        book: Book,
        *,
        environ: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> None:
        self.book = book
        self._worker = tuple(worker)
        self._environ = dict(environ or {})
        self._cwd = cwd
        self.first: Server
        self.second: Server

    def server(self, grace: float) -> Server:
        """A worker, not started yet."""
        environ = {**self._environ, "TWELVEFACTOR_GRACE_PERIOD": f"{grace:g}"}
        return Server(self._worker, environ=environ, cwd=self._cwd, ready=None)

    def run(
        self, jobs: int, stop: Stop, *, patience: float = 15.0, within: float = 60.0, nudge: Callable[[], object] = int
    ) -> Counted:
        """
        Stop the worker as *stop* says, let a second one do what is left, and count.

        Args:
            jobs: How many were sent.
            stop: How the first worker is stopped.
            patience: Seconds without progress after which nothing more is expected.
            within: Seconds for a worker to begin; the second one has half of it.
            nudge: Called every second, for queues that look after lost jobs only when there are new ones.

        Raises:
            TimeoutError: The first worker did not begin; what it said is in the message.
        """
        self.first = self.server(stop.grace)
        with self.first:
            if not self.book.wait(lambda book: len(book.begun) >= stop.after, within):
                raise TimeoutError(f"{len(self.book.begun)} jobs begun after {within:g} s: {self.first.tail(30)}")
            time.sleep(stop.into)
            running = set(self.book.begun) - set(self.book.done)
            seconds, status = self._stop(stop)
        cut = len(running - set(self.book.done))
        started = time.monotonic()
        self.second = self.server(stop.grace)
        with self.second:
            last = self._wait_for_all(jobs, patience, max(patience, within / 2), nudge)
        begun, done = self.book.begun, self.book.done
        return Counted(
            never_done=jobs - len(done),
            done_twice=sum(times > 1 for times in done.values()),
            begun_twice=sum(times > 1 for times in begun.values()),
            running=len(running),
            cut=cut,
            seconds=seconds,
            status=status,
            lasted=round(last - started, 1),
        )

    def _stop(self, stop: Stop) -> tuple[float, int]:
        began = time.monotonic()
        for delay in (0.0, 0.3) if stop.twice else (0.0,):
            time.sleep(delay)
            for pid in session_of(self.first.pid) if stop.to_all else [self.first.pid]:
                _signal(pid, signal.SIGTERM)
        try:
            status = self.first.process.wait(max(0.0, began + stop.grace - time.monotonic()))
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL
        seconds = time.monotonic() - began
        for pid in session_of(self.first.pid):
            _signal(pid, signal.SIGKILL)
        self.first.process.wait()
        return round(seconds, 1), status

    def _wait_for_all(self, jobs: int, patience: float, first: float, nudge: Callable[[], object]) -> float:
        seen, last, allowed = len(self.book.done), time.monotonic(), first
        nudged = last
        while (now := time.monotonic()) - last < allowed and seen < jobs:
            if len(self.book.done) > seen:
                seen, last, allowed = len(self.book.done), now, patience
            if now - nudged > 1:
                nudged = now
                nudge()
            time.sleep(_POLL)
        return last


def session_of(leader: int, proc: Path = Path("/proc")) -> list[int]:
    """The processes of the session that *leader* leads, itself first."""
    found = []
    for stat in proc.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(") ")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return sorted(found, key=lambda pid: (pid != leader, pid))


def _signal(pid: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)
