"""A line that is too long is cut where it is longest, stays JSON, and says so."""

from __future__ import annotations

from typing import Any, Final

import orjson

from twelvefactor.logs.values import encodable

_LENGTHS: Final = (8192, 2048, 512, 128, 32)
_FIRST: Final = 8  # entries of a line that stay to the end: what happened, when, and who says it


def shortened(line: dict[str, Any], most_bytes: int, size: int, options: int) -> bytes:
    """
    The bytes of *line*, at most *most_bytes* of them, with ``truncated`` naming the *size* that it had.

    >>> len(shortened({"event": "x" * 5000, "rows": list(range(5000))}, 600, 30000, 0)) <= 600
    True
    """
    plain = encodable(line)
    for length in _LENGTHS:
        if length < most_bytes:
            data = orjson.dumps({**_cut(plain, length), "truncated": size}, repr, options)
            if len(data) <= most_bytes:
                return data
    first = dict(list(plain.items())[:_FIRST])
    return orjson.dumps({**_cut(first, 24), "truncated": size}, repr, options)


def _cut(value: Any, length: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= length else value[:length] + "…"
    if isinstance(value, dict):
        most = max(length // 8, 12)
        return {_cut(key, length): _cut(item, length) for key, item in list(value.items())[:most]}
    if isinstance(value, list):
        return [_cut(item, length) for item in value[: length // 8]]
    return value
