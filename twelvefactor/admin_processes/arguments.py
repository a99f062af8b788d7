"""What is kept of the arguments of an admin process: never a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from twelvefactor._core.secrets import MASK, SECRETS

if TYPE_CHECKING:
    from collections.abc import Mapping

_TELLING = re.compile(r"pass|secret|token|key|credential|auth", re.IGNORECASE)
_LONGEST = 200


def shown(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """
    *arguments* as they may be recorded: secrets by type, by name and by value are masked, long ones cut.

    >>> shown({"to": "head", "api_token": "x", "days": 3})
    {'to': 'head', 'api_token': '********', 'days': 3}
    """
    return {name: MASK if _is_secret(name, value) else _shown(value) for name, value in arguments.items()}


def _is_secret(name: str, value: Any) -> bool:
    return value is not None and (hasattr(value, "get_secret_value") or bool(_TELLING.search(name)))


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_shown(each) for each in value]
    return SECRETS.mask(str(value))[:_LONGEST]
