"""Digests of source files: what was built, what started, what lies on disk now."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PASSED_OVER = {"__pycache__", "node_modules", "site-packages", "dist-packages"}


def files(folder: Path) -> Iterator[Path]:
    """The Python files below *folder*, sorted; environments, hidden folders and links to folders are passed over."""
    if folder.is_file():
        yield folder
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda each: each.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            inner = Path(entry.path)
            if (
                not entry.name.startswith(".")
                and entry.name not in _PASSED_OVER
                and not (inner / "pyvenv.cfg").exists()
            ):
                yield from files(inner)
        elif entry.name.endswith(".py"):
            yield Path(entry.path)


def digest(folders: Iterable[Path]) -> str:
    """One digest of the Python files of packages: their names below each package's parent, and what they hold."""
    whole = hashlib.sha256()
    for folder in folders:
        for path in files(folder):
            whole.update(f"{path.relative_to(folder.parent).as_posix()}\0".encode(errors="surrogateescape"))
            whole.update(of(path))
    return f"sha256:{whole.hexdigest()}"


def of(path: Path) -> bytes:
    """The digest of what *path* holds, line ends as git keeps them; empty where it is gone."""
    try:
        return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).digest()
    except OSError:
        return b""
