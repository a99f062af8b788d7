"""Read lock files, in every form that is current."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twelvefactor._core.distributions import normal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Lock:
    """
    What a lock file pins.

    Attributes:
        path: The file.
        form: Its format: ``pylock``, ``uv``, ``poetry``, ``pdm``, ``pipfile`` or ``requirements``.
        packages: The versions that are locked, by normalised name; a fork of the resolution locks several.
        required: The names that an installation without extras and groups has on this machine.
        complete: Whether the format, or its hashes, promise that every transitive dependency is in it.
        loose: What is listed and not pinned.
        problem: Why the file cannot be read; empty where it can.
    """

    path: Path
    form: str
    packages: Mapping[str, frozenset[str]] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    complete: bool = True
    loose: tuple[str, ...] = ()
    problem: str = ""


def find(root: Path, named: str | None = None) -> Lock | None:
    """
    The lock of the codebase at *root*, read; or None. A file that cannot be read is a problem, never an exception.

    Args:
        root: The codebase; a workspace's lock lies above it.
        named: The file, relative to *root*, where the declaration names one.
    """
    if named:
        path = root / named
        return read(path) if path.is_file() else Lock(path, "", problem=f"{named}: there is no such file")
    for pattern in _READERS:
        for path in sorted(root.glob(pattern)):
            return read(path)
    workspace = next((folder / "uv.lock" for folder in _above(root) if (folder / "uv.lock").is_file()), None)
    return None if workspace is None else read(workspace)


def _above(root: Path) -> Iterator[Path]:
    """The folders above *root* that belong to the same repository: a workspace has one lock for all its members."""
    for folder in (root, *root.parents):
        if folder != root:
            yield folder
        if (folder / ".git").exists():
            return


def read(path: Path) -> Lock:
    """Read the lock file *path*; the name says its format."""
    form, reader = next(
        (found for pattern, found in _READERS.items() if path.match(pattern)), ("requirements", _requirements)
    )
    try:
        return reader(path)
    except (OSError, UnicodeDecodeError) as error:
        return Lock(path, form, problem=f"{path.name}: cannot be read ({type(error).__name__})")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Lock(path, form, problem=f"{path.name}: is broken or cut off ({type(error).__name__})")


def _lock(path: Path, form: str, entries: Iterable[tuple[str, str | None, bool]]) -> Lock:
    """A lock of (name, version, whether it is required here)."""
    packages: dict[str, set[str]] = {}
    required: set[str] = set()
    for name, version, wanted in entries:
        known = packages.setdefault(normal(name), set())
        if version is not None:
            known.add(version)
        if wanted:
            required.add(normal(name))
    return Lock(path, form, {name: frozenset(each) for name, each in packages.items()}, frozenset(required))


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def holds(marker: str | None, **context: Any) -> bool:
    """Whether an environment marker holds here; a broken one does, so that nothing is passed over."""
    if not marker:
        return True
    from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName

    try:
        return Marker(marker).evaluate({"extra": "", **context})
    except (InvalidMarker, UndefinedEnvironmentName):
        return True


# -- the formats -------------------------------------------------------------------------------------------------------


def _pylock(path: Path) -> Lock:
    """PEP 751."""
    from packaging.markers import Marker

    told = _toml(path)
    context: Any = {"extras": frozenset(), "dependency_groups": frozenset(told.get("default-groups", ()))}

    def wanted(marker: str | None) -> bool:
        return marker is None or Marker(marker).evaluate(context, context="lock_file")

    return _lock(
        path, "pylock", ((each["name"], each.get("version"), wanted(each.get("marker"))) for each in told["packages"])
    )


def _uv(path: Path) -> Lock:
    packages = _toml(path).get("package", [])
    roots = [each for each in packages if {"editable", "virtual"} & set(each.get("source", {}))]
    wanted = _reach(packages, [each for each in roots if each["source"] in ({"editable": "."}, {"virtual": "."})])
    own = {each["name"] for each in roots}
    return _lock(
        path,
        "uv",
        ((each["name"], each.get("version"), each["name"] in wanted) for each in packages if each["name"] not in own),
    )


def _reach(packages: list[dict[str, Any]], roots: list[dict[str, Any]]) -> set[str]:
    """The names that the roots' dependencies lead to on this machine, by way of the extras that are asked for."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for each in packages:
        by_name.setdefault(each["name"], []).append(each)
    reached: set[tuple[str, str]] = set()
    todo = [dependency for root in roots for dependency in root.get("dependencies", ())]
    while todo:
        dependency = todo.pop()
        if not holds(dependency.get("marker")):
            continue
        name = dependency["name"]
        for extra in ("", *dependency.get("extra", ())):
            if (name, extra) in reached:
                continue
            reached.add((name, extra))
            for each in by_name.get(name, ()):
                todo.extend(
                    each.get("optional-dependencies", {}).get(extra, ()) if extra else each.get("dependencies", ())
                )
    return {name for name, _ in reached}


