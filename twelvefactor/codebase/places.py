"""Where code may come from: the codebase, the installed distributions, the interpreter; and who else adds code."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from twelvefactor._core import distributions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OURS = str(Path(__file__).resolve().parent.parent)
_INSTALLED = ("/site-packages/", "/dist-packages/")
_METADATA = (".dist-info", ".egg-info")


class Places:
    """
    Tells code of the codebase and of installed distributions from code of anywhere else.

    Args:
        root: The codebase root.
        environ: May name folders of an injector, such as a telemetry agent, in `PYTHONPATH`.
    """

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self._known: dict[str, bool] = {}
        self._allowed = tuple(
            dict.fromkeys(f"{place.rstrip('/')}/" for place in (str(root), str(root.resolve()), *_interpreter(), _OURS))
        )
        self._injected = tuple(f"{folder.rstrip('/')}/" for folder in _injectors(environ))

    def injected(self, filename: str) -> bool:
        """Whether an injector put it there: a folder of `PYTHONPATH` with a ``sitecustomize``."""
        return filename.startswith(self._injected)

    def allowed(self, filename: str) -> bool:
        """Whether *filename* lies in the codebase, in an installed distribution or in the interpreter."""
        if filename.startswith(self._allowed) or any(folder in filename for folder in _INSTALLED):
            return True
        real = os.path.realpath(filename)
        return real.startswith(self._allowed) or self._is_installed_in(filename)

    def _is_installed_in(self, filename: str) -> bool:
        """A folder of `sys.path` that holds metadata of distributions is a place of installed distributions."""
        for folder in sys.path:
            if folder and filename.startswith(f"{folder.rstrip('/')}/"):
                known = self._known.get(folder)
                if known is None:
                    known = self._known[folder] = _holds_metadata(folder)
                if known:
                    return True
        return False


def _interpreter() -> Iterator[str]:
    names = ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
    paths = {sysconfig.get_path(name) for name in names} | {sys.prefix, sys.base_prefix, sys.exec_prefix}
    paths -= {None, "", "/", "/usr", "/usr/local"}  # a whole machine is no place
    paths |= {"/usr/lib/python3", "/usr/local/lib"} | set(editables())
    for path in paths:
        if path:
            yield path
            yield os.path.realpath(path)


def editables() -> Iterator[str]:
    """The folders of distributions that were installed editable: their code is declared, wherever it lies."""
    for each in distributions.installed().values():
        source = each.editable()
        if source is not None:
            yield str(source)


def _injectors(environ: Mapping[str, str]) -> Iterator[str]:
    for folder in environ.get("PYTHONPATH", "").split(os.pathsep):
        if folder and (Path(folder) / "sitecustomize.py").is_file():
            yield folder
            yield str(Path(folder).parent)  # agents keep their own packages beside it


def _holds_metadata(folder: str) -> bool:
    try:
        return any(name.endswith(_METADATA) for name in os.listdir(folder))  # noqa: PTH208 - many times faster
    except OSError:
        return False
