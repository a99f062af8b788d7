"""What a stream takes over at start, each with its way back."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any, Protocol

from twelvefactor.logs import tap
from twelvefactor.logs.records import EventHandler, told_by_adapter

if TYPE_CHECKING:
    from twelvefactor.logs.stream import EventStream

ACCESS_LOGGERS = (
    "uvicorn.access",
    "gunicorn.access",
    "hypercorn.access",
    "granian.access",
    "aiohttp.access",
    "django.server",
)
"""The servers' own access logs; the event ``request`` replaces them."""


ERROR_LOGGERS = (
    "uvicorn.error",
    "gunicorn.error",
    "hypercorn.error",
    "_granian",
    "waitress",
)
"""Where the servers report an exception that the app let through."""


class Takeover(Protocol):
    """Something of the process that the stream takes over; both ways are idempotent."""

    def install(self) -> None:
        """Take it over."""

    def remove(self) -> None:
        """Give it back."""


def takeovers(stream: EventStream) -> tuple[Takeover, ...]:
    """All that *stream* takes over, in order; given back in reverse."""
    from twelvefactor.logs.carry import Carry
    from twelvefactor.logs.prints import Prints

    return (
        Buffering(),
        AccessLogs(),
        ServerErrors(),
        Records(stream),
        Warnings(stream),
        Uncaught(stream),
        Carry(),
        Prints(stream),
    )


class ServerErrors:
    """
    What an adapter told already, with the request's ids, a server does not tell again, wherever it writes.

    hypercorn sets the handlers of its logger past the logger, so that only a filter of the logger sees its records.
    """

    def install(self) -> None:
        """Leave those records out."""
        for name in ERROR_LOGGERS:
            logging.getLogger(name).addFilter(_is_news)

    def remove(self) -> None:
        """Let them in again."""
        for name in ERROR_LOGGERS:
            logging.getLogger(name).removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return not told_by_adapter(record)


class Buffering:
    """What others write to stdout leaves at the end of each line."""

    def __init__(self) -> None:
        self._out: Any = None

    def install(self) -> None:
        """Put out what is held back, and hold nothing back from now on, where the stream can do that."""
        out = sys.stdout
        if out is None:
            return
        out.flush()
        if not getattr(out, "line_buffering", True) and hasattr(out, "reconfigure"):
            try:
                out.reconfigure(line_buffering=True)
                self._out = out
            except (OSError, ValueError):
                pass  # TF1104 tells

    def remove(self) -> None:
        """Buffer as before."""
        out, self._out = self._out, None
        if out is not None and not out.closed:
            out.reconfigure(line_buffering=False)


class Records:
    """
    Every record of the standard library goes to the stream, once.

    A handler that writes to the console has a stand-in as long as the stream is installed, so that a server's set-up,
    which often also stops propagation, neither doubles a line nor keeps one.
    """

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._handler = EventHandler(stream)
        self._stand_ins: list[tuple[logging.Logger, logging.Handler, EventHandler]] = []
        self._levels: dict[logging.Logger, int] = {}

    def install(self) -> None:
        """Hang on the root logger, and stand in for the console handlers there are."""
        for logger in tap.loggers():
            for handler in list(logger.handlers):
                wanted = self.coming(logger, handler)
                if wanted is not handler:
                    tap.replace(logger, handler, wanted)
        tap.add(logging.getLogger(), self._handler)
        self.relevel()
        tap.watch(self)

    def remove(self) -> None:
        """Put the console handlers back, and the levels."""
        tap.unwatch(self)
        tap.remove(logging.getLogger(), self._handler)
        for logger, handler, stand_in in self._stand_ins:
            if stand_in in logger.handlers:
                tap.replace(logger, stand_in, handler)
        self._stand_ins.clear()
        for logger, level in self._levels.items():
            logger.setLevel(level)
        self._levels.clear()

    def relevel(self) -> None:
        """Set the levels of the standard library's loggers to those of the stream."""
        levels = self._stream.levels
        for name, level in {"": levels.default, **levels.own}.items():
            logger = logging.getLogger(name or None)
            self._levels.setdefault(logger, logger.level)
            logger.setLevel(level)

    def coming(self, logger: logging.Logger, handler: logging.Handler) -> logging.Handler:
        """A stand-in for a handler that writes to the console."""
        if not is_console(handler):
            return handler
        stand_in = EventHandler(self._stream, handler.level)
        stand_in.filters = list(handler.filters)
        self._stand_ins.append((logger, handler, stand_in))
        return stand_in

    def going(self, logger: logging.Logger, handler: logging.Handler) -> logging.Handler | None:
        """The stand-in of *handler*; the stream's own handler stays until the stream goes."""
        if handler is self._handler:
            return None
        for number, (where, original, stand_in) in enumerate(self._stand_ins):
            if where is logger and handler in (original, stand_in):
                del self._stand_ins[number]
                return stand_in
        return handler