def _poetry(path: Path) -> Lock:
    return _lock(
        path, "poetry", ((each["name"], each["version"], _in_poetry_main(each)) for each in _toml(path)["package"])
    )


def _in_poetry_main(package: Mapping[str, Any]) -> bool:
    groups = package.get("groups", [package.get("category", "main")])
    if package.get("optional") or "main" not in groups:
        return False
    markers = package.get("markers")
    return holds(markers.get("main") if isinstance(markers, dict) else markers)


def _pdm(path: Path) -> Lock:
    return _lock(
        path,
        "pdm",
        (
            (
                each["name"],
                each.get("version"),
                "default" in each.get("groups", ["default"]) and holds(each.get("marker")),
            )
            for each in _toml(path)["package"]
        ),
    )


def _pipfile(path: Path) -> Lock:
    told = json.loads(path.read_bytes())
    return _lock(
        path,
        "pipfile",
        (
            (
                name,
                each.get("version", "").removeprefix("==") or None,
                group == "default" and holds(each.get("markers")),
            )
            for group in ("default", "develop")
            for name, each in told[group].items()
        ),
    )


_CONTINUED = re.compile(r"\\\r?\n")
_COMMENT = re.compile(r"(^|\s)#.*$", re.MULTILINE)


def _requirements(path: Path) -> Lock:
    """Pinned requirements, hashed or not; files that it includes are read with it."""
    from packaging.requirements import InvalidRequirement, Requirement

    entries, loose, hashed = [], [], True
    for line in _lines(path, set()):
        text, *hashes = re.split(r"\s--", line)
        try:
            requirement = Requirement(text.strip())
        except InvalidRequirement as error:
            raise ValueError(text) from error
        pin = [
            each.version for each in requirement.specifier if each.operator in {"==", "==="} and "*" not in each.version
        ]
        if not pin and requirement.url is None:
            loose.append(requirement.name)
        hashed = hashed and any(each.startswith("hash") for each in hashes)
        entries.append((requirement.name, pin[0] if pin else None, not requirement.marker or _marked(requirement)))
    lock = _lock(path, "requirements", entries)
    return Lock(path, "requirements", lock.packages, lock.required, hashed and bool(entries), tuple(loose))


def _marked(requirement: Any) -> bool:
    return bool(requirement.marker.evaluate({"extra": ""}))


def _lines(path: Path, seen: set[Path]) -> Iterator[str]:
    if path.resolve() in seen:
        return
    seen.add(path.resolve())
    text = _COMMENT.sub("", _CONTINUED.sub(" ", path.read_text(encoding="utf-8-sig")))
    for line in map(str.strip, text.splitlines()):
        included = re.match(r"(?:-r|--requirement)[ =]?\s*(\S+)", line)
        if included:
            yield from _lines(path.parent / included[1], seen)
        elif line and not line.startswith("-"):
            yield line


_READERS: dict[str, tuple[str, Callable[[Path], Lock]]] = {
    "pylock.toml": ("pylock", _pylock),
    "pylock.*.toml": ("pylock", _pylock),
    "uv.lock": ("uv", _uv),
    "poetry.lock": ("poetry", _poetry),
    "pdm.lock": ("pdm", _pdm),
    "Pipfile.lock": ("pipfile", _pipfile),
    "requirements.lock": ("requirements", _requirements),
    "requirements.txt": ("requirements", _requirements),
    "requirements/lock.txt": ("requirements", _requirements),
    "requirements/prod*.txt": ("requirements", _requirements),
    "requirements/base.txt": ("requirements", _requirements),
}
"""Where locks lie, in the order in which they are believed."""
