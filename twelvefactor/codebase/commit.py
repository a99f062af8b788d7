"""Which commit is running: asked of files and variables, never of git itself."""

from __future__ import annotations

import json
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from twelvefactor.codebase import repository

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from twelvefactor._core.appcode import AppCode
    from twelvefactor._core.process import Process

COMMIT_VARIABLES = (
    "GIT_SHA",
    "GIT_COMMIT",
    "COMMIT_SHA",
    "SOURCE_COMMIT",
    "SOURCE_VERSION",
    "HEROKU_BUILD_COMMIT",
    "HEROKU_SLUG_COMMIT",
    "RENDER_GIT_COMMIT",
    "RAILWAY_GIT_COMMIT_SHA",
    "VERCEL_GIT_COMMIT_SHA",
)
"""Where builds and platforms say the commit, in the order in which they are believed."""

CI_COMMIT_VARIABLES = ("GITHUB_SHA", "CI_COMMIT_SHA")
"""Believed in continuous integration only: elsewhere they are leftovers."""


class Commit(NamedTuple):
    """The commit that is running, and who says so."""

    id: str
    source: str


def running_commit(process: Process) -> Commit | None:
    """
    The commit that *process* runs, or None where nobody can say.

    Asked in order: the build manifest, the variables of builds and platforms, the files that builds bake into an image,
    the installed distribution's ``direct_url.json``, the repository in development. Reads files, never starts git.
    """
    manifest = process.manifest.get("commit")
    if isinstance(manifest, str) and manifest:
        return Commit(manifest, "the build manifest")
    app_code = process.app_code
    return _told(process.environ) or _baked(app_code.root) or _installed(app_code) or _checked_out(app_code.root)


def _told(environ: Mapping[str, str]) -> Commit | None:
    names = COMMIT_VARIABLES + (CI_COMMIT_VARIABLES if environ.get("CI") else ())
    name = next((name for name in names if environ.get(name)), None)
    if name is not None:
        return Commit(environ[name], name)
    revision = otel_attribute(environ, "vcs.ref.head.revision")
    return Commit(revision, "OTEL_RESOURCE_ATTRIBUTES") if revision else None


def otel_attribute(environ: Mapping[str, str], name: str) -> str | None:
    """One attribute of `OTEL_RESOURCE_ATTRIBUTES`, percent-decoded. Source: OpenTelemetry resource SDK."""
    for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, _, value = pair.partition("=")
        if key.strip() == name and value:
            return unquote(value.strip())
    return None


def _installed(app_code: AppCode) -> Commit | None:
    """The commit that pip wrote down when it installed the app from version control (PEP 610)."""
    for name in app_code.packages or ():
        try:
            text = metadata.distribution(name).read_text("direct_url.json")
            commit = json.loads(text or "{}").get("vcs_info", {}).get("commit_id")
        except (metadata.PackageNotFoundError, ValueError, AttributeError):
            continue
        if isinstance(commit, str) and commit:
            return Commit(commit, "the installed distribution")
    return None


_LONGEST = 64  # hex digits of a commit


def _baked(root: Path | None) -> Commit | None:
    """The commit that the build left beside the code: Dockerflow's ``version.json``, or ``REVISION``."""
    if root is None:
        return None
    try:
        commit = json.loads((root / "version.json").read_bytes()).get("commit")
    except (OSError, ValueError, AttributeError):
        commit = None
    if isinstance(commit, str) and commit:
        return Commit(commit, "version.json")
    try:
        commit = (root / "REVISION").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return Commit(commit, "REVISION") if commit.isalnum() and len(commit) <= _LONGEST else None


def _checked_out(root: Path | None) -> Commit | None:
    git = repository.find(root)
    commit = None if git is None else repository.head(git)
    return None if commit is None else Commit(commit, "the repository")
