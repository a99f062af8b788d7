"""What is the same in every deploy: the build manifest, else pyproject's ``[tool.twelvefactor]``."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MANIFEST = "twelvefactor-build.json"
SCHEMA = 1  # of the manifest; a newer one is said to be newer and not believed


@dataclass(frozen=True, slots=True)
class Declaration:
    """
    The ``[tool.twelvefactor]`` table and the build facts, and the file they come from.

    Attributes:
        table: The table; empty where nobody declared anything.
        manifest: The build manifest; empty where there is none.
        source: The file that was read, or None.
        problem: Why a file that is there could not be read, or an empty string.
        root: The codebase root that it gives away, or None.
    """

    table: Mapping[str, Any] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    source: Path | None = None
    problem: str = ""
    root: Path | None = None


def read(environ: Mapping[str, str], package: Path | None) -> Declaration:
    """
    Find and read the declaration; a broken file is a problem, never an exception.

    Args:
        environ: May name the manifest in `TWELVEFACTOR_BUILD`.
        package: The folder of the service's top package, or None.
    """
    for path in _manifests(environ, package):
        if path.is_file():
            return _manifest(path, _root_of(path, environ, package))
    for folder in _upward(package):
        if (folder / "pyproject.toml").is_file():
            return _pyproject(folder / "pyproject.toml")
    return Declaration()


def _manifests(environ: Mapping[str, str], package: Path | None) -> Iterator[Path]:
    named = environ.get("TWELVEFACTOR_BUILD")
    if named:
        yield Path(named)
    if package is not None:
        yield package / MANIFEST
        yield package.parent / MANIFEST
    yield Path.cwd() / MANIFEST


def _upward(package: Path | None) -> Iterator[Path]:
    start = Path.cwd() if package is None else package
    yield start
    yield from start.parents


def _root_of(path: Path, environ: Mapping[str, str], package: Path | None) -> Path | None:
    """The folder of the manifest, unless that is the package itself or a place of the operator's choice."""
    if package is None:
        return None if environ.get("TWELVEFACTOR_BUILD") else path.parent
    chosen = bool(environ.get("TWELVEFACTOR_BUILD")) or path.parent == package
    return path.parent if not chosen else package.parent if (package / "__init__.py").exists() else package


_SHAPE: dict[str, type] = {
    "config": dict,
    "main": dict,
    "declared": dict,
    "lock": dict,
    "packages": list,
    "changed": list,
    "copies": list,
}


def _has_its_shape(manifest: Any) -> bool:
    """Whether it is a manifest, so that who reads it need not look twice; a part that is null was not known."""
    if not isinstance(manifest, dict):
        return False
    if not all(isinstance(manifest.get(key), shape | None) for key, shape in _SHAPE.items()):
        return False
    locked = (manifest.get("lock") or {}).get("packages")
    return locked is None or (isinstance(locked, dict) and all(isinstance(each, list) for each in locked.values()))


def _manifest(path: Path, root: Path | None) -> Declaration:
    try:
        manifest = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        return Declaration(source=path, problem=f"{path}: cannot be read ({type(error).__name__})", root=root)
    if not _has_its_shape(manifest):
        return Declaration(source=path, problem=f"{path}: is no build manifest", root=root)
    schema = manifest.get("schema", SCHEMA)
    if not isinstance(schema, int) or schema > SCHEMA:
        problem = f"{path}: was written by a newer version (schema {schema!r}, known is {SCHEMA})"
        return Declaration(source=path, problem=problem, root=root)
    return Declaration(manifest.get("config") or {}, manifest, path, root=root)


def _pyproject(path: Path) -> Declaration:
    try:
        tool = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError) as error:
        return Declaration(source=path, problem=f"{path}: {type(error).__name__}: {error}", root=path.parent)
    table = tool.get("twelvefactor", {}) if isinstance(tool, dict) else {}
    return Declaration(table if isinstance(table, dict) else {}, {}, path, root=path.parent)
