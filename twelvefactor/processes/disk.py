"""
TF603: what work wrote to the local disk and left there.

Every unit is watched, sampled or not: nothing is paid until a file is opened for writing, then one walk up the stack.
"""

from __future__ import annotations

import os
import stat
import sysconfig
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twelvefactor._core.audit import listen, unlisten
from twelvefactor.factor import Finding
from twelvefactor.processes.companions import Companion
from twelvefactor.processes.frames import direct, name_of
from twelvefactor.processes.rules import TF603
from twelvefactor.work import current_work

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from twelvefactor._core.process import Process
    from twelvefactor.processes.units import Unit
    from twelvefactor.work import Work

_EVENTS = ("open", "os.rename", "os.link", "os.symlink", "shutil.copyfile", "sqlite3.connect")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NOWHERE = ("/dev/", "/proc/", "/sys/")
_SQLITE = b"SQLite format 3\0"
_MOST = 256
_FOREIGN_UNITS = 2


@dataclass(slots=True)
class Write:
    """A file that was opened for writing, and by which line of the app."""

    path: str
    event: str
    where: str
    name: str
    direct: bool
    told: bool


class Disk(Companion):
    """The local disk, as the audit hook and the SQLite files that are open show it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.app_code = process.app_code
        self.noted: dict[Work, list[Write]] = {}
        self.on_noted: Callable[[], object] = bool
        self.databases: dict[str, tuple[int, int] | None] = {}
        self._foreign: dict[str, set[str]] = {}
        self._changed_by: dict[str, Write] = {}
        self._allowed = _allowed(process)
        self._libraries = _libraries()

    def install(self) -> None:
        """Listen. Idempotent."""
        listen(self._heard, *_EVENTS)
        self.process.evidence.looked(TF603, at="files that were opened for writing during work")

    def remove(self) -> None:
        """Listen no more. Idempotent."""
        unlisten(self._heard)
        self.noted.clear()

    def ready(self) -> None:
        """Find the SQLite files that are open already."""
        for path in filter(self._counts, _open_databases()):
            self.databases.setdefault(path, None)
        for path in self.databases:
            self.databases[path] = _state(path)

    # --- what the hook hears ---

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        """Quick, and never raises."""
        if event == "open" and not (type(args[2]) is int and args[2] & _WRITING):
            return
        work = current_work()
        if work is None and event != "sqlite3.connect":
            return
        try:
            self._note(event, args, work)
        except Exception as error:  # noqa: BLE001 - the act goes on whatever becomes of our note
            self.process.fault("processes: disk", error)

    def _note(self, event: str, args: tuple[Any, ...], work: Work | None) -> None:
        path = _path(args[0] if event in {"open", "sqlite3.connect"} else args[1])
        if path is None or not self._counts(path):
            return
        frame = self.app_code.frame()
        if event == "sqlite3.connect":
            if path not in self.databases:
                self.databases[path] = _state(path)
            self._remember_connection(path, frame)
        if work is None or work.closed or frame is None:
            return
        writes = self.noted.get(work)
        if writes is None:
            writes = self.noted[work] = []
            self.on_noted()
        if len(writes) < _MOST:
            writes.append(self._write(path, event, frame))

    def _write(self, path: str, event: str, frame: FrameType) -> Write:
        return Write(path, event, self.app_code.where(frame), name_of(frame), direct(frame), _told(path, frame))

    def _remember_connection(self, path: str, frame: FrameType | None) -> None:
        if frame is not None:
            self._changed_by.setdefault(path, self._write(path, "sqlite3.connect", frame))

    def _counts(self, path: str) -> bool:
        if path.startswith(_NOWHERE) or "/__pycache__/" in path or path.endswith(".pyc"):
            return False
        if path.startswith(self._libraries):
            return False
        return not any(fnmatch(path, pattern) for pattern in self._allowed)

    # --- judging ---

    def end(self, unit: Unit) -> None:
        """Judge the SQLite files; what was noted is judged for every unit, watched or not."""
        for path in list(self.databases):
            self._compare_database(path, unit.id)

    def _compare_database(self, path: str, unit: str) -> None:
        now = _state(path)
        if now != self.databases[path]:
            self.databases[path] = now
            if now is not None:
                self._report_database(path, unit)

    def over(self, work: Work) -> None:
        """*work* ended: what it wrote and left is a finding."""
        for write in self.noted.pop(work, ()):
            if write.event == "sqlite3.connect":
                self._compare_database(write.path, work.id)
                continue
            size = _left(write.path)
            if size is not None and (write.direct or self._again(write, work)):
                self._report(write, size, work)

    def _again(self, write: Write, work: Work) -> bool:
        """Other people's code may write a cache once; what it writes for unit after unit is the app's doing."""
        units = self._foreign.setdefault(write.where, set())
        if len(units) < _FOREIGN_UNITS:
            units.add(work.id)
        return len(units) >= _FOREIGN_UNITS

    def _report(self, write: Write, size: int, work: Work) -> None:
        file = write.path if write.told else f"a file ({Path(write.path).suffix or 'no suffix'})"
        self.process.evidence.report(
            Finding(
                TF603,
                f"{write.name} wrote {file} and it was still there when the work ended",
                culprit=write.name,
                where=write.where,
                evidence={"event": write.event, "size": size, "direct": write.direct, "works": [work.id]},
                work=work.id,
            )
        )

    def _report_database(self, path: str, unit: str) -> None:
        opener = self._changed_by.get(path)
        self.process.evidence.report(
            Finding(
                TF603,
                f"the SQLite file {Path(path).name} was written to during work",
                culprit=opener.name if opener is not None else f"sqlite:{Path(path).name}",
                where=opener.where if opener is not None else "",
                hint="Attach a database server, or allow the file with [tool.twelvefactor.processes] disk.",
                evidence={"event": "sqlite3.connect", "works": [unit]},
                work=unit,
            )
        )


def _path(value: Any) -> str | None:
    """An absolute path, or None for descriptors, databases in memory and what is no plain path."""
    if type(value) is bytes:
        value = value.decode(errors="surrogateescape")
    if Path in type(value).__mro__:
        value = os.fspath(value)
    if type(value) is not str or value in {"", ":memory:"} or "mode=memory" in value:
        return None
    if value.startswith("file:"):
        value = value[5:].partition("?")[0]
        if value in {"", ":memory:"}:
            return None
    return str(os.path.abspath(value))  # noqa: PTH100 - a string in, a string out


def _left(path: str) -> int | None:
    """The size of a regular file that is there, else None."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a string in
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _state(path: str) -> tuple[int, int] | None:
    """Size and time of change of a database and its write-ahead log; None while it is not there."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a string in
    except (OSError, ValueError):
        return None
    log = _left(f"{path}-wal") or 0
    return status.st_size + log, status.st_mtime_ns


def _told(path: str, frame: FrameType) -> bool:
    """Whether the file's name stands in the app's code, and is therefore nobody's data."""
    name = path.rpartition("/")[2]
    texts = [text for text in frame.f_code.co_consts if type(text) is str]
    for value in list(frame.f_globals.values()):
        if type(value) is str:
            texts.append(value)
        elif Path in type(value).__mro__:
            texts.append(os.fspath(value))
    return any(text.endswith(name) for text in texts)


def _open_databases() -> list[str]:
    """The SQLite files that this process has open."""
    found = []
    try:
        numbers = os.listdir("/proc/self/fd")  # noqa: PTH208 - names are enough
    except OSError:
        return []
    for number in numbers:
        try:
            path = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115 - a string in, a string out
            if path.startswith("/") and not path.startswith(_NOWHERE) and _is_database(path):
                found.append(path)
        except OSError:
            continue
    return found


def _is_database(path: str) -> bool:
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - a string in
        return False
    with open(path, "rb") as file:  # noqa: PTH123 - a string in
        return file.read(len(_SQLITE)) == _SQLITE


def _allowed(process: Process) -> tuple[str, ...]:
    table = process.declaration.get("processes")
    folders = table.get("disk") if type(table) is dict else None
    if type(folders) is str:
        folders = [folders]
    root = process.app_code.root or Path.cwd()
    patterns = [str(root / folder) for folder in folders or ()]
    return tuple(pattern for each in patterns for pattern in (each, each.rstrip("/") + "/*"))


def _libraries() -> tuple[str, ...]:
    """Where installed code and caches of libraries live: what is written there is theirs."""
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths.add(os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser()))
    return tuple(f"{path.rstrip('/')}/" for path in paths if path)
