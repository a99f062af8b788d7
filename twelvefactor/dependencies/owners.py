"""Whose is a module: the distributions that an import name belongs to."""

from __future__ import annotations

import csv
import functools
from typing import TYPE_CHECKING

from twelvefactor._core.distributions import Distribution, installed, normal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


class Owners:
    """
    Tells which installed distributions provide a top-level module; reads the lists of files only of those it must.

    Args:
        distributions: The installed ones, by normalised name.
    """

    def __init__(self, distributions: Mapping[str, Distribution] | None = None) -> None:
        self._installed = installed() if distributions is None else distributions
        self._provides: dict[str, frozenset[str]] = {}
        self._all: dict[str, set[str]] | None = None

    def of(self, module: str, likely: Collection[str] = ()) -> frozenset[str]:
        """
        The distributions that provide the top-level *module*; empty where none does.

        Args:
            module: The import name.
            likely: Distributions that are asked first; where one of them provides it, nobody else is asked.
        """
        same = normal(module)
        if same in likely and same in self._installed:
            return frozenset({same})
        found = frozenset(name for name in likely if name in self._installed and module in self._provided(name))
        return found or frozenset(self._everyone().get(module, ()))

    def _everyone(self) -> dict[str, set[str]]:
        if self._all is None:
            self._all = {}
            for name in self._installed:
                for module in self._provided(name):
                    self._all.setdefault(module, set()).add(name)
        return self._all

    def _provided(self, name: str) -> frozenset[str]:
        known = self._provides.get(name)
        if known is None:
            known = self._provides[name] = _modules_of(self._installed[name])
        return known


@functools.lru_cache(maxsize=4096)  # by name, version and folder
def _modules_of(distribution: Distribution) -> frozenset[str]:
    return frozenset(_modules(distribution))


def _modules(distribution: Distribution) -> Iterator[str]:
    """The top-level modules of a distribution, by the lists that installers and builders leave."""
    try:
        yield from (distribution.path / "top_level.txt").read_text(encoding="utf-8").split()
    except OSError:
        pass
    else:
        return
    try:
        record = (distribution.path / "RECORD").read_text(encoding="utf-8")
    except OSError:
        return
    seen = set()
    for line in record.splitlines():
        path = next(csv.reader([line]))[0] if line.startswith('"') else line.partition(",")[0]
        top, _, rest = path.partition("/")
        if top not in seen:
            seen.add(top)
            name = _module(top, rest)
            if name:
                yield name


def _module(top: str, rest: str) -> str:
    if rest:
        return top if top.isidentifier() and top != "__pycache__" else ""
    stem, dot, suffix = top.partition(".")
    return stem if dot and stem.isidentifier() and suffix.endswith(("py", "so", "pyd")) else ""
