"""TF802: app code that turns the process into a daemon, or that writes a PID file."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twelvefactor._core import origin
from twelvefactor._core.audit import listen, unlisten
from twelvefactor.concurrency.early import EarlyLooks
from twelvefactor.concurrency.rules import TF802
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from twelvefactor._core.process import Process


_forks: list[tuple[str, str]] = []
"""Who of the app forked last, and where: a fork of the process takes it along, its sensors it does not."""


def blamed(process: Process, frame: FrameType) -> tuple[str, str]:
    """The dotted name of the app's function that runs in *frame*, and its line."""
    name = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
    return name, process.app_code.where(frame)


class Daemons(EarlyLooks):
    """
    Did this process leave who started it?

    A daemon is a fork whose session is its own and whose ancestors have gone. A worker that a server forked has its
    parent still; the child of a supervisor too.
    """

    def install(self) -> None:
        """Look at how the process was started, and remember from now on where app code forks."""
        listen(self._forks, "os.fork", "os.forkpty")
        self._process.evidence.looked(TF802, "the session, the ancestors and the command line of this process")
        flag = asks_to_detach(sys.orig_argv)
        if flag is not None:
            message = f"the command line says {flag}: the process leaves who started it, or writes a PID file"
            self._process.evidence.report(Finding(TF802, message, flag))
        super().install()

    def remove(self) -> None:
        """Remember no more."""
        unlisten(self._forks)
        super().remove()

    def _forks(self, event: str, args: tuple[Any, ...]) -> None:
        del event, args
        try:
            frame = self._process.app_code.frame()
            if frame is not None:
                _forks[:] = [blamed(self._process, frame)]
        except Exception as error:  # noqa: BLE001 - the fork goes on
            self._process.fault("watching forks", error)

    def look(self) -> None:
        """One look at the session and the ancestors."""
        if not detached():
            return
        culprit, where = _forks[0] if _forks else ("os.setsid", "")
        message = "the process left the session and the parent that it was started with: it is a daemon"
        self._process.evidence.report(Finding(TF802, message, culprit, where))


def detached() -> bool:
    """Whether this process is a fork in a session of its own, that the process which was started has left alone."""
    if os.getpid() == origin.PID or os.getsid(0) == origin.SESSION:
        return False
    return origin.PID not in _ancestors()


def _ancestors() -> list[int]:
    """The process ids of the parent and of its parents."""
    found = [os.getppid()]
    while found[-1] > 1 and (parent := _parent_of(found[-1])):
        found.append(parent)
    return found


def _parent_of(pid: int) -> int:
    """The parent of *pid*; 0 where there is none, or nobody tells."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


_DETACHES = {
    "gunicorn": re.compile(r"--daemon$|--pid(=|$)|-p$|-D$"),
    "celery": re.compile(r"--detach$|-D$|--pidfile(=|$)"),
    "dramatiq": re.compile(r"--pid-file(=|$)"),
    "rq": re.compile(r"--pid(=|$)"),
    "uwsgi": re.compile(r"--daemonize2?(=|$)|--pidfile2?(=|$)"),
}
"""What the servers' and workers' own programs are told on the command line."""


def asks_to_detach(argv: Sequence[str]) -> str | None:
    """
    The option of a known program in *argv* that makes a daemon or a PID file; None where there is none.

    >>> asks_to_detach(["/usr/bin/python3", "/usr/bin/gunicorn", "-w", "2", "--daemon", "orders.service:app"])
    'gunicorn --daemon'
    >>> asks_to_detach(["python", "-m", "celery", "-A", "orders", "worker", "-D"])
    'celery -D'
    >>> asks_to_detach(["python", "manage.py", "migrate", "-D"])
    """
    for index, word in enumerate(argv[:3]):
        pattern = _DETACHES.get(Path(word).name)
        if pattern is not None:
            found = next((each for each in argv[index + 1 :] if pattern.match(each)), None)
            return None if found is None else f"{Path(word).name} {found.partition('=')[0]}"
    return None


_ENDINGS = (".pid", "_pid", "-pid", "/pid", "pidfile")
_WRITES = os.O_WRONLY | os.O_RDWR


class PidFiles(EarlyLooks):
    """
    Files that are named like a PID file and that app code opens to write.

    What is in them proves it; one that is gone, or that holds anything else, is none.
    """

    def __init__(self, process: Process) -> None:
        super().__init__(process)
        self._written: dict[str, tuple[str, str]] = {}

    def install(self) -> None:
        """Listen to files being opened."""
        listen(self._opened, "open", "os.rename")
        super().install()

    def remove(self) -> None:
        """Look once more, and listen no longer."""
        unlisten(self._opened)
        super().remove()
        self.look()

    def _opened(self, event: str, args: tuple[Any, ...]) -> None:
        path = args[1] if event == "os.rename" else args[0]
        if not isinstance(path, str) or not path.lower().endswith(_ENDINGS):
            return
        try:
            if event == "open" and not _writes(args[1], args[2]):
                return
            frame = self._process.app_code.frame()
            if frame is not None:
                self._written[str(Path(path).absolute())] = blamed(self._process, frame)
                self._process.in_flight.observe(self)  # until the end of a unit of work
        except Exception as error:  # noqa: BLE001 - the file is opened whatever we think of it
            self._process.fault("watching PID files", error)

    def look(self) -> None:
        """One look at what was written since the last."""
        written, self._written = self._written, {}
        for path, (culprit, where) in written.items():
            if holds_our_pid(Path(path)):
                message = f"{culprit} writes the PID file {Path(path).name}"
                self._process.evidence.report(Finding(TF802, message, culprit, where))


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & _WRITES)


def holds_our_pid(path: Path) -> bool:
    """Whether the first line of *path* is the number of this process, of one that it comes from, or of its child."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            line = file.readline(32).strip()
    except OSError:
        return False
    if not (line.isascii() and line.isdigit()):
        return False
    pid = int(line)
    return pid == os.getpid() or _parent_of(pid) == os.getpid() or (pid > 1 and pid in _ancestors())
