"""The installed distributions, by the names of their metadata folders: a hundred of them in a few milliseconds."""

from __future__ import annotations

import functools
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlparse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_NAME = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+?)(?:-py[\d.]+.*)?\.(?:dist-info|egg-info)$")


class Distribution(NamedTuple):
    """
    One installed distribution.

    Attributes:
        name: Normalised.
        version: As its metadata folder says.
        path: The metadata folder (or file, of old eggs).
    """

    name: str
    version: str
    path: Path

    @property
    def folder(self) -> Path:
        """Where its code lies."""
        return self.path.parent

    def editable(self) -> Path | None:
        """The folder of its source where it was installed editable, else None."""
        told = self._direct_url()
        about, url = told.get("dir_info"), told.get("url")
        if isinstance(about, dict) and about.get("editable") and isinstance(url, str):
            return Path(unquote(urlparse(url).path))
        return None

    def is_local(self) -> bool:
        """Whether it was installed from a folder of this machine."""
        return "dir_info" in self._direct_url()

    def _direct_url(self) -> dict[str, Any]:
        return _direct_url(self.path)


@functools.lru_cache(maxsize=4096)  # what is installed does not change without `forget`
def _direct_url(metadata: Path) -> dict[str, Any]:
    try:
        told = json.loads((metadata / "direct_url.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def normal(name: str) -> str:
    """
    A distribution's name as indexes compare it.

    >>> normal("Ruamel_Yaml")
    'ruamel-yaml'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


_known: tuple[tuple[str, ...], dict[str, Distribution]] | None = None


def installed(path: Iterable[str] | None = None) -> Mapping[str, Distribution]:
    """The distributions that *path*, `sys.path` if not given, leads to, by normalised name; the first one wins."""
    global _known  # noqa: PLW0603 - the distributions are the process's
    if path is not None:
        return _scan(path)
    now = tuple(sys.path)
    if _known is None or _known[0] != now:
        _known = (now, _scan(now))
    return _known[1]


def _scan(path: Iterable[str]) -> dict[str, Distribution]:
    found: dict[str, Distribution] = {}
    for folder in path:
        for each in _in_folder(folder):
            found.setdefault(each.name, each)
    return found


def _in_folder(folder: str) -> Iterator[Distribution]:
    try:
        names = os.listdir(folder or ".")  # noqa: PTH208 - ten times faster than Path.iterdir
    except OSError:
        return
    for name in names:
        match = _NAME.match(name) if name.endswith("-info") else None
        if match is not None:
            yield Distribution(normal(match["name"]), match["version"], Path(folder or ".", name))


def forget() -> None:
    """Scan anew at the next question; for tests, and after an installation."""
    global _known  # noqa: PLW0603 - as above
    _known = None
    _direct_url.cache_clear()
