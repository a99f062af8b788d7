"""One event, one line: what is said becomes the bytes that leave the process."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson
from structlog import contextvars as _structlog_contextvars

from twelvefactor._core.secrets import SECRETS
from twelvefactor.logs import tracebacks
from twelvefactor.logs.carry import CARRIED
from twelvefactor.logs.hiding import EXCEPTION, HIDE, HIDE_TEXT, LEAK, RESERVED, STACK, UNKNOWN, Verdicts
from twelvefactor.logs.levels import NAMES, name_of
from twelvefactor.logs.said import said_by
from twelvefactor.logs.values import PLAIN, Cleaner, encodable, qualified_name
from twelvefactor.logs.watch import LEAKS
from twelvefactor.work import _current

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    Shape = Callable[[dict[str, Any]], dict[str, Any]]

OPT_UTC_Z: Final = orjson.OPT_UTC_Z
OPTIONS: Final = orjson.OPT_APPEND_NEWLINE | OPT_UTC_Z
NOTHING: Final[dict[str, Any]] = {}
_ACCESS: Final = "\x00access"  # no key of anybody's
_IDS = frozenset({"work_id", "request_id", "trace_id", "span_id"})  # ours, checked where they are read
_dumps = orjson.dumps
_current_work = _current.get
# structlog's own table of what `bind_contextvars` ever bound: reading it costs nothing while nobody did
_BOUND_VARS: dict[str, Any] = getattr(_structlog_contextvars, "_CONTEXT_VARS", NOTHING)
_BOUND_PREFIX = len(_structlog_contextvars.STRUCTLOG_KEY_PREFIX)


class Renderer:
    """
    Makes lines of events: the fields of the process, of the work in hand, of the logger, of the caller.

    Attributes:
        base: The fields that every line carries.
        shape: How a schema names and nests the fields; None for the default one.
        verdicts: Which keys are hidden.
        now: The present time in UTC.
        as_frames: Whether tracebacks are data instead of text.
        most_bytes: The longest line; 0 for no limit.
        out: Makes the bytes of the fields: `encode`, or what makes a line for people.
    """

    def __init__(self, base: Mapping[str, Any] | None = None) -> None:
        self.base: dict[str, Any] = dict(base or {})
        self.shape: Shape | None = None
        self.verdicts = Verdicts()
        self.cleaner = Cleaner(self.verdicts, self.mask)
        self.now: Callable[[], datetime] = _now
        self.as_frames = False
        self.most_bytes = 0
        self.out: Callable[[dict[str, Any]], bytes] = self.encode
        self._heads: tuple[Any, Any, dict[str, bytes]] = (None, None, {})  # of a base, for an output, by level

    def line(self, level: str, logger: str, event: Any, bound: dict[str, Any], said: dict[str, Any]) -> bytes:
        """
        The line for an event, newline included; never raises an `Exception`.

        Args:
            level: The level's name.
            logger: Who says it.
            event: What happened.
            bound: The fields bound to the logger.
            said: The fields of this call; they win.
        """
        fields = {**bound, **said} if bound else said
        return self.out(self.fields(level, logger, event, fields, self.now()))

    def access(self, level: str, logger: str, event: str, said: dict[str, Any]) -> bytes:
        """
        `line` for the event of a request: its keys are the adapters', its values plain but for the path.

        A fifth of a request's whole cost is saved by not judging each of them again.
        """
        cleaner = self.cleaner
        if cleaner.version != SECRETS.version:
            cleaner.refresh()
        work = _current_work()
        known = self.verdicts.known.get(_ACCESS)
        if known is None:
            known = self._judge_access(said)
        if known or _BOUND_VARS or work is None or work.closed or not _IDS.issuperset(work.context):
            return self.line(level, logger, event, NOTHING, said)
        path = said["path"]
        if len(path) >= cleaner.shortest:
            said["path"] = self.mask(path)
        base, out, heads = self._heads
        if base is not self.base or out is not self.out:
            self._heads = base, out, heads = self.base, self.out, {}  # at once: another thread may be at it too
        head = heads.get(level)
        if head is None:
            head = heads[level] = self._head(base, level, logger, event, said)
        if head:
            try:
                data = _dumps({**work.context, **said}, None, OPTIONS)
            except TypeError:  # half a surrogate pair in the path
                pass
            else:
                data = b'{"timestamp":%b%b%b' % (_dumps(self.now(), None, OPT_UTC_Z), head, data[1:])
                return data if data.isascii() else _in_one_line(data)
        own = {"timestamp": self.now(), "level": level, "event": event, "logger": logger}
        return self.out({**own, **self.base, **work.context, **said})

    def _head(self, base: dict[str, Any], level: str, logger: str, event: str, said: dict[str, Any]) -> bytes:
        """
        The bytes between an access event's time and its own fields, which are the same each time; none where they
        cannot be made in advance: another schema, another output, a limit, a field that is there twice.
        """
        plain = self.out == self.encode and self.shape is None and not self.most_bytes
        fields = {"level": level, "event": event, "logger": logger, **base}
        alone = len(fields) == len(base) + 3 and not (fields.keys() & {*said, *_IDS, "timestamp"})
        return b",%b," % _dumps(fields, None, OPT_UTC_Z)[1:-1] if plain and alone else b""

    def _judge_access(self, said: dict[str, Any]) -> int:
        """Whether somebody wants one of the event's fields hidden; remembered until that changes."""
        verdict = 0
        for key in said:
            verdict |= self.verdicts.of(key)
        self.verdicts.known[_ACCESS] = verdict
        return verdict

    def record_fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """All fields of a record of the standard library, as those of an event."""
        event, fields = said_by(record)
        when = datetime.fromtimestamp(record.created, UTC)
        level = NAMES.get(record.levelno) or _level_of(record)
        return self.fields(level, record.name, event, fields, when)

    def fields(  # noqa: C901, PLR0912 - the hot path: each call saved is a tenth of a line's time
        self, level: str, logger: str, event: Any, said: dict[str, Any], when: datetime
    ) -> dict[str, Any]:
        """All fields of an event as plain data, in order, with nothing that must not be shown."""
        verdict, cleaner = self.verdicts.known.get, self.cleaner
        if cleaner.version != SECRETS.version:
            cleaner.refresh()
        shortest = cleaner.shortest
        if type(event) is not str:
            event = self._event(event)
        elif len(event) >= shortest:
            event = self.mask(event)
        line = {"timestamp": when, "level": level, "event": event, "logger": logger, **self.base}
        work = _current_work()
        if work is not None and not (work.closed and CARRIED.get()):
            for key, value in work.context.items():
                if key in _IDS:
                    line[key] = value
                elif verdict(key, UNKNOWN):
                    self._special(line, key, value)
                else:
                    line[key] = cleaner.clean(value)
        if _BOUND_VARS:
            said = _with_contextvars(said)
        for key, value in said.items():
            if verdict(key, UNKNOWN):
                self._special(line, key, value)
                continue
            kind = type(value)
            if kind is str:
                line[key] = value if len(value) < shortest else self.mask(value)
            elif kind in PLAIN:
                line[key] = value
            else:
                line[key] = cleaner.clean(value)
        return line

    def encode(self, line: dict[str, Any], shaped: bool = False) -> bytes:
        """The bytes of *line* as JSON, in this renderer's schema unless it is *shaped* already."""
        if self.shape is not None and not shaped:
            line = self.shape(line)
        try:
            data = _dumps(line, None, OPTIONS)
        except TypeError:
            data = _dumps(encodable(line), repr, OPTIONS)
        if self.most_bytes and len(data) > self.most_bytes:
            from twelvefactor.logs.cap import shortened

            data = shortened(line, self.most_bytes, len(data), OPTIONS)
        return data if data.isascii() else _in_one_line(data)

    def plain_line(self, fields: dict[str, Any]) -> bytes:
        """The line of an event that is complete, in whatever schema it has."""
        line = self.cleaner.clean(fields)
        return self.encode(line, shaped=True) if self.out == self.encode else self.out(line)

    def mask(self, text: str) -> str:
        """*text* without the known secrets; whoever watches for leaks is told."""
        if len(text) < self.cleaner.shortest:
            return text
        masked = SECRETS.mask(text)
        if masked != text:
            LEAKS.tell()
        return masked

    def _event(self, event: Any) -> str:
        if event is None:
            return ""
        value = self.cleaner.clean(event)
        return value if isinstance(value, str) else _dumps(encodable(value), repr).decode()

    def _special(self, line: dict[str, Any], key: str, value: Any) -> None:
        """A field that is hidden, that says more than itself, or that has the name of one of ours."""
        verdict = self.verdicts.of(key)
        if verdict & EXCEPTION:
            self._exception(line, value)
        elif verdict & STACK:
            self._stack(line, value)
        elif verdict & RESERVED:
            line[f"{key}_"] = self.cleaner.clean(value)
        else:
            name = self.mask(key) if verdict & LEAK else key
            hide = verdict & (HIDE | HIDE_TEXT)
            line[name] = self.cleaner.hidden(value, verdict) if hide else self.cleaner.clean(value)

    def _exception(self, line: dict[str, Any], exc_info: Any) -> None:
        error = tracebacks.resolve(exc_info)
        if error is None:
            return
        line["exception_type"] = qualified_name(type(error))
        line["exception_message"] = self.mask(tracebacks.message_of(error))
        if self.as_frames:
            line["exception"] = self.cleaner.clean(tracebacks.frames_of(error))
        else:
            line["exception"] = self.mask(tracebacks.text_of(error))

    def _stack(self, line: dict[str, Any], value: Any) -> None:
        if value is True:
            line["stack"] = self.mask(tracebacks.stack_here())
        elif value:
            line["stack"] = self.cleaner.clean(value)


def _in_one_line(data: bytes) -> bytes:
    """Escape what some readers take for the end of a line."""
    return (
        data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029").replace(b"\xc2\x85", b"\\u0085")
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _level_of(record: logging.LogRecord) -> str:
    number: Any = record.levelno  # None in a record that was made by hand
    name = str(record.levelname).lower()
    return name if name.isalpha() and number is not None else name_of(number or 0)


def _with_contextvars(said: dict[str, Any]) -> dict[str, Any]:
    """*said*, below it what `structlog.contextvars` holds in this context."""
    found = {name[_BOUND_PREFIX:]: var.get() for name, var in sorted(_BOUND_VARS.items())}
    return {**{key: value for key, value in found.items() if value is not Ellipsis}, **said}
