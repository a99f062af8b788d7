"""Ids and traces from request headers: taken where they are well-formed, ignored where they are not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from twelvefactor.exceptions import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twelvefactor.service import Service
    from twelvefactor.work import Work

REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:/+=@-]{0,127}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_TRACESTATE_KEY = re.compile(r"[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}")
_TRACESTATE_VALUE = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_MOST_MEMBERS = 32
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.1
_RELEASE_HEADER = "TWELVEFACTOR_RELEASE_HEADER"


class Trace(NamedTuple):
    """The trace that a caller's ``traceparent`` names."""

    trace_id: str
    span_id: str
    flags: str


def parse_request_id(text: str) -> str | None:
    r"""
    *text* where it is a well-formed id: 1 to 128 characters of letters, digits and ``._~:/+=@-``; else None.

    >>> parse_request_id("a-1"), parse_request_id("a\r\nSet-Cookie: x")
    ('a-1', None)
    """
    return text if REQUEST_ID.fullmatch(text) else None


def parse_traceparent(text: str) -> Trace | None:
    """
    The trace that a ``traceparent`` header names, or None where it must be ignored.

    A version above 00 is read as far as it is known, version ff and all-zero ids are refused.
    Source: W3C Trace Context, section 3.2.

    >>> parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").flags
    '01'
    >>> parse_traceparent("00-00000000000000000000000000000000-b7ad6b7169203331-01") is None
    True
    """
    match = _TRACEPARENT.fullmatch(text.strip(" \t"))
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (more is not None and version == "00"):
        return None
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return Trace(trace_id, span_id, flags)


def parse_tracestate(text: str) -> str | None:
    """
    A ``tracestate`` header, tidied, or None where it is malformed and must be dropped whole.

    Empty members go; more than 32 members, a double key or a bad one spoil it.
    Source: W3C Trace Context, section 3.3.

    >>> parse_tracestate("rojo=00f067aa0ba902b7 , congo=t61rcWkgMzE")
    'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'
    """
    members = [member for raw in text.split(",") if (member := raw.strip(" \t"))]
    keys = set()
    for member in members:
        key, equals, value = member.partition("=")
        if not equals or key in keys or not _TRACESTATE_KEY.fullmatch(key) or not _TRACESTATE_VALUE.fullmatch(value):
            return None
        keys.add(key)
    return ",".join(members) if 0 < len(members) <= _MOST_MEMBERS else None


def bind_trace(work: Work, traceparent: str, tracestate: str | None) -> None:
    """Let *work* belong to the caller's trace, where the header names one."""
    trace = parse_traceparent(traceparent)
    if trace is None:
        return
    work.trace_id, work.span_id, work.trace_flags = trace
    work.context["trace_id"] = trace.trace_id
    work.context["span_id"] = trace.span_id
    if tracestate is not None:
        work.trace_state = parse_tracestate(tracestate)


def take(work: Work, id_header: bytes, found: Iterable[tuple[bytes, bytes]]) -> None:
    """
    Bind the ids that ASGI headers give: a well-formed request id becomes the work's, and the caller's trace.

    Of two request ids, or two traceparents, neither can be believed; tracestate may come in parts (RFC 9110, 5.3).

    Args:
        work: The request, whose own id stands for the request id until a better one is given.
        id_header: The name of the header that carries the request id, in lower case.
        found: Those headers.
    """
    given: list[bytes] = []
    parents: list[bytes] = []
    states: list[bytes] = []
    for name, value in found:
        (given if name == id_header else parents if name == b"traceparent" else states).append(value)
    if len(given) == 1:
        take_request_id(work, given[0].decode("latin-1"))
    if len(parents) == 1:
        bind_trace(work, parents[0].decode("latin-1"), b",".join(states).decode("latin-1") if states else None)


def take_request_id(work: Work, text: str) -> None:
    """Let *work* have the request id *text*, where it is well-formed."""
    request_id = parse_request_id(text)
    if request_id is not None:
        work.request_id = work.context["request_id"] = request_id


def release_headers(service: Service[Any], named: str | None) -> tuple[tuple[str, str], ...]:
    """
    The header that tells every client the release, where that is asked for; else none.

    Args:
        service: Whose release it is.
        named: The header's name; empty for none, None for what `TWELVEFACTOR_RELEASE_HEADER` says.

    Raises:
        ValueError: *named* is no name of a header.
        ConfigError: The variable's is not.
    """
    name = (service.environ.get(_RELEASE_HEADER) if named is None else named) or ""
    if service.off or not name:
        return ()
    if not _NAME.fullmatch(name):
        if named is not None:
            raise ValueError(f"release_header: {named!r} is no name of a header; such as X-Release")
        raise ConfigError([Problem((_RELEASE_HEADER,), "is no name of a header", expected="such as X-Release")])
    release = service.release
    return ((name, quote(release.name or release.digest, safe=_AS_IT_IS)),)


_AS_IT_IS = "/:@+,;=()!*'~ "
"""What a release's name keeps in a header; anything else is percent-encoded."""
