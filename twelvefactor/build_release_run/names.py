"""Name the release that runs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twelvefactor.build_release_run import settings
from twelvefactor.codebase import otel_attribute, running_commit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twelvefactor._core.process import Process
    from twelvefactor.codebase import Commit

RELEASE_VARIABLES = (
    "TWELVEFACTOR_RELEASE",
    "RELEASE_VERSION",
    "HEROKU_RELEASE_VERSION",
    "K_REVISION",
    "CLOUD_RUN_EXECUTION",
    "GAE_VERSION",
    "FLY_MACHINE_VERSION",
    "FLY_IMAGE_REF",
    "DD_VERSION",
)
"""Where platforms name the release, in the order in which they are believed."""

_DIGITS = 16  # hex digits of a digest: enough to tell releases apart, short enough to read out


@dataclass(frozen=True, slots=True)
class Release:
    """
    A build and a config that run together.

    Attributes:
        name: What events call it: the platform's name, else the commit's first twelve digits; None where nobody says.
        commit: The commit that was built, or None.
        named_by: Who names the release, or None where only the commit is known.
        built_at: When, as the manifest says, or None.
        build: The digest of the build: commit, sources, lock and Python; None without a build manifest and a commit.
        config: The digest of the config.
        digest: The digest of both; the same in every process of the release.
    """

    name: str | None
    commit: str | None
    named_by: str | None
    built_at: str | None = None
    build: str | None = None
    config: str = ""
    digest: str = ""

    def facts(self) -> dict[str, str | None]:
        """What the version endpoint says."""
        return {"release": self.name, "commit": self.commit, "built_at": self.built_at, "digest": self.digest}


def identify(process: Process) -> Release:
    """Name the release that *process* runs, from its environment and its build manifest."""
    commit = running_commit(process)
    name, named_by = _name(process, commit)
    short = commit.id[:12] if commit is not None else None
    built_at = process.manifest.get("built_at")
    build = build_digest(process.manifest, commit.id if commit else None)
    config = settings.digest(process.config, process.environ)
    return Release(
        name or short,
        commit.id if commit else None,
        named_by,
        str(built_at) if built_at else None,
        build,
        config,
        digest_of(build or "", config),
    )


def build_digest(manifest: Mapping[str, Any], commit: str | None) -> str | None:
    """The digest of what was built; None where nobody says what that is."""
    facts = {key: manifest.get(key) for key in ("source_digest", "lock_digest", "python")} if manifest else {}
    return digest_of(commit, facts) if commit or facts else None


def digest_of(*parts: Any) -> str:
    """
    A short digest of JSON values.

    >>> digest_of("a", 1) == digest_of("a", 1) != digest_of("a", 2)
    True
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:_DIGITS]


def _name(process: Process, commit: Commit | None) -> tuple[str | None, str | None]:
    variable = next((name for name in RELEASE_VARIABLES if process.environ.get(name)), None)
    if variable is not None:
        return process.environ[variable], variable
    told = otel_attribute(process.environ, "service.version")
    if told:
        return told, "OTEL_RESOURCE_ATTRIBUTES"
    told = _cloud_foundry(process.environ)
    if told:
        return told, "VCAP_APPLICATION"
    if process.manifest and commit is not None:
        return commit.id[:12], "the build manifest"
    return None, None


def _cloud_foundry(environ: Mapping[str, str]) -> str | None:
    try:
        told = json.loads(environ.get("VCAP_APPLICATION") or "{}").get("application_version")
    except (ValueError, AttributeError):
        return None
    return told if isinstance(told, str) and told else None
