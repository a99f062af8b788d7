"""A Procfile: one line a process type, as Foreman and Heroku read it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")


def parse(text: str) -> dict[str, str]:
    r"""
    The command of each process type that *text* names; comments and what is no such line are left out.

    >>> parse("web: twelvefactor run web\n# told by the platform\nworker: celery -A orders worker\n")
    {'web': 'twelvefactor run web', 'worker': 'celery -A orders worker'}
    """
    found = (_LINE.match(line.rstrip()) for line in text.splitlines())
    return {match[1]: match[2] for match in found if match is not None}


def write(commands: Mapping[str, str]) -> str:
    r"""
    The Procfile that names *commands*.

    >>> write({"web": "twelvefactor run web"})
    'web: twelvefactor run web\n'
    """
    return "".join(f"{name}: {command}\n" for name, command in commands.items())


def types_of(root: Path | None) -> tuple[str, ...]:
    """The process types of the Procfile in *root*; none where there is no such file."""
    return tuple(read(root))


def read(root: Path | None) -> dict[str, str]:
    """The process types of the Procfile in *root*, and their commands; empty where there is no such file."""
    if root is None:
        return {}
    try:
        return parse((root / "Procfile").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}
