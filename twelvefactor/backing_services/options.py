"""The options after a URL's question mark: known by name, typed, unknown ones refused with the nearest name."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Reader = Callable[[str], Any]

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TELLTALE = re.compile(r"pass|pwd|secret|token|key|credential|signature|^sig$|odbc_connect|auth", re.IGNORECASE)
_YES = {"1", "true", "yes", "on", "t", "y"}
_NO = {"0", "false", "no", "off", "f", "n"}


class Wrong(Exception):  # noqa: N818 - never leaves this package; becomes a URLError outside every `except`
    """What is wrong with a URL, without any text of it."""


class NotThis(ValueError):  # noqa: N818 - reads well where it is raised
    """A value is not what the option takes; says what it takes."""


def text(value: str) -> str:
    """Any text."""
    return value


def secret(value: str) -> str:
    """Text that is never shown."""
    return value


def whole(value: str) -> int:
    """A whole number that is not negative."""
    if value.isascii() and value.isdigit() and len(value) < 20:  # noqa: PLR2004 - no option has more digits
        return int(value)
    raise NotThis("a whole number")


def seconds(value: str) -> float:
    """Seconds, with a fraction or without."""
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value, re.ASCII):
        return float(value)
    raise NotThis("seconds, as 5 or 2.5")


def flag(value: str) -> bool:
    """Yes or no in the usual spellings."""
    if value.lower() in _YES:
        return True
    if value.lower() in _NO:
        return False
    raise NotThis("true or false")


def one_of(*choices: str) -> Reader:
    """One of a few words."""

    def read(value: str) -> str:
        if value.lower() in choices:
            return value.lower()
        raise NotThis(f"one of {', '.join(choices)}")

    return read


class Options:
    """
    The options that a kind takes.

    Args:
        known: The reader of each option's value.
        open: Whether options that are not known are taken as text, as an HTTP API's are.
        fold: Whether the case of a name does not matter, as for MongoDB.

    >>> Options({"timeout": seconds}).read("timeout=2.5", "redis")
    {'timeout': 2.5}
    """

    __slots__ = ("_folded", "_secrets", "known", "open")

    def __init__(
        self,
        known: dict[str, Reader] | None = None,
        *,
        open: bool = False,  # noqa: A002 - reads well
        fold: bool = False,
    ) -> None:
        self.known = known or {}
        self.open = open
        self._folded = {name.lower(): name for name in self.known} if fold else {}
        self._secrets = frozenset(name for name, reader in self.known.items() if reader is secret)

    def is_secret(self, name: str) -> bool:
        """Whether the value of *name* is never shown; of an option that nobody knows, its name tells."""
        return name in self._secrets or (self.open and name not in self.known and _TELLTALE.search(name) is not None)

    def __or__(self, more: dict[str, Reader]) -> Options:
        return Options({**self.known, **more}, open=self.open)

    def read(self, query: str, scheme: str) -> dict[str, Any]:
        """The options in *query* by name, typed."""
        found: dict[str, Any] = {}
        for place, pair in enumerate(query.split("&"), 1):
            if not pair:
                continue
            name, _, value = pair.partition("=")
            if "%" in pair and _BAD_ESCAPE.search(pair):
                raise Wrong("an option has a '%' that is not followed by two hex digits; write a '%' as %25")
            if "%" in name:
                name = unquote(name)
            if self._folded:
                name = self._folded.get(name.lower(), name)
            reader = self.known.get(name) or self._unknown(name, place, scheme)
            if name in found:
                raise Wrong(f"option {place} is given a second time")
            try:
                found[name] = reader(unquote(value) if "%" in value else value)
            except NotThis as error:
                takes = str(error)
            else:
                continue
            raise Wrong(f"the option {name!r} takes {takes}")
        return found

    def _unknown(self, name: str, place: int, scheme: str) -> Reader:
        """How to read an option that is not known; its name is told only where it is nearly a known one."""
        if self.open:
            return text
        close = nearest(name, self.known)
        if close:
            raise Wrong(f"the option {name!r} is unknown to {scheme}{close}")
        raise Wrong(f"option {place} is unknown to {scheme}; an '&' or '?' in a password is written %26 or %3F")

    @staticmethod
    def text(value: Any) -> str:
        """*value* as it is written in a URL."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float):
            return repr(value).removesuffix(".0")
        return str(value)


def nearest(name: str, known: Iterable[str]) -> str:
    """``(did you mean …?)`` where something is near."""
    close = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""
