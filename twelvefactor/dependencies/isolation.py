"""TF204: is the interpreter isolated from the machine's own packages?"""

from __future__ import annotations

import site
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from twelvefactor._core.platform import CONTAINER_MARKS, container
from twelvefactor.dependencies.rules import TF204
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twelvefactor._core.process import Process


class Interpreter:
    """What isolates this interpreter, as far as it can tell."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.prefix, self.base_prefix, self.path = sys.prefix, sys.base_prefix, tuple(sys.path)
        self.containers = CONTAINER_MARKS

    @property
    def container(self) -> str:
        """What says that this is a container, or an empty string."""
        return container(self._environ, self.containers)

    @property
    def environment(self) -> str:
        """The virtual environment, or an empty string."""
        if self.prefix != self.base_prefix:
            return self.prefix
        return self.prefix if (Path(self.prefix) / "conda-meta").is_dir() else ""

    @property
    def sees_system(self) -> bool:
        """Whether the virtual environment lets the machine's packages in."""
        try:
            text = (Path(self.prefix) / "pyvenv.cfg").read_text(encoding="utf-8")
        except OSError:
            return False
        settings = dict(line.replace(" ", "").split("=", 1) for line in text.lower().splitlines() if "=" in line)
        return self.prefix != self.base_prefix and settings.get("include-system-site-packages") == "true"

    @property
    def user_site(self) -> str:
        """The user's own packages, where they are on the path."""
        folder = site.getusersitepackages()
        return folder if folder in self.path and Path(folder).is_dir() else ""


class Isolated:
    """Looks once at the interpreter."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """Look."""
        judge(self._process, Interpreter(self._process.environ))

    def remove(self) -> None:
        """Nothing to undo."""


def judge(process: Process, interpreter: Interpreter) -> None:
    """Decide TF204 for *process*."""
    container, environment = interpreter.container, interpreter.environment
    process.evidence.looked(TF204, f"{container or environment or interpreter.prefix}, without user packages")
    if interpreter.user_site:
        _report(process, f"{interpreter.user_site} is on the path: packages of one user of this machine", "user site")
    if interpreter.sees_system:
        _report(process, "the virtual environment lets the machine's site-packages in", "system site-packages")
    if not environment and not container:
        _report(process, f"{interpreter.prefix} is neither a virtual environment nor in a container", "environment")


def _report(process: Process, message: str, culprit: str) -> None:
    process.evidence.report(Finding(TF204, message, culprit))
