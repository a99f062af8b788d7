"""Find a file near the top of a codebase."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_OTHERS = {"node_modules", "site-packages", "dist-packages", "__pycache__"}


def find(root: Path, name: str, deep: int) -> Iterator[Path]:
    """The files called *name* in *root* and up to *deep* folders below it, the nearest first."""
    level = [str(root)]
    for _ in range(deep + 1):
        below: list[str] = []
        for folder in level:
            entries = _entries(folder)
            yield from (Path(each.path) for each in entries if each.name == name and each.is_file())
            below += [each.path for each in entries if not _others(each) and each.is_dir(follow_symlinks=False)]
        level = below


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda each: each.name)
    except OSError:
        return []


def _others(entry: os.DirEntry[str]) -> bool:
    return entry.name.startswith(".") or entry.name in _OTHERS
