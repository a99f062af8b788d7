"""The build manifest: what was built, written once, read by every process of the release."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tomllib
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from twelvefactor._core.declaration import MANIFEST, SCHEMA
from twelvefactor._core.distributions import normal
from twelvefactor.build_release_run import sources
from twelvefactor.codebase.vendored import copies
from twelvefactor.dependencies import declared, locks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_GIT_TIMEOUT = 30  # seconds


class Git:
    """The git of a build machine, asked about the folder *root*; None as an answer where it cannot say."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def ask(self, *words: str) -> str | None:
        """What git prints, without the last line end; None where it fails or is not there."""
        command = ["git", "-c", "core.quotepath=off", "-C", str(self._root), *words]
        environ = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
        try:
            done = subprocess.run(command, capture_output=True, timeout=_GIT_TIMEOUT, check=False, env=environ)  # noqa: S603 - git of the build machine, fixed words
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.decode(errors="replace").rstrip("\n") if done.returncode == 0 else None

    def changed(self) -> list[str] | None:
        """The tracked files of the codebase that differ from the commit, sorted."""
        told = self.ask("status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames", "--", ".")
        if told is None:
            return None
        return sorted(
            entry[3:]
            for entry in told.split("\0")
            if entry[3:] and not entry.endswith(f"/{MANIFEST}") and entry[3:] != MANIFEST
        )

    def main(self, named: str | None) -> dict[str, Any]:
        """Whether the commit is on the main branch, and how far away it is."""
        if self.ask("rev-parse", "--is-shallow-repository") == "true":
            return {"branch": named, "merged": None, "because": "the clone is shallow; fetch the whole history to know"}
        branch = self._branch(named)
        if branch is None:
            return {"branch": named, "merged": None, "because": f"the clone has no branch {named or 'main or master'}"}
        ahead = self.ask("rev-list", "--count", f"{branch}..HEAD")
        behind = self.ask("rev-list", "--count", f"HEAD..{branch}")
        if ahead is None or behind is None:
            return {"branch": branch, "merged": None, "because": "the repository has no commit"}
        return {"branch": branch, "merged": ahead == "0", "ahead": int(ahead), "behind": int(behind)}

    def _branch(self, named: str | None) -> str | None:
        default = (self.ask("rev-parse", "--abbrev-ref", "origin/HEAD") or "").removeprefix("origin/")
        for name in (named,) if named else (default, "main", "master"):
            for ref in (f"origin/{name}", name):
                if name and self.ask("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"):
                    return ref
        return None


def build(root: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """
    The facts of a build of the codebase at *root*; the same for the same tree, Python and environment.

    Args:
        root: The folder of pyproject.
        environ: May hold `SOURCE_DATE_EPOCH`, and the commit where the build has no repository.
    """
    table = _table(root)
    git = Git(root)
    changed = git.changed()
    commit = git.ask("rev-parse", "--verify", "--quiet", "HEAD") or _told(environ)
    packages = _packages(root, table)
    lock = locks.find(root, table.get("lock"))
    said = declared.read(root)
    return {
        "schema": SCHEMA,
        "commit": commit,
        "branch": _branch_name(git, environ),
        "dirty": None if changed is None else bool(changed),
        "changed": (changed or [])[:20],
        "main": git.main(table.get("main-branch")),
        "packages": [str(each.relative_to(root).as_posix()) for each in packages],
        "source_digest": sources.digest(packages),
        "lock_digest": _digest(lock.path) if lock is not None else None,
        "lock": None if lock is None else _facts(lock),
        "declared": asdict(said),
        "copies": _copies(root, table, packages, said, lock),
        "python": platform.python_version(),
        "built_at": _built_at(git, environ),
        "config": table,
    }


def write(path: Path, manifest: Mapping[str, Any]) -> None:
    """Put the manifest into *path* in one step, keys sorted."""
    text = json.dumps(manifest, indent=1, sort_keys=True, default=str, ensure_ascii=False) + "\n"
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _table(root: Path) -> dict[str, Any]:
    try:
        told = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        table = told.get("tool", {}).get("twelvefactor", {})
    except FileNotFoundError:
        return {}
    return table if isinstance(table, dict) else {}


def _packages(root: Path, table: Mapping[str, Any]) -> list[Path]:
    """The packages of the app: those declared, that of the service, else every one in the root."""
    named = table.get("packages") or [str(table.get("service", "")).partition(":")[0].partition(".")[0]]
    found = [
        path
        for name in named
        if name
        for path in (root / str(name), root / "src" / str(name), root / f"{name}.py")
        if path.exists()
    ]
    if found:
        return found
    return [path for path in sorted(root.iterdir()) if (path / "__init__.py").is_file() and path.name != "tests"]


def _told(environ: Mapping[str, str]) -> str | None:
    from twelvefactor.codebase.commit import CI_COMMIT_VARIABLES, COMMIT_VARIABLES

    return next((environ[name] for name in (*COMMIT_VARIABLES, *CI_COMMIT_VARIABLES) if environ.get(name)), None)


def _branch_name(git: Git, environ: Mapping[str, str]) -> str | None:
    """The branch; in continuous integration, where the head is detached, what it says."""
    name = git.ask("rev-parse", "--abbrev-ref", "HEAD")
    if name and name != "HEAD":
        return name
    return environ.get("GITHUB_HEAD_REF") or environ.get("GITHUB_REF_NAME") or environ.get("CI_COMMIT_REF_NAME")


def _built_at(git: Git, environ: Mapping[str, str]) -> str | None:
    """`SOURCE_DATE_EPOCH`, else the commit's time; never the clock, which would make each build differ."""
    seconds = environ.get("SOURCE_DATE_EPOCH") or git.ask("log", "-1", "--format=%ct")
    if not (seconds or "").isdecimal():
        return None
    return datetime.fromtimestamp(int(seconds or 0), UTC).isoformat().replace("+00:00", "Z")


def _copies(
    root: Path, table: Mapping[str, Any], packages: list[Path], said: declared.Declared, lock: locks.Lock | None
) -> list[dict[str, str]]:
    """The libraries that lie in the tree as copies; judged by the lock, not by what the build machine has installed."""
    own = {root.name, said.name or root.name, *(path.stem for path in packages), *table.get("packages", ())}
    installable = set(lock.packages) if lock is not None else set()
    found = copies(root, {normal(str(name)) for name in own}, installable)
    return [each._asdict() for each in found]


def _facts(lock: locks.Lock) -> dict[str, Any]:
    return {
        "file": lock.path.name,
        "form": lock.form,
        "packages": {name: sorted(versions) for name, versions in lock.packages.items()},
        "required": sorted(lock.required),
        "complete": lock.complete,
        "loose": list(lock.loose),
        "problem": lock.problem,
        "platform": sys.platform,
    }


def _digest(path: Path) -> str | None:
    try:
        text = path.read_bytes().replace(b"\r\n", b"\n")
        return f"sha256:{hashlib.sha256(text).hexdigest()}"
    except OSError:
        return None
