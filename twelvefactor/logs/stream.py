"""The event stream of a process: what is said goes out, one line each, on stdout."""

from __future__ import annotations

import os
import weakref
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from twelvefactor._core.platform import instance
from twelvefactor.logs import fused
from twelvefactor.logs.levels import NUMBERS, number_of
from twelvefactor.logs.render import NOTHING, Renderer
from twelvefactor.logs.settings import Settings
from twelvefactor.logs.sink import STDERR, STDOUT, NonblockingSink, Sink

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Mapping
    from typing import BinaryIO, TextIO

    from twelvefactor._core.clock import Clock

_OWN_NAME = "twelvefactor"  # the logger of what the library says
_DATA_ON_STDOUT = frozenset({"admin", "shell"})  # their stdout is the command's own data
_FIRST = ("service", "release", "process_type", "instance")  # fields of the process, in the order of every line
_streams: weakref.WeakSet[EventStream] = weakref.WeakSet()
_configured: list[EventStream] = []
_installed: list[EventStream] = []


class EventStream:
    """
    The event stream of one service. Thread-safe, also in signal handlers, after a fork and at exit.

    What it is asked to say is said, or counted as lost; nothing that it does raises into the app.

    Args:
        service: The service's name.
        environ: Where ``LOG_LEVEL`` and its like are read from.
        stream: Where events go instead of stdout.
        clock: The time that lines carry; the machine's own by default.

    >>> import io
    >>> out = io.StringIO()
    >>> stream = EventStream("orders", environ={}, stream=out)
    >>> stream.logger().info("paid", order=7)
    >>> '"event":"paid"' in out.getvalue()
    True
    """

    def __init__(
        self,
        service: str,
        *,
        environ: Mapping[str, str],
        stream: TextIO | BinaryIO | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.service = service
        self.environ = environ
        self.settings = Settings.read(environ)
        self.levels = self.settings.levels
        self._stream = stream
        self._clock = clock
        self._channels: weakref.WeakValueDictionary[str, fused.Channel] = weakref.WeakValueDictionary()
        self._class = fused.logger_class()
        self._takeovers: list[Any] = []
        self._structlog_before: dict[str, Any] | None = None
        self.renderer = make_renderer(service, None, self.settings, environ, clock)
        self._instance = self.renderer.base["instance"]
        self.sink = self._make_sink(STDOUT)
        self._choose_format()
        self._relevel()
        self._own = self._channel(_OWN_NAME)
        self._own_log = self._class(self._own, fused.PROCESSORS, {})
        _streams.add(self)

    # -- the moments of a process

    def configure(self) -> None:
        """Make this the stream of ``structlog.get_logger()``, and touch nothing else; idempotent."""
        if self._structlog_before is None:
            self._structlog_before = structlog.get_config() | {"is_configured": structlog.is_configured()}
        structlog.configure(
            processors=fused.PROCESSORS,
            wrapper_class=self._class,
            context_class=dict,
            logger_factory=self._channel_for,
            cache_logger_on_first_use=True,
        )
        _configured[:] = [*(each for each in _configured if each is not self), self]

    def install(self) -> None:
        """
        Take over what the process says: records, warnings, uncaught exceptions, what is printed; idempotent.

        Where another stream of this process was installed before, that one keeps all this.
        """
        if self._takeovers or _installed:
            return
        _installed.append(self)
        self.sink.flush()
        from twelvefactor.logs.takeover import takeovers

        for each in takeovers(self):
            self._guard(each.install)
            self._takeovers.append(each)
        for problem in self.settings.problems:
            self.emit("warning", "twelvefactor.logs.setting", {"problem": problem})

    def uninstall(self) -> None:
        """Undo all of `install`; idempotent."""
        while self._takeovers:
            self._guard(self._takeovers.pop().remove)
        if self in _installed:
            _installed.remove(self)

    def flush(self) -> None:
        """Put out what is held back; never raises."""
        for each in self._takeovers:
            flush = getattr(each, "flush", None)
            if flush is not None:
                self._guard(flush)
        self.sink.flush()

    def close(self) -> None:
        """Undo everything, also what `configure` did; idempotent. What is said later still goes out."""
        self.flush()
        self.uninstall()
        self.sink.close()
        before, self._structlog_before = self._structlog_before, None
        _configured[:] = [each for each in _configured if each is not self]
        if before is not None and structlog.get_config()["wrapper_class"] is self._class:
            is_configured = before.pop("is_configured")
            structlog.configure(**before) if is_configured else structlog.reset_defaults()

    # -- saying something

    def logger(self, name: str | None = None) -> Any:
        """A structlog logger on this stream, named *name* or after the service."""
        return self._class(self._channel(name or self.service), fused.PROCESSORS, {})

    def emit(self, level: str, event: str, fields: dict[str, Any]) -> None:
        """Say *event* with *fields*, for the library's own use; never raises."""
        try:
            if NUMBERS[level] < self._own.threshold:
                return
            if fused.is_direct(fused.PROCESSORS):
                self.say(level, _OWN_NAME, event, NOTHING, fields)
            else:
                self._own_log._proxy_to_logger(level, event, **fields)  # noqa: SLF001 - our own logger
        except Exception as error:  # noqa: BLE001 - a user's processor
            self._rescue(level, _OWN_NAME, event, error)

    def access(self, level: str, event: str, fields: dict[str, Any]) -> None:
        """`emit` for the event of a request, whose values are plain but for the ``path``; never raises."""
        if NUMBERS[level] < self._own.threshold:
            return
        processors = fused.PROCESSORS
        if len(processors) != 1 or processors[0] is not fused.render:  # `fused.is_direct`, without a call
            self.emit(level, event, fields)
            return
        try:
            line = self.renderer.access(level, _OWN_NAME, event, fields)
        except Exception as error:  # noqa: BLE001 - a log line never breaks the app
            self._rescue(level, _OWN_NAME, event, error)
        else:
            self.sink.write(line)

    def say(self, level: str, logger: str, event: Any, bound: dict[str, Any], fields: dict[str, Any]) -> None:
        """Say *event* at *level*, whatever the thresholds are; never raises."""
        renderer = self.renderer
        try:
            said = {**bound, **fields} if bound else fields
            line = renderer.out(renderer.fields(level, logger, event, said, renderer.now()))
        except Exception as error:  # noqa: BLE001 - a log line never breaks the app
            self._rescue(level, logger, event, error)
        else:
            self.sink.write(line)

    def say_record(self, record: logging.LogRecord) -> None:
        """Say a record of the standard library; never raises."""
        renderer = self.renderer
        try:
            line = renderer.out(renderer.record_fields(record))
        except Exception as error:  # noqa: BLE001 - a log line never breaks the app
            self._rescue("error", record.name, record.msg, error)
        else:
            self.sink.write(line)

    def put(self, made: Any) -> None:
        """Write a line that somebody else made; never raises."""
        self.renderer.cleaner.refresh()
        line = made if isinstance(made, bytes) else self.renderer.mask(str(made)).encode("utf-8", "backslashreplace")
        self.sink.write(line if line.endswith(b"\n") else line + b"\n")

    def put_fields(self, fields: dict[str, Any]) -> None:
        """Write an event that somebody else made, with nothing in it that must not be shown; never raises."""
        try:
            line = self.renderer.plain_line(fields)
        except Exception as error:  # noqa: BLE001 - a log line never breaks the app
            self._rescue("info", "stdout", "", error)
        else:
            self.sink.write(line)

    def _rescue(self, level: str, logger: str, event: Any, error: Exception) -> None:
        """Say at least that something was said."""
        try:
            text = event if isinstance(event, str) else f"<{type(event).__name__}>"
            fault = {"fault": f"the event could not be rendered: {type(error).__name__}"}
            self.sink.write(self.renderer.line(level, logger, text, NOTHING, fault))
        except Exception:  # noqa: BLE001 - nothing is left to try; the loss is counted
            self.sink.lost += 1

    # -- what lines carry

    def bind(self, **base: Any) -> None:
        """Make every line carry these fields; None takes one away. Admin processes and shells speak on stderr."""
        merged = {**self.renderer.base, **{key: self.renderer.cleaner.clean(value) for key, value in base.items()}}
        order = dict.fromkeys((*_FIRST, *merged))
        self.renderer.base = {key: merged[key] for key in order if merged.get(key) is not None}
        if "process_type" in base:
            self._go_to(STDERR if base["process_type"] in _DATA_ON_STDOUT else STDOUT)

    def set_level(self, level: str | int, logger: str | None = None) -> None:
        """Change the level while the process runs: of *logger* and what is below it, or of all.

        Raises:
            ValueError: There is no such level.
        """
        self.levels.set(number_of(level), logger)
        self._relevel()
        for each in self._takeovers:
            relevel = getattr(each, "relevel", None)
            if relevel is not None:
                relevel()

    def hide(self, *keys: str) -> None:
        """Never show the values under *keys*, beside those that are always hidden; idempotent."""
        self.renderer.verdicts.configure(hide=keys)

    def show(self, *keys: str) -> None:
        """Show the values under *keys*, which would be hidden by their name; idempotent."""
        self.renderer.verdicts.configure(show=keys)

    @property
    def goes_elsewhere(self) -> bool:
        """Whether events go to a stream that was given."""
        return self._stream is not None

    @property
    def leaves_stdout_alone(self) -> bool:
        """Whether stdout is the command's own data, and events go to stderr."""
        return self.sink.number == STDERR

    @property
    def written(self) -> int:
        """How many lines went out."""
        return self.sink.written

    @property
    def lost(self) -> int:
        """How many lines could not go out."""
        return self.sink.lost

    # -- inside

    def _channel(self, name: str) -> fused.Channel:
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = fused.Channel(self, name, self.levels.threshold(name))
        return channel

    def _channel_for(self, *args: Any) -> fused.Channel:
        """What structlog calls for a new logger."""
        return self._channel(args[0] if args and isinstance(args[0], str) else self.service)

    def _relevel(self) -> None:
        fused.set_floor(self._class, self.levels.lowest)
        for channel in list(self._channels.values()):
            channel.threshold = self.levels.threshold(channel.name)

    def _make_sink(self, number: int) -> Sink:
        sink = (NonblockingSink if self.settings.nonblocking else Sink)(number, self._stream)
        sink.on_recovery = self._recovered
        return sink

    def _go_to(self, number: int) -> None:
        if self._stream is None and self.sink.number != number:
            before, self.sink = self.sink, self._make_sink(number)
            self.sink.written, self.sink.lost = before.written, before.lost
            before.close()
            self._choose_format()

    def _choose_format(self) -> None:
        wanted = self.settings.format
        console = wanted == "console" or (wanted == "auto" and self.sink.is_terminal)
        if console:
            from twelvefactor.logs.console import Console

            self.renderer.out = Console(self.environ, is_terminal=self.sink.is_terminal)
        else:
            self.renderer.out = self.renderer.encode

    def _recovered(self, lost: int) -> None:
        self.emit("warning", "twelvefactor.stream.recovered", {"lost": lost})

    def _guard(self, act: Any) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - a fault of ours becomes an event
            self.emit("error", "twelvefactor.fault", {"fault_in": "logs", "exc_info": error})

    def _forked(self) -> None:
        self.sink.forked()
        base = self.renderer.base
        if base.get("instance") == self._instance:  # nobody named it otherwise
            self._instance = instance(self.environ)
            self.renderer.base = {**base, "instance": self._instance}

    def __repr__(self) -> str:
        return f"<EventStream {self.service} written={self.written} lost={self.lost}>"


def make_renderer(
    service: str | None,
    schema: str | None = None,
    settings: Settings | None = None,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> Renderer:
    """A renderer with the fields of the process, as the environment wants it."""
    environ = os.environ if environ is None else environ
    settings = settings or Settings.read(environ)
    base = {"service": service} if service else {}
    renderer = Renderer({**base, "instance": instance(environ)})
    schema = schema or settings.schema
    if schema != "default":
        from twelvefactor.logs.schemas import shape_of

        renderer.shape = shape_of(schema, environ)
    renderer.as_frames = settings.tracebacks == "frames"
    renderer.most_bytes = settings.most_bytes
    if clock is not None:
        renderer.now = lambda: datetime.fromtimestamp(clock.time(), UTC)
    return renderer


def current_renderer() -> Renderer:
    """The renderer of the stream that was configured last, or one that knows no service."""
    if _configured:
        return _configured[-1].renderer
    if not _alone:
        _alone.append(make_renderer(None))
    return _alone[0]


_alone: list[Renderer] = []


def streams() -> Iterable[EventStream]:
    """The streams of this process."""
    return tuple(_streams)


def _after_fork() -> None:
    for stream in tuple(_streams):
        stream._forked()  # noqa: SLF001 - our own


os.register_at_fork(after_in_child=_after_fork)
