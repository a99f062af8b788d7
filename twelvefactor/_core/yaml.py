"""Write YAML that people edit on: blocks, comments, and text in JSON's quotes, which YAML reads as they are."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def dump(document: Mapping[str, Any]) -> str:
    """
    *document* as YAML; a key that begins with ``#`` is a comment.

    >>> print(dump({"#": "by hand", "command": ["a", "b 1"], "env": [{"name": "X", "value": "1"}]}), end="")
    # by hand
    command: [a, "b 1"]
    env:
      - name: X
        value: "1"
    """
    return "".join(f"{line}\n" for line in _mapping(document))


def _mapping(items: Mapping[str, Any]) -> Iterator[str]:
    for key, value in items.items():
        if key.startswith("#"):
            yield f"# {value}"
        else:
            yield from _entry(_text(key), value)


def _entry(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield f"{key}:"
        yield from (f"  {line}" for line in _mapping(value))
    elif isinstance(value, list | tuple) and any(isinstance(each, dict) for each in value):
        yield f"{key}:"
        yield from _rows(value)
    else:
        yield f"{key}: {_scalar(value)}"


def _rows(values: Sequence[Any]) -> Iterator[str]:
    for value in values:
        for number, line in enumerate(_mapping(value)):
            yield f"  {'  ' if number else '- '}{line}"


def _scalar(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_scalar, value))}]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else json.dumps(text, ensure_ascii=False)
