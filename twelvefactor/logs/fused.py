"""
structlog's logger, with everything between the call and the line in one step.

A user sees stock structlog. While the list of processors is as we configured it, a call goes straight to the renderer;
with processors of the user's own, or under `structlog.testing.capture_logs`, it takes structlog's own way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import structlog

from twelvefactor.logs.levels import NAMES, NUMBERS, number_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor, WrappedLogger

    from twelvefactor.logs.stream import EventStream

_NOTHING: dict[str, Any] = {}


class Channel:
    """Where the loggers of one name put what they say: structlog's wrapped logger."""

    __slots__ = ("__weakref__", "name", "stream", "threshold")

    def __init__(self, stream: EventStream, name: str, threshold: int) -> None:
        self.stream = stream
        self.name = name
        self.threshold = threshold

    def msg(self, *args: Any, **fields: Any) -> None:
        """Write what a last processor made: a line, or the fields of an event."""
        if args:
            self.stream.put(args[0])
        else:
            level = str(fields.pop("level", "info"))
            self.stream.say(level, self.name, fields.pop("event", ""), _NOTHING, fields)

    log = debug = info = warn = warning = error = critical = exception = fatal = failure = err = msg

    def __repr__(self) -> str:
        return f"<Channel {self.name}>"


def render(logger: WrappedLogger, method_name: str, event_dict: EventDict) -> Any:
    """The last processor: makes the line. Usable behind processors of the user's own."""
    level = "error" if method_name == "exception" else "warning" if method_name == "warn" else method_name
    event = event_dict.pop("event", "")
    if isinstance(logger, Channel):
        return logger.stream.renderer.line(level, logger.name, event, _NOTHING, dict(event_dict))
    from twelvefactor.logs.stream import current_renderer

    return current_renderer().line(level, "", event, _NOTHING, dict(event_dict)).decode().rstrip("\n")


PROCESSORS: list[Processor] = [render]
"""The configured processors; this list, never another, so that whoever changes its contents changes every logger."""


def is_direct(processors: Any) -> bool:
    """Whether nothing stands between a call and the line."""
    return len(processors) == 1 and processors[0] is render


def interpolate(event: Any, args: tuple[Any, ...], fields: dict[str, Any]) -> Any:
    """*event* with its positional arguments; kept beside it where they do not fit."""
    try:
        if len(args) == 1 and isinstance(args[0], Mapping) and args[0]:
            return event % args[0]
        return event % args
    except Exception:  # noqa: BLE001 - a wrong format is said as it stands, never raised into the app
        fields.setdefault("positional_args", list(args))
        return event


def _nop(self: EventLogger, event: Any = None, *args: Any, **fields: Any) -> None:
    """A level that nobody wants to hear."""


async def _anop(self: EventLogger, event: Any = None, *args: Any, **fields: Any) -> None:
    """A level that nobody wants to hear."""


def _method(name: str, number: int) -> Callable[..., Any]:
    def method(self: EventLogger, event: Any = None, *args: Any, **fields: Any) -> None:
        channel = self._logger
        if channel.threshold > number:
            return
        if args:
            event = interpolate(event, args, fields)
        processors = self._processors
        if len(processors) == 1 and processors[0] is render:
            channel.stream.say(name, channel.name, event, self._context, fields)
        else:
            self._proxy_to_logger(name, event, **fields)

    method.__name__ = method.__qualname__ = name
    return method


_Stock: Any = structlog.make_filtering_bound_logger(0)


def _amethod(name: str, number: int) -> Callable[..., Any]:
    stock = getattr(_Stock, f"a{name}")

    async def method(self: EventLogger, event: Any = None, *args: Any, **fields: Any) -> None:
        if self._logger.threshold > number:
            return
        if args:
            event = interpolate(event, args, fields)
        await stock(self, event, **fields)

    method.__name__ = method.__qualname__ = f"a{name}"
    return method


_METHODS = {
    "debug": "debug",
    "info": "info",
    "msg": "info",
    "warning": "warning",
    "warn": "warning",
    "error": "error",
    "critical": "critical",
    "fatal": "critical",
}


class EventLogger(_Stock):  # type: ignore[misc]  # structlog makes its class at run time
    """A structlog bound logger on an event stream; each stream has a subclass of its own, with its own levels."""

    _logger: Channel
    _processors: Any
    _context: dict[str, Any]

    def _proxy_to_logger(self, method_name: str, event: Any = None, **fields: Any) -> Any:
        """Say it: directly, or through the processors of the user."""
        if is_direct(self._processors):
            channel = self._logger
            return channel.stream.say(method_name, channel.name, event, self._context, fields)
        return super()._proxy_to_logger(method_name, event, **fields)

    def log(self, level: int, event: Any = None, *args: Any, **fields: Any) -> Any:
        """Say *event* at *level*, a number or a name."""
        number = number_of(level)
        if number < self._logger.threshold:
            return None
        if args:
            event = interpolate(event, args, fields)
        return self._proxy_to_logger(_name(number), event, **fields)

    async def alog(self, level: int, event: Any = None, *args: Any, **fields: Any) -> None:
        """Say *event* at *level* from another thread."""
        number = number_of(level)
        if number >= self._logger.threshold:
            await getattr(self, f"a{_name(number)}")(event, *args, **fields)

    def exception(self, event: Any = None, *args: Any, **fields: Any) -> Any:
        """Say *event* with the exception in hand."""
        fields.setdefault("exc_info", True)
        return self.error(event, *args, **fields)

    def is_enabled_for(self, level: int) -> bool:
        """Whether *level* is said."""
        return bool(level >= self._logger.threshold)

    def get_effective_level(self) -> int:
        """The lowest number that is said."""
        return self._logger.threshold

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._logger.name, dict(self._context))


def _name(number: int) -> str:
    from twelvefactor.logs.levels import name_of

    return NAMES.get(number) or name_of(number)


def _restore(name: str, context: dict[str, Any]) -> Any:
    """A pickled logger comes back on the stream of the process it comes back in."""
    return structlog.get_logger(name).bind(**context)


def logger_class() -> type[EventLogger]:
    """A logger class with levels of its own."""
    return type("EventLogger", (EventLogger,), {"__module__": __name__})


def set_floor(kind: type[EventLogger], floor: int) -> None:
    """Make the levels below *floor*, which no logger says, cost no more than the call."""
    for method, level in _METHODS.items():
        number = NUMBERS[level]
        silent = number < floor
        setattr(kind, method, _nop if silent else _SAY[level])
        setattr(kind, f"a{method}", _anop if silent else _ASAY[level])


_SAY = {name: _method(name, number) for name, number in NUMBERS.items()}
_ASAY = {name: _amethod(name, number) for name, number in NUMBERS.items()}
