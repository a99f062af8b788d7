"""How the rules of factor XI are looked at."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from twelvefactor._core import audit
from twelvefactor._core.secrets import SECRETS
from twelvefactor.factor import Finding
from twelvefactor.logs import tap
from twelvefactor.logs.rules import TF1101, TF1102, TF1103, TF1104, TF1105
from twelvefactor.logs.watch import LEAKS, PRINTS
from twelvefactor.work import current_work

if TYPE_CHECKING:
    from types import FrameType

    from twelvefactor._core.process import Process, Sensor
    from twelvefactor.factor import Rule

_WRITING: Final = os.O_WRONLY | os.O_RDWR
_NO_FILES = ("/dev/", "/proc/self/fd/")  # /dev/stdout is the stream, /dev/null is nothing
_ROUTERS = frozenset(
    {"SysLogHandler", "HTTPHandler", "SMTPHandler", "SocketHandler", "DatagramHandler", "MemoryHandler"}
)
_ECHOES = frozenset({"click", "rich", "typer"})  # they print what the app told them to
_DATA_ON_STDOUT = frozenset({"admin", "shell"})
_OURS = __file__.rpartition("/")[0] + "/"


def sensors(process: Process) -> tuple[Sensor, ...]:
    """
    What watches *process* for factor XI; install them after the process's event stream.

    Each is installed and removed as often as one likes.
    """
    return (HandlerSensor(process), PrintSensor(process), BufferSensor(process), LeakSensor(process))


class HandlerSensor:
    """TF1101 and TF1103: looks at every handler of every logger, and at the log files that app code opens."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._looks = False

    def install(self) -> None:
        """Look at the handlers there are, then at those that come, and at what is opened."""
        if self._looks:
            return
        self._looks = True
        tap.watch(self)
        audit.listen(self._opened, "open")
        for logger in tap.loggers():
            for handler in list(logger.handlers):
                self._judge(logger, handler)
        self._process.evidence.looked(TF1101, at="the handlers of all loggers, and each *.log that app code opens")
        self._process.evidence.looked(TF1103, at="the handlers of all loggers")

    def remove(self) -> None:
        """Look no more."""
        self._looks = False
        tap.unwatch(self)
        audit.unlisten(self._opened)

    def coming(self, logger: logging.Logger, handler: logging.Handler) -> logging.Handler:
        """Judge a handler that comes."""
        self._judge(logger, handler)
        return handler

    def going(self, logger: logging.Logger, handler: logging.Handler) -> logging.Handler:  # noqa: ARG002 - asked of all
        """Whatever goes, goes."""
        return handler

    def _judge(self, logger: logging.Logger, handler: logging.Handler) -> None:
        filename = getattr(handler, "baseFilename", None)
        if isinstance(handler, logging.FileHandler) and isinstance(filename, str):
            if not filename.startswith(_NO_FILES):
                kind = type(handler).__name__
                _report(self._process, TF1101, f"{kind} of logger '{logger.name}' writes to {filename}", filename)
        elif _routes(handler):
            kind = f"{type(handler).__module__}.{type(handler).__qualname__}"
            _report(
                self._process, TF1103, f"logger '{logger.name}' routes its records by {kind}", f"{logger.name}:{kind}"
            )

    def _opened(self, event: str, args: tuple[Any, ...]) -> None:  # noqa: ARG002 - audit's signature
        path, mode, flags = args
        if not isinstance(path, (str, os.PathLike)):
            return
        name = os.fspath(path)
        if not isinstance(name, str) or not name.endswith(".log") or not _writes(mode, flags):
            return
        try:
            frame = self._process.app_code.frame()
            if frame is not None:
                _report(self._process, TF1101, f"app code opens {name} for writing", os.path.abspath(name), frame)  # noqa: PTH100 - no file is touched here
        except Exception as error:  # noqa: BLE001 - what an audit hook raises would stop the app's own act
            self._process.fault("logs: open", error)


def _writes(mode: str | None, flags: int) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool(flags & _WRITING)


def _routes(handler: logging.Handler) -> bool:
    """Whether *handler* is one of those that carry records to somewhere else."""
    kinds = {kind.__name__ for kind in type(handler).__mro__ if kind.__module__ == "logging.handlers"}
    if kinds & _ROUTERS:
        return True
    return type(handler).__name__ == "AdminEmailHandler" and _django_has_admins()


def _django_has_admins() -> bool:
    """Django hangs its mail handler on by default, and it sends nothing while nobody is to get it."""
    conf = sys.modules.get("django.conf")
    try:
        return bool(conf is not None and conf.settings.ADMINS)
    except Exception:  # noqa: BLE001 - settings that are not configured
        return False


