"""The records of the standard library's logging, told as events."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pythonjsonlogger.core import BaseJsonFormatter

from twelvefactor.logs.said import SAID
from twelvefactor.logs.stream import current_renderer, make_renderer

if TYPE_CHECKING:
    from twelvefactor.logs.render import Renderer
    from twelvefactor.logs.stream import EventStream


class JsonFormatter(BaseJsonFormatter):
    """
    A formatter that gives records the fields of the event stream, usable alone.

    In ``dictConfig``, gunicorn's ``logconfig_dict`` or Django's ``LOGGING``:
    ``{"formatters": {"json": {"()": "twelvefactor.logs.JsonFormatter"}}}``. Within a service it adds the service's own
    fields. Takes the arguments of python-json-logger's formatters; those that rename or add fields work as there.
    Thread-safe.

    Args:
        service: The service's name, where there is no `Service` in the process.
        schema: ``default``, ``otel``, ``ecs``, ``ecs-nested``, ``gcp`` or ``datadog``; else what ``LOG_SCHEMA`` says.

    >>> record = logging.makeLogRecord({"msg": "paid %s", "args": (7,), "levelname": "INFO", "levelno": 20})
    >>> '"event":"paid 7"' in JsonFormatter(service="orders").format(record)
    True
    """

    def __init__(self, *args: Any, service: str | None = None, schema: str | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._has_wishes = bool(
            self.rename_fields or self.static_fields or self.defaults or self.prefix or _is_overridden(type(self))
        )
        self._renderer = None if service is None and schema is None else make_renderer(service, schema)

    @property
    def renderer(self) -> Renderer:
        """Its own renderer, or the one of the service in this process."""
        return self._renderer or current_renderer()

    def format(self, record: logging.LogRecord) -> str:
        """The line of *record*, without a newline."""
        if not self._has_wishes:
            renderer = self.renderer
            return renderer.encode(renderer.record_fields(record))[:-1].decode()
        data: dict[str, Any] = {}
        self.add_fields(data, record, {})
        return self.serialize_log_record(self.process_log_record(data))

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Put the fields of *record* into *log_data*, renamed, with the default and static ones; may be overridden."""
        renderer = self.renderer
        fields = renderer.record_fields(record)
        shaped = fields if renderer.shape is None else renderer.shape(fields)
        log_data.update(self.defaults)
        log_data.update({self.rename_fields.get(key, key): value for key, value in shaped.items()})
        log_data.update({**self.static_fields, **message_dict})

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """The JSON of *log_data*, with nothing in it that must not be shown."""
        renderer = self.renderer
        return renderer.encode(renderer.cleaner.clean(log_data), shaped=True)[:-1].decode()


def _is_overridden(kind: type[JsonFormatter]) -> bool:
    """Whether somebody's own class changes what a record gives."""
    return (
        kind.process_log_record is not BaseJsonFormatter.process_log_record
        or kind.add_fields is not JsonFormatter.add_fields
        or kind.jsonify_log_record is not JsonFormatter.jsonify_log_record
    )


_ERROR = logging.ERROR
_SERVERS = frozenset(
    {"uvicorn", "gunicorn", "hypercorn", "granian", "_granian", "daphne", "waitress", "werkzeug", "aiohttp"}
)


def told_by_adapter(record: logging.LogRecord) -> bool:
    """Whether this is a server's word on an exception that the adapter told already, with the request's ids."""
    if record.levelno < _ERROR or record.name.partition(".")[0] not in _SERVERS:
        return False
    if record.exc_info:
        return getattr(record.exc_info[1], "__twelvefactor_told__", False)
    return _ADAPTERS in str(record.msg) and "Traceback" in record.msg  # granian tells the traceback as text


_ADAPTERS = str(Path(__file__).parents[1] / "integrations")


class EventHandler(logging.Handler):
    """The handler that puts records on the stream, each once however many loggers it hangs on; holds no lock."""

    def __init__(self, stream: EventStream, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.stream = stream
        self.setFormatter(JsonFormatter())

    def handle(self, record: logging.LogRecord) -> bool:
        """Say *record* unless a filter stops it or it was said before."""
        if SAID in record.__dict__ or (record.levelno >= _ERROR and told_by_adapter(record)):
            return False
        if self.filters:
            passed: Any = self.filter(record)  # the record itself, or another one, since Python 3.12
            if not passed:
                return False
            record = record if isinstance(passed, bool) else passed
        self.stream.say_record(record)
        record.__dict__[SAID] = True
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Say *record*; never raises."""
        self.stream.say_record(record)
