"""Where the code of a service lies: its top package, and the root of its codebase."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from twelvefactor._core.declaration import Declaration


def package_folder(caller: Mapping[str, Any], packages: Iterable[str] | None) -> Path | None:
    """The folder of the service's top package: the named one's, else that of the module whose globals are *caller*."""
    top = next(iter(packages), None) if packages is not None else str(caller.get("__name__", "")).partition(".")[0]
    module: ModuleType | None = sys.modules.get(top) if top else None
    filename = getattr(module, "__file__", None) or caller.get("__file__")
    return None if filename is None else Path(filename).resolve().parent


def codebase_root(declared: Declaration, package: Path | None) -> Path | None:
    """The codebase root: the manifest's or pyproject's folder, else the parent of the service's top package."""
    if declared.root is not None:
        return declared.root
    if package is None:
        return None
    return package.parent if (package / "__init__.py").exists() else package