def is_console(handler: logging.Handler) -> bool:
    """Whether *handler* writes to stdout or stderr."""
    if isinstance(handler, logging.FileHandler):
        return False
    if isinstance(handler, logging.StreamHandler):
        stream = getattr(handler.stream, "twelvefactor_original", handler.stream)
        consoles = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
        return stream is not None and any(stream is getattr(each, "twelvefactor_original", each) for each in consoles)
    return type(handler).__module__ == "rich.logging"


class AccessLogs:
    """The servers' own access logs are off, also where a server sets them up again."""

    def __init__(self) -> None:
        self._before: dict[logging.Logger, tuple[list[logging.Handler], bool]] = {}
        self._filter = _Nothing()

    def install(self) -> None:
        """Turn them off."""
        for name in ACCESS_LOGGERS:
            logger = logging.getLogger(name)
            self._before[logger] = (list(logger.handlers), logger.propagate)
            for handler in list(logger.handlers):
                tap.remove(logger, handler)
            logger.propagate = False  # a server asks whether anybody listens, and saves the work
            logger.addFilter(self._filter)
        logging.getLogger("werkzeug").addFilter(_is_no_access_line)
        tap.watch(self)

    def remove(self) -> None:
        """Turn them on again."""
        tap.unwatch(self)
        for logger, (handlers, propagate) in self._before.items():
            logger.removeFilter(self._filter)
            logger.propagate = propagate
            for handler in handlers:
                tap.add(logger, handler)
            added = [each for each in logger.handlers if each not in handlers]
            logger.handlers[:] = [*(each for each in handlers if each in logger.handlers), *added]
        self._before.clear()
        logging.getLogger("werkzeug").removeFilter(_is_no_access_line)

    def coming(self, logger: logging.Logger, handler: logging.Handler) -> logging.Handler | None:
        """No handler for an access log, but a test's or a user's own that is no console."""
        if logger not in self._before or not is_console(handler):
            return handler
        self._before[logger][0].append(handler)
        return None

    def going(self, logger: logging.Logger, handler: logging.Handler) -> logging.Handler | None:  # noqa: ARG002 - asked of all
        """Whatever goes, goes."""
        return handler


class _Nothing(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - logging's signature
        return False


def _is_no_access_line(record: logging.LogRecord) -> bool:
    """The server werkzeug says requests and everything else by one logger."""
    return not (record.levelno == logging.INFO and " - - [" in str(record.msg))


class Warnings:
    """Warnings are events."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._before: Any = None

    def install(self) -> None:
        """Show warnings on the stream."""
        self._before = warnings.showwarning
        warnings.showwarning = self._show

    def remove(self) -> None:
        """Show warnings as before."""
        if self._before is not None and warnings.showwarning == self._show:
            warnings.showwarning = self._before
        self._before = None

    def _show(  # noqa: PLR0917 - the signature of `warnings.showwarning`
        self,
        message: Any,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        if file is not None:
            self._before(message, category, filename, lineno, file, line)
            return
        fields = {"category": category.__name__, "where": f"{filename}:{lineno}"}
        self._stream.say("warning", "py.warnings", str(message), {}, fields)


class Uncaught:
    """An exception that nobody caught is an event: of the main thread, of another one, of a finaliser."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._before: tuple[Any, Any, Any] | None = None
        self._ours = (self._main, self._thread, self._unraisable)

    def install(self) -> None:
        """Hook in."""
        self._before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
        sys.excepthook, threading.excepthook, sys.unraisablehook = self._ours

    def remove(self) -> None:
        """Unhook, unless somebody hooked in after us."""
        if self._before is None:
            return
        main, thread, unraisable = self._before
        self._before = None
        if sys.excepthook is self._ours[0]:
            sys.excepthook = main
        if threading.excepthook is self._ours[1]:
            threading.excepthook = thread
        if sys.unraisablehook is self._ours[2]:
            sys.unraisablehook = unraisable

    def _main(self, kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        if self._before is not None and (
            issubclass(kind, KeyboardInterrupt) or self._before[0] is not sys.__excepthook__
        ):
            self._before[0](kind, error, traceback)
            if issubclass(kind, KeyboardInterrupt):
                return
        self._say({"where": "main thread", "exc_info": error.with_traceback(traceback)}, (kind, error, traceback))

    def _say(self, fields: dict[str, Any], what: tuple[Any, Any, Any]) -> None:
        lost = self._stream.lost
        self._stream.emit("critical", "twelvefactor.uncaught", fields)
        if self._stream.lost != lost:
            sys.__excepthook__(*what)  # the stream is gone; stderr may not be

    def _thread(self, what: threading.ExceptHookArgs) -> None:
        if what.exc_type is SystemExit or what.exc_value is None:
            return
        name = what.thread.name if what.thread is not None else None
        fields = {"where": "thread", "thread": name, "exc_info": what.exc_value}
        self._say(fields, (what.exc_type, what.exc_value, what.exc_traceback))

    def _unraisable(self, what: Any) -> None:
        about = what.err_msg or "exception ignored in"
        fields = {"where": "unraisable", "about": f"{about} {what.object!r}", "exc_info": what.exc_value}
        self._stream.emit("error", "twelvefactor.unraisable", fields)
