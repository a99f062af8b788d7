"""What is declared and what is locked: the build manifest says, else the files of the codebase."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twelvefactor.dependencies import declared as declarations
from twelvefactor.dependencies import locks
from twelvefactor.dependencies.declared import Declared
from twelvefactor.dependencies.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twelvefactor._core.process import Process


class Facts:
    """
    The declaration and the lock of a process.

    Attributes:
        declared: What is declared; empty where nothing is found.
        lock: What is locked, or None.
        unknown: Why nobody can say, or an empty string: an image without pyproject and without a manifest.
    """

    def __init__(self, process: Process) -> None:
        self.unknown = ""
        manifest, root = process.manifest, process.app_code.root
        if isinstance(manifest.get("declared"), dict):
            self.declared = _declared(manifest["declared"])
            self.lock = _lock(manifest.get("lock"))
        elif root is not None:
            self.declared = declarations.read(root)
            self.lock = locks.find(root, process.declaration.get("lock"))
        else:
            self.declared, self.lock = Declared(), None
        if not self.declared.source and self.lock is None and (root is None or not (root / ".git").exists()):
            self.unknown = (
                "neither a build manifest nor pyproject.toml is here; ship what `twelvefactor release build` writes"
            )


def _declared(told: Mapping[str, Any]) -> Declared:
    def words(key: str) -> tuple[str, ...]:
        return tuple(str(each) for each in told.get(key) or ())

    source, name, problem = (str(told.get(key) or "") for key in ("source", "name", "problem"))
    return Declared(words("requirements"), words("optional"), source, name, problem)


def _lock(told: Any) -> Lock | None:
    if not isinstance(told, dict):
        return None
    packages = {str(name): frozenset(versions) for name, versions in dict(told.get("packages") or {}).items()}
    same = told.get("platform") == sys.platform  # built elsewhere, its markers say nothing of this machine
    return Lock(
        Path(str(told.get("file") or "")),
        str(told.get("form") or ""),
        packages,
        frozenset(told.get("required") or ()) if same else frozenset(),
        bool(told.get("complete", True)),
        tuple(told.get("loose") or ()),
        str(told.get("problem") or ""),
    )
