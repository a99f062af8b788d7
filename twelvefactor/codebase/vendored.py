"""Find libraries that were copied into the codebase instead of being declared."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from twelvefactor._core.distributions import normal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_FOLDERS = {
    "vendor",
    "vendors",
    "_vendor",
    "vendored",
    "third_party",
    "thirdparty",
    "extern",
    "external",
    "lib",
    "libs",
}
_PASSED_OVER = {"node_modules", "site-packages", "dist-packages", "__pycache__", "tests", "docs", "build", "dist"}
_VERSION = re.compile(rb"^__version__\s*[:=]", re.MULTILINE)
_LICENCE = re.compile(rb"(?im)^__licen[sc]e__\s*=|^#.*\blicen[sc]ed? under\b|SPDX-License-Identifier|^#.*\bcopyright\b")
_HEADER = 4096  # bytes in which a licence header and a version stand
_DEEPEST = 4


class Copy(NamedTuple):
    """A library that lies in the codebase: its name, where, and what gives it away."""

    name: str
    where: str
    because: str


def copies(root: Path, own: Collection[str], installable: Collection[str]) -> Iterator[Copy]:
    """
    The libraries that are checked in below *root*.

    Args:
        root: The codebase root.
        own: Names of the app itself, normalised.
        installable: Names, normalised, of distributions that are installed or locked.
    """
    for folder, depth in _folders(root, 0):
        vendor = folder.name.lower() in _FOLDERS and folder != root
        if not vendor and depth > 1:
            continue
        for entry in sorted(os.scandir(folder), key=lambda each: each.name):
            found = _judge(entry, vendor=vendor, own=own, installable=installable)
            if found is not None:
                yield Copy(found[0], str(Path(entry.path).relative_to(root)), found[1])


def _folders(folder: Path, depth: int) -> Iterator[tuple[Path, int]]:
    yield folder, depth
    if depth >= _DEEPEST:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda each: each.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and not _passed_over(entry):
            yield from _folders(Path(entry.path), depth + 1)


def _passed_over(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    return name.startswith(".") or name in _PASSED_OVER or (Path(entry.path) / "pyvenv.cfg").exists()


def _judge(
    entry: os.DirEntry[str], *, vendor: bool, own: Collection[str], installable: Collection[str]
) -> tuple[str, str] | None:
    stem, suffix = Path(entry.name).stem, Path(entry.name).suffix
    if suffix in {".dist-info", ".egg-info"}:
        name = normal(stem.split("-")[0])
        return None if name in own else (name, f"its metadata {entry.name} is checked in")
    if suffix not in {"", ".py"} or normal(stem) in own:
        return None
    code = Path(entry.path) if suffix else Path(entry.path) / "__init__.py"
    name = normal(stem)
    if not (vendor or name in installable) or not code.is_file():
        return None
    header = _header(code)
    licence = bool(_LICENCE.search(header)) or (not suffix and _has_licence(Path(entry.path)))
    if not (licence and _VERSION.search(header)):
        return None
    return name, "it carries a version and a licence of its own"


def _header(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEADER)
    except OSError:
        return b""


def _has_licence(folder: Path) -> bool:
    return any(each.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")) for each in folder.iterdir())
