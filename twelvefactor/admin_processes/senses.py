"""What watches factor XII while the process runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twelvefactor._core.searching import find
from twelvefactor.admin_processes.rules import TF1201, TF1202, TF1203
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twelvefactor._core.process import Process
    from twelvefactor.admin_processes.registry import AdminProcess

_MIGRATES = re.compile(r"migrat|alembic|upgrade|schema", re.IGNORECASE)
_FOLDERS_DEEP = 3


class Migrations:
    """TF1201: a migration tool is here; is there an admin process that runs it?"""

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """Look once; the modules that declare admin processes are imported by now."""
        root = self._process.app_code.root
        if root is None:
            self._process.evidence.could_not_look(TF1201, "nobody knows the codebase root; ship a build manifest")
            return
        tool = migration_tool(root)
        self._process.evidence.looked(TF1201, f"{tool or 'no migration tool'}, and the declared admin processes")
        declared: Iterable[AdminProcess] = getattr(self._process, "admins", ())
        if tool is not None and not any(_migrates(each) for each in declared):
            message = f"{tool} is here, and no admin process is declared that runs it"
            self._process.evidence.report(Finding(TF1201, message, tool))

    def remove(self) -> None:
        """Nothing to undo."""


def migration_tool(root: Path) -> str | None:
    """The migration tool of the codebase at *root* that needs an admin process; Django's is one by itself."""
    if next(find(root, "alembic.ini", _FOLDERS_DEEP - 1), None) is not None:
        return "Alembic"
    return "Flask-Migrate" if "flask_migrate" in sys.modules and (root / "migrations" / "env.py").is_file() else None


def _migrates(process: AdminProcess) -> bool:
    code: Any = getattr(process.function, "__code__", None)
    names = (process.name, process.function.__module__, *(code.co_names if code is not None else ()))
    return any(_MIGRATES.search(name) for name in names)


class Typed:
    """TF1202: does app code run from ``python -c``, a REPL or standard input? Says too where TF1203 does not apply."""

    def __init__(self, process: Process, argv: Sequence[str] | None = None) -> None:
        self._process = process
        self._argv = sys.orig_argv if argv is None else argv

    def install(self) -> None:
        """Look once at how the process was started."""
        evidence, process_type = self._process.evidence, self._process.process_type
        if process_type not in {"admin", "shell"}:
            evidence.does_not_apply(TF1203, "this is no admin process")
        typed = None if process_type in {"admin", "shell"} else typed_as(self._argv)
        if typed is None:
            evidence.looked(TF1202, "how the process was started: from a file, a module or by our commands")
        elif self._process.deploy is None:
            because = f"app code runs from {typed}, and nothing says whether this is a deploy: set TWELVEFACTOR_DEPLOY"
            evidence.could_not_look(TF1202, because)
        else:
            message = f"app code runs from {typed} in the deploy {self._process.deploy}: it is in no commit"
            evidence.report(Finding(TF1202, message, typed))

    def remove(self) -> None:
        """Nothing to undo."""


_WITH_VALUE = {"-W", "-X", "--check-hash-based-pycs"}
_CHILDREN = ("multiprocessing.", "from multiprocessing", "joblib", "loky", "forkserver", "resource_tracker")


def typed_as(argv: Sequence[str]) -> str | None:
    """
    What code was typed into, as *argv* of the interpreter tells; None for a file, a module or another program's child.

    >>> typed_as(["python", "-c", "import orders"]), typed_as(["python", "-m", "orders"]), typed_as(["python", "-"])
    ('python -c', None, 'standard input')
    """
    if not argv or not Path(argv[0]).name.lower().startswith(("python", "pypy")):
        return None
    rest = list(argv[1:])
    while rest:
        word = rest.pop(0)
        if word in _WITH_VALUE and rest:
            rest.pop(0)
        elif word == "-":
            return "standard input"
        elif word.startswith("-c") or re.match(r"-[bBdEhiIOPqsSuvx]+c$", word):
            script = " ".join(rest) if word.endswith("c") else word[2:]
            return None if any(child in script for child in _CHILDREN) else "python -c"
        elif word == "-m" or re.match(r"-[bBdEhiIOPqsSuvx]+m$", word) or not word.startswith("-"):
            return None
    return "an interactive interpreter"
