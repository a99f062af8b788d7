"""Read what the app declares to depend on, in every form that is current."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twelvefactor._core.distributions import normal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_NAME = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[([^\]]*)\])?")


@dataclass(frozen=True, slots=True)
class Declared:
    """
    The direct dependencies of the app.

    Attributes:
        requirements: As they are written.
        optional: Those that extras add.
        source: The file's name; empty where nothing declares anything.
        name: The app's own distribution, normalised, or an empty string.
        problem: Why the file cannot be read.
    """

    requirements: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    source: str = ""
    name: str = ""
    problem: str = ""

    def names(self) -> dict[str, frozenset[str]]:
        """The extras that are asked for, by the normalised name of the distribution."""
        found: dict[str, frozenset[str]] = {}
        for requirement in (*self.requirements, *self.optional):
            match = _NAME.match(requirement)
            if match is not None:
                extras = frozenset(normal(each.strip()) for each in (match[2] or "").split(",") if each.strip())
                found[normal(match[1])] = found.get(normal(match[1]), frozenset()) | extras
        return found


def read(root: Path) -> Declared:
    """What the manifest at *root* declares; a broken one is a problem, never an exception."""
    readers = (
        ("pyproject.toml", _pyproject),
        ("Pipfile", _pipfile),
        ("requirements.in", _requirements),
        ("requirements/base.in", _requirements),
        ("requirements.txt", _requirements),
        ("requirements/base.txt", _requirements),
    )
    for name, reader in readers:
        path = root / name
        if not path.is_file():
            continue
        try:
            found = reader(path)
        except (OSError, ValueError, AttributeError, TypeError) as error:
            return Declared(source=name, problem=f"{name}: cannot be read ({type(error).__name__})")
        if found is not None:
            return found
    return Declared()


def _pyproject(path: Path) -> Declared | None:
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    project = told.get("project", {})
    poetry = told.get("tool", {}).get("poetry", {})
    name = normal(str(project.get("name") or poetry.get("name") or ""))
    found = [*project.get("dependencies", ())]
    optional = [each for extra in project.get("optional-dependencies", {}).values() for each in extra]
    found.extend(_table(poetry.get("dependencies", {})))
    if "dependencies" in project.get("dynamic", ()) and not poetry:
        found.extend(_dynamic(told, path, name))
    if not project and not poetry:
        return None
    return Declared(tuple(found), tuple(optional), path.name, name)


def _dynamic(told: dict[str, Any], path: Path, name: str) -> Iterator[str]:
    """Dependencies that the build backend adds: from the files it names, else from the installed metadata."""
    setuptools = told.get("tool", {}).get("setuptools", {}).get("dynamic", {}).get("dependencies", {})
    files = setuptools.get("file", ())
    for each in [files] if isinstance(files, str) else files:
        found = _requirements(path.parent / each)
        yield from found.requirements
    if not files:
        from importlib import metadata

        try:
            yield from metadata.requires(name) or ()
        except metadata.PackageNotFoundError:
            return


def _table(dependencies: dict[str, Any]) -> Iterator[str]:
    """Poetry's and pipenv's tables as requirements."""
    for name, wanted in dependencies.items():
        extras = wanted.get("extras", ()) if isinstance(wanted, dict) else ()
        if normal(name) != "python":
            yield f"{name}[{','.join(extras)}]" if extras else name


def _pipfile(path: Path) -> Declared:
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    return Declared(tuple(_table(told.get("packages", {}))), (), path.name)


def _requirements(path: Path) -> Declared:
    return Declared(tuple(_listed(path, set())), (), path.name)


def _listed(path: Path, seen: set[Path]) -> Iterable[str]:
    if path in seen or not path.is_file():
        return
    seen.add(path)
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        text = line.partition(" #")[0].strip()
        included = re.match(r"(?:-r|--requirement)[ =]?\s*(\S+)", text)
        if included:
            yield from _listed(path.parent / included[1], seen)
        elif text and not text.startswith(("#", "-")):
            yield text.rstrip("\\").strip()
