"""
Is that value from this request? The strongest evidence that state is a leak: it holds what one unit of work brought.

What a unit brought is cut into whole tokens: path parameters, query, headers, cookies, body. A token counts where it is
distinctive (it holds a digit or is long) and no other recent unit brought it. Values are compared, never kept or shown.
"""

from __future__ import annotations

import collections
import gc
import re
from typing import TYPE_CHECKING, Any

from twelvefactor.processes.looking import attributes, bases_of, request_like

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from twelvefactor.work import Work

RECENT = 64
BODY = 65_536
_SHORTEST = 4
_LONG = 12
_MOST = 256
_WORD = re.compile(r"[\w@.+\-]{4,128}")
_UNTOLD = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-length",
        "content-type",
        "host",
        "origin",
        "pragma",
        "referer",
        "sec-ch-ua",
        "sec-fetch-dest",
        "sec-fetch-mode",
        "sec-fetch-site",
        "te",
        "transfer-encoding",
        "upgrade",
        "upgrade-insecure-requests",
        "user-agent",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
    }
)
_NESTED = 3
_WIDE = 64


class Tokens:
    """The tokens of recent units of work, and how many of those brought each."""

    def __init__(self) -> None:
        self._recent: collections.deque[frozenset[str]] = collections.deque(maxlen=RECENT)
        self._counts: collections.Counter[str] = collections.Counter()

    def add(self, tokens: frozenset[str]) -> None:
        """Remember what a unit brought, and forget the oldest."""
        if len(self._recent) == RECENT:
            self._counts.subtract(self._recent[0])
            for token in self._recent[0]:
                if self._counts[token] <= 0:
                    del self._counts[token]
        self._recent.append(tokens)
        self._counts.update(tokens)

    def rare(self, token: str, own: bool = True) -> bool:
        """Whether no other recent unit brought *token*."""
        return self._counts.get(token, 0) <= (1 if own else 0)

    def clear(self) -> None:
        """Forget everything."""
        self._recent.clear()
        self._counts.clear()


def of_work(work: Work) -> frozenset[str]:
    """The tokens that *work* brought."""
    found: set[str] = {work.id}
    if work.request_id:
        found.add(work.request_id)
    carrier = work.carrier
    if type(carrier) is dict:
        for text in _texts_of_carrier(carrier):
            found.update(_distinctive(text))
            if len(found) > _MOST:
                break
    return frozenset(found)


def _texts_of_carrier(carrier: dict[str, Any]) -> Iterator[str]:
    if "REQUEST_METHOD" in carrier:
        yield from _texts_of_environ(carrier)
    elif "headers" in carrier or "path" in carrier:
        yield from _texts_of_scope(carrier)
    else:
        yield from texts(carrier)


def _texts_of_scope(scope: dict[str, Any]) -> Iterator[str]:
    yield from texts(scope.get("path_params"))
    yield from texts(scope.get("path"))
    yield from _unquoted(scope.get("query_string"))
    for pair in scope.get("headers") or ():
        if type(pair) in (tuple, list) and len(pair) == 2 and _decode(pair[0]).lower() not in _UNTOLD:  # noqa: PLR2004
            yield _decode(pair[1])
    yield from _unquoted(scope.get("twelvefactor.body"))


def _texts_of_environ(environ: dict[str, Any]) -> Iterator[str]:
    yield from texts(environ.get("PATH_INFO"))
    yield from _unquoted(environ.get("QUERY_STRING"))
    for name, value in list(environ.items()):
        if name.startswith("HTTP_") and name[5:].lower().replace("_", "-") not in _UNTOLD and type(value) is str:
            yield value
    yield from texts(environ.get("REMOTE_USER"))
    yield from _unquoted(environ.get("twelvefactor.body"))


def _decode(value: Any) -> str:
    if type(value) in (bytes, bytearray):
        return bytes(value[:BODY]).decode("latin-1")
    return value if type(value) is str else ""


def _unquoted(value: Any) -> Iterator[str]:
    from urllib.parse import unquote_plus

    text = _decode(value)
    if text:
        yield text
        if "%" in text or "+" in text:
            yield unquote_plus(text)


def _distinctive(text: str) -> Iterator[str]:
    for word in _WORD.findall(text):
        if _tells(word):
            yield word


def _tells(word: str) -> bool:
    return len(word) >= _SHORTEST and (len(word) >= _LONG or "@" in word or any(map(str.isdigit, word)))


def texts(value: Any, depth: int = 0) -> Iterator[str]:
    """The text inside *value*, as far as the interpreter's own containers and plain attributes lead."""
    kind = type(value)
    if kind is str:
        yield value
    elif kind is bytes or kind is bytearray:
        yield _decode(value)
    elif kind is int:
        yield str(value) if abs(value) < 10**30 else ""
    elif depth < _NESTED:
        for inside in list(_inside(value))[:_WIDE]:
            yield from texts(inside, depth + 1)


def _inside(value: Any) -> Iterable[Any]:
    bases = bases_of(value)
    try:
        if dict in bases:
            return [each for pair in dict.items(value) for each in pair]
        for kind in (list, tuple, set, frozenset, collections.deque):
            if kind in bases:
                return list(kind.__iter__(value))
    except RuntimeError:
        return ()  # another thread changes it
    if type in bases or type(value).__module__ == "builtins":
        return ()
    return list(attributes(value).values())


def held(values: Iterable[Any]) -> frozenset[str]:
    """The distinctive tokens inside *values*."""
    found: set[str] = set()
    for value in values:
        for text in texts(value):
            found.update(_distinctive(text))
            if len(found) > _MOST:
                return frozenset(found)
    return frozenset(found)


def is_carrier(value: Any, carrier: Any) -> bool:
    """Whether *value* is the request itself, or an object that wraps it."""
    if carrier is None:
        return False
    if value is carrier:
        return True
    return request_like(value) and any(each is carrier for each in gc.get_referents(value, *attributes(value).values()))