class PrintSensor:
    """TF1102: is told of each line that was printed and is no event."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """Listen, where stdout is the stream's."""
        from twelvefactor.logs.prints import PrintedLines

        evidence = self._process.evidence
        if self._process.process_type in _DATA_ON_STDOUT:
            evidence.does_not_apply(TF1102, f"the stdout of {self._process.process_type} processes is their own data")
        elif isinstance(sys.stdout, PrintedLines):
            PRINTS.add(self._printed)
            evidence.looked(TF1102, at="each line printed to sys.stdout")
        else:
            evidence.could_not_look(TF1102, "sys.stdout is not the event stream's; start without replacing it")

    def remove(self) -> None:
        """Listen no more."""
        PRINTS.remove(self._printed)

    def _printed(self, text: str) -> None:  # noqa: ARG002 - what is printed may be anybody's data
        frame = _printer()
        if frame is None:
            return
        app_code = self._process.app_code
        if app_code.owns(frame.f_code.co_filename, frame.f_globals.get("__name__")):
            culprit = _name_of(frame)
            _report(self._process, TF1102, f"{culprit} prints to stdout", culprit, frame)


def _printer() -> FrameType | None:
    """The frame that prints: the innermost that is neither ours, nor the standard library's, nor an echo."""
    frame: FrameType | None = sys._getframe(1)  # the public way is ten times slower  # noqa: SLF001
    while frame is not None:
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        foreign = module in _ECHOES or (module in sys.stdlib_module_names and module != "__main__")
        if not foreign and not frame.f_code.co_filename.startswith(_OURS):
            return frame
        frame = frame.f_back
    return None


class BufferSensor:
    """TF1104: looks whether what others write to stdout leaves at the end of a line."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._looked = False

    def install(self) -> None:
        """Look once."""
        if self._looked:
            return
        self._looked = True
        out = getattr(sys.stdout, "twelvefactor_original", sys.stdout)
        if out is None or getattr(out, "line_buffering", False) or getattr(out, "write_through", False):
            self._process.evidence.looked(TF1104, at="sys.stdout")
            return
        kind = f"{type(out).__module__}.{type(out).__qualname__}"
        _report(self._process, TF1104, f"sys.stdout is a {kind} that holds lines back", "sys.stdout")

    def remove(self) -> None:
        """Look again at the next start."""
        self._looked = False


class LeakSensor:
    """TF1105: is told when a known secret was masked on its way out, and names the line of code that said it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._inside = threading.local()

    def install(self) -> None:
        """Listen."""
        LEAKS.add(self._leaked)
        self._process.evidence.looked(TF1105, at=f"every event, for {len(SECRETS)} known secrets")

    def remove(self) -> None:
        """Listen no more."""
        LEAKS.remove(self._leaked)

    def _leaked(self) -> None:
        if getattr(self._inside, "telling", False):
            return  # the finding is an event too
        self._inside.telling = True
        try:
            frame = _caller(self._process)
            culprit = _name_of(frame) if frame is not None else "an unknown caller"
            _report(self._process, TF1105, f"{culprit} said a configured secret; it was masked", culprit, frame)
        finally:
            self._inside.telling = False


def _caller(process: Process) -> FrameType | None:
    """The frame of the app that says something, also where structlog says it from another thread; else a library's."""
    from structlog.contextvars import _ASYNC_CALLING_STACK

    frame = process.app_code.frame()
    awaiting: FrameType | None = _ASYNC_CALLING_STACK.get(None)
    while frame is None and awaiting is not None:
        if process.app_code.owns(awaiting.f_code.co_filename, awaiting.f_globals.get("__name__")):
            return awaiting
        awaiting = awaiting.f_back
    return frame or _raiser(process) or _printer()


def _raiser(process: Process) -> FrameType | None:
    """The innermost frame of the app that the exception in hand came through: an adapter tells what the app raised."""
    found, traceback = None, sys.exc_info()[2]
    while traceback is not None:
        frame = traceback.tb_frame
        if process.app_code.owns(frame.f_code.co_filename, frame.f_globals.get("__name__")):
            found = frame
        traceback = traceback.tb_next
    return found


def _name_of(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}"


def _report(process: Process, rule: Rule, message: str, culprit: str, frame: FrameType | None = None) -> None:
    work = current_work()
    frame = frame if frame is not None else process.app_code.frame()
    process.evidence.report(
        Finding(rule, message, culprit, where=process.app_code.where(frame), work=None if work is None else work.id)
    )
