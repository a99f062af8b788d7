"""Anything goes in, plain data comes out: what JSON can hold, with nothing in it that must not be shown."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta, timezone
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from twelvefactor._core.secrets import MASK, SECRETS
from twelvefactor.logs.hiding import HIDE_TEXT, IN_DEPTH, LEAK, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twelvefactor.logs.hiding import Verdicts

MOST_DEEP: Final = 24
MOST_NODES: Final = 10_000  # in one value; a list of a million rows is no log field
MOST_TEXT: Final = 10_000  # of a repr
PLAIN: Final = frozenset({int, float, bool, type(None), date})
"""Types that go to JSON as they are and cannot hold a secret."""
_CIRCLE = "<a circle, or too deep>"
ENDLESS: Final = sys.maxsize  # what no text is as long as
_64_BITS = 2**63
_KNOWN_ZONES = frozenset({type(None), timezone, ZoneInfo})  # orjson crashes the process where another one raises
_NUMBERS = (bool, int, float, type(None))


class Cleaner:
    """
    Makes plain data of values, and hides what must not be shown.

    Args:
        verdicts: Which keys are hidden.
        mask: Masks the known secrets in a text.
    """

    __slots__ = ("mask", "shortest", "verdicts", "version")

    def __init__(self, verdicts: Verdicts, mask: Callable[[str], str]) -> None:
        self.verdicts = verdicts
        self.mask = mask
        self.version = -1
        self.shortest = ENDLESS  # a shorter text holds no secret
        self.refresh()

    def refresh(self) -> None:
        """Take notice of the secrets that came since."""
        if self.version != SECRETS.version:
            self.version = SECRETS.version
            self.shortest = SECRETS.shortest or ENDLESS
            self.verdicts.forget()

    def clean(self, value: Any) -> Any:
        """Plain data for *value*; never raises an `Exception`."""
        if self.version != SECRETS.version:
            self.refresh()
        try:
            return _Walk(self).visit(value)
        except Exception as error:  # noqa: BLE001 - another thread changed a dict, or our own fault
            return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"

    def hidden(self, value: Any, verdict: int) -> Any:
        """What is shown under a key with *verdict*: whether something is there, not what."""
        if value is None or value is True or value is False or value == "":
            return value
        if verdict & HIDE_TEXT and isinstance(value, _NUMBERS):
            return value
        return MASK


class _Walk:
    """One value on its way: bounded in depth and size, and safe against circles."""

    __slots__ = ("cleaner", "left", "path")

    def __init__(self, cleaner: Cleaner) -> None:
        self.cleaner = cleaner
        self.left = MOST_NODES
        self.path: list[int] = []  # the containers that this one is in

    def visit(self, value: Any) -> Any:
        """Plain data for *value*; what cannot be shown is named instead."""
        kind = type(value)
        if kind is dict:
            return self.pairs(value, value.items(), len(value))
        if kind is list or kind is tuple:
            return self.items(value, value, len(value))
        if kind is str:
            return self.cleaner.mask(value)
        if kind in PLAIN or (kind is datetime and type(value.tzinfo) in _KNOWN_ZONES):
            return value
        depth = len(self.path)
        try:
            return self.other(value)
        except Exception as error:  # noqa: BLE001 - the app's own code
            del self.path[depth:]
            return f"<{kind.__name__} that cannot be shown: {type(error).__name__}>"

    def pairs(self, owner: Any, pairs: Iterable[tuple[Any, Any]], count: int) -> dict[str, Any]:
        """The entries of *owner* as plain data, without what must not be shown."""
        self.left -= count
        if self.left < 0:
            return self.some_pairs(owner, pairs, count)
        cleaner = self.cleaner
        verdict, shortest = cleaner.verdicts.known.get, cleaner.shortest
        result: dict[str, Any] = {}
        inside = False
        for key, value in pairs:
            if type(key) is not str or verdict(key, UNKNOWN) & IN_DEPTH:
                self.special(result, key, value)
                continue
            kind = type(value)
            if kind in PLAIN or (kind is str and len(value) < shortest):
                result[key] = value
                continue
            if not inside:
                inside = True
                if self.enter(owner):
                    return {"…": _CIRCLE}
            result[key] = self.visit(value)
        if inside:
            self.path.pop()
        return result

    def items(self, owner: Any, items: Iterable[Any], count: int) -> list[Any]:
        """The items of *owner* as plain data."""
        self.left -= count
        if self.left < 0:
            return self.some_items(owner, items, count)
        shortest = self.cleaner.shortest
        result: list[Any] = []
        inside = False
        for item in items:
            kind = type(item)
            if kind in PLAIN or (kind is str and len(item) < shortest):
                result.append(item)
                continue
            if not inside:
                inside = True
                if self.enter(owner):
                    return [_CIRCLE]
            result.append(self.visit(item))
        if inside:
            self.path.pop()
        return result

    def enter(self, owner: Any) -> bool:
        """Go into *owner*; true where that goes round in a circle, or too deep."""
        mark = id(owner)
        if mark in self.path or len(self.path) >= MOST_DEEP:
            return True
        self.path.append(mark)
        return False

    def special(self, result: dict[str, Any], key: Any, value: Any) -> None:
        """An entry that is hidden, or whose key is no text or holds a secret."""
        cleaner = self.cleaner
        text = key if type(key) is str else _key_text(key)
        verdict = cleaner.verdicts.of(text) & IN_DEPTH
        if verdict & LEAK:
            text = cleaner.mask(text)
        if verdict & ~LEAK:
            result[text] = cleaner.hidden(value, verdict)
        else:
            self.path.append(0)  # counts for the depth
            result[text] = self.visit(value)
            self.path.pop()

    def some_pairs(self, owner: Any, pairs: Iterable[tuple[Any, Any]], count: int) -> dict[str, Any]:
        """As many entries as the line may still have."""
        most, self.left = max(count + self.left, 0), count
        shown = self.pairs(owner, islice(pairs, most), count)
        return {**shown, "…": f"{count - most} more"}

    def some_items(self, owner: Any, items: Iterable[Any], count: int) -> list[Any]:
        """As many items as the line may still have."""
        most, self.left = max(count + self.left, 0), count
        return [*self.items(owner, islice(items, most), count), f"… {count - most} more"]

    def other(self, value: Any) -> Any:
        if hasattr(type(value), "get_secret_value"):
            return MASK
        if hasattr(type(value), "reveal"):  # our own values that mask themselves
            return self.cleaner.mask(str(value))
        for kind, make in _KINDS:
            if isinstance(value, kind):
                return self.visit(make(value))
        attributes = _attributes_of(value)
        if attributes is not None:
            return self.pairs(value, attributes, len(attributes))
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return self.pairs(value, zip(value._fields, value, strict=False), len(value))
        if isinstance(value, Mapping):
            return self.pairs(value, value.items(), len(value))
        if isinstance(value, (list, tuple, AbstractSet)) or type(value).__name__ in ("deque", "dict_values"):
            return self.items(value, value, len(value))
        if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
            return self.visit(value.tolist() if getattr(value, "size", 1) <= MOST_NODES else repr(value))
        return self.cleaner.mask(_text_of(value))


def _exact(value: str) -> str:
    return str.__str__(value)


def _decode(value: Any) -> str:
    return bytes(value).decode("utf-8", "backslashreplace")


def exception_text(error: BaseException) -> str:
    """``Type: message`` of *error*, also where its ``str`` raises."""
    name = qualified_name(type(error))
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - the app's own code
        message = "<str() of the exception failed>"
    return f"{name}: {message}" if message else name


def qualified_name(kind: type) -> str:
    """
    A type's name as tracebacks show it.

    >>> qualified_name(ValueError), qualified_name(Cleaner)
    ('ValueError', 'twelvefactor.logs.values.Cleaner')
    """
    module = getattr(kind, "__module__", None)
    return kind.__qualname__ if module in ("builtins", "__main__", None) else f"{module}.{kind.__qualname__}"


_KINDS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (Enum, lambda value: value.value),
    (str, _exact),
    (bytes, _decode),
    ((bytearray, memoryview), _decode),
    (datetime, datetime.isoformat),
    (date, date.isoformat),
    (time, time.isoformat),
    (timedelta, timedelta.total_seconds),
    (int, int.__int__),
    (float, float.__float__),
    (BaseException, exception_text),
    (type, qualified_name),
)


def _attributes_of(value: Any) -> list[tuple[str, Any]] | None:
    """The shown attributes of a record-like object: dataclass, pydantic model, attrs class."""
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind) if field.repr]
    elif "__pydantic_fields__" in dir(kind):
        names = [name for name, field in kind.__pydantic_fields__.items() if field.repr]
        names += list(getattr(value, "__pydantic_extra__", None) or ())
    elif hasattr(kind, "__attrs_attrs__"):
        names = [field.name for field in kind.__attrs_attrs__ if field.repr]
    else:
        return None
    return [(name, getattr(value, name, None)) for name in names]


_BY_STR = frozenset({"uuid", "decimal", "pathlib", "pathlib._local", "ipaddress", "fractions", "zoneinfo"})


def _text_of(value: Any) -> str:
    structured = getattr(type(value), "__structlog__", None)
    if structured is not None:
        return str(structured(value))[:MOST_TEXT]
    show = str if type(value).__module__ in _BY_STR else repr
    return show(value)[:MOST_TEXT]


def _key_text(key: Any) -> str:
    try:
        if isinstance(key, Enum):
            key = key.value
        if isinstance(key, (bytes, bytearray)):
            return _decode(key)
        return _exact(key) if isinstance(key, str) else str(key)[:MOST_TEXT]
    except Exception as error:  # noqa: BLE001 - the app's own code
        return f"<{type(key).__name__} that cannot be shown: {type(error).__name__}>"


def encodable(value: Any) -> Any:
    r"""
    Plain data that any JSON encoder takes: no lone surrogates, no number beyond 64 bits.

    >>> encodable({"a": 2**70, "b": chr(0xd800)})
    {'a': '1180591620717411303424', 'b': '\\ud800'}
    """
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [encodable(item) for item in value]
    if isinstance(value, int) and not -_64_BITS <= value < 2 * _64_BITS:
        return _long_number(value)
    return value


def _long_number(value: int) -> str:
    limit = sys.get_int_max_str_digits() or 4300
    return str(value) if value.bit_length() < limit * 3 else f"{value:#x}"[:MOST_TEXT]
