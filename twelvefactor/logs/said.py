"""What a record of the standard library says: its event and its fields."""

from __future__ import annotations

import logging
from typing import Any, Final

SAID: Final = "_twelvefactor_said"
_OF_THE_RECORD = frozenset(
    {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName", "color_message", SAID}
)
_USUAL = len(logging.makeLogRecord({}).__dict__)


def said_by(record: logging.LogRecord) -> tuple[Any, dict[str, Any]]:
    """The event and the fields of *record*: its message, its extras, its exception."""
    attributes = record.__dict__
    message: Any = record.msg
    fields: dict[str, Any] = {}
    if type(message) is not str:
        if type(message) is dict:
            fields.update(message)
            message = fields.pop("event", fields.pop("message", ""))
        else:
            message = _text(message)
    if record.args:
        message = _interpolate(message, record.args, fields)
    if len(attributes) > _USUAL:
        for key in attributes:
            if key not in _OF_THE_RECORD:
                fields[str(key)] = attributes[key]
    if record.exc_info:
        fields["exc_info"] = record.exc_info
    elif record.exc_text:
        fields["exception"] = record.exc_text
    if record.stack_info:
        fields["stack_info"] = record.stack_info
    return message, fields


def _interpolate(message: Any, args: Any, fields: dict[str, Any]) -> Any:
    try:
        return message % args
    except Exception:  # noqa: BLE001 - a wrong format is said as it stands
        fields["positional_args"] = list(args) if isinstance(args, tuple) else args
        return message


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - the app's own code
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
