"""The ids that go with a message: the parent's request id and W3C trace, and when it was sent."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from twelvefactor.integrations._headers import bind_trace, take_request_id
from twelvefactor.work import current_work

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from twelvefactor.work import Work

REQUEST_ID = "x-request-id"
TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
SENT_AT = "x-sent-at"
"""Seconds since the epoch, for queues that do not tell when a message was sent."""


def for_message(*, sent_at: bool = True) -> dict[str, str]:
    """
    The headers that a message sent now should carry.

    Args:
        sent_at: Whether to tell the time; not needed where the queue does.
    """
    headers = {SENT_AT: f"{time.time():.6f}"} if sent_at else {}
    work = current_work()
    if work is None:
        return headers
    if work.request_id is not None:
        headers[REQUEST_ID] = work.request_id
    if work.trace_id is not None and work.span_id is not None:
        headers[TRACEPARENT] = f"00-{work.trace_id}-{work.span_id}-{work.trace_flags or '00'}"
        if work.trace_state is not None:
            headers[TRACESTATE] = work.trace_state
    return headers


def put(headers: MutableMapping[str, Any], *, sent_at: bool = True) -> None:
    """Put them into *headers*, beside what is there: a tracer's own or the caller's win."""
    made = for_message(sent_at=sent_at)
    if TRACEPARENT in headers:
        made.pop(TRACESTATE, None)
    for name, value in made.items():
        headers.setdefault(name, value)


def read(work: Work, headers: Mapping[str, Any]) -> float | None:
    """Bind what *headers* tell to *work*, where it is well-formed; when it was sent, or None."""
    request_id = _text(headers.get(REQUEST_ID))
    if request_id:
        take_request_id(work, request_id)
    parent = _text(headers.get(TRACEPARENT))
    if parent:
        bind_trace(work, parent, _text(headers.get(TRACESTATE)) or None)
    return _moment(_text(headers.get(SENT_AT)))


def _moment(text: str) -> float | None:
    try:
        moment = float(text)
    except ValueError:
        return None
    return moment if math.isfinite(moment) else None


def _text(value: Any) -> str:
    """A header as text, whatever a client makes of it: a str, bytes, or for what is neither nothing."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""
