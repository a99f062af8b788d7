"""Why a service does not answer, in its client's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twelvefactor._core.secrets import MASK, SECRETS

if TYPE_CHECKING:
    from twelvefactor.backing_services.url import URL


def diagnose(error: BaseException, url: URL[Any, Any] | None = None) -> str:
    """
    What *error* says at its root, in one line, without secrets.

    >>> diagnose(ConnectionRefusedError(111, "Connection refused"))
    'ConnectionRefusedError: [Errno 111] Connection refused'
    """
    root = _root(error)
    lines = [line.strip() for line in str(root).splitlines() if line.strip()] or [""]
    said = SECRETS.mask(lines[0])
    password = None if url is None or url.is_placeholder else url._parts.password
    if password and password in said:
        said = said.replace(password, MASK)
    return f"{type(root).__name__}: {said[:300]}" if said else type(root).__name__


def _root(error: BaseException) -> BaseException:
    for _ in range(10):  # a chain may be a circle
        inner = getattr(error, "orig", None) or error.__cause__
        if inner is None and not error.__suppress_context__:
            inner = error.__context__
        if not isinstance(inner, BaseException) or inner is error:
            break
        error = inner
    return error
