"""What the ledger keeps of a release and of a run, and what two releases differ in."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING, Any

from twelvefactor._core.platform import instance
from twelvefactor.build_release_run import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twelvefactor.build_release_run.ledger import Entry, Ledger


def facts_of(process: Any) -> dict[str, Any]:
    """The facts of the release that *process* runs: no value of a variable, with a ledger key an HMAC of each."""
    release, manifest = process.release, process.manifest
    lock = manifest.get("lock") or {}
    return {
        "commit": release.commit,
        "build": release.build,
        "config": release.config,
        "keyed": bool(process.environ.get(settings.KEY)),
        "branch": manifest.get("branch"),
        "dirty": manifest.get("dirty"),
        "built_at": release.built_at,
        "python": manifest.get("python"),
        "packages": lock.get("packages") or {},
        "variables": settings.fingerprints(process.config, process.environ),
        "deploy": process.deploy,
        "by": instance(process.environ),
    }


def record(ledger: Ledger, process: Any, *, once: str) -> Entry | None:
    """Append the release that *process* runs; None where it is there (``once`` as in `Ledger.append`)."""
    release = process.release
    name = release.name or release.digest
    return ledger.append("release", process.name, name, release.digest, facts_of(process), once=once)


def actor(environ: Mapping[str, str]) -> str:
    """Who started this process, as far as it can tell."""
    for name in ("TWELVEFACTOR_ACTOR", "SUDO_USER", "USER", "LOGNAME"):
        if environ.get(name):
            return environ[name]
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def difference(one: Entry, other: Entry) -> dict[str, Any]:
    """What changed from *one* release to the *other*: the commit range, dependencies, variables by name."""
    before, after = one.facts, other.facts
    same_key = before.get("keyed") == after.get("keyed")
    return {
        "from": one.name,
        "to": other.name,
        "commits": f"{_short(before)}..{_short(after)}" if _short(before) != _short(after) else None,
        "python": _pair(before.get("python"), after.get("python")),
        "dependencies": _compare(before.get("packages") or {}, after.get("packages") or {}),
        "variables": _compare(
            before.get("variables") or {}, after.get("variables") or {}, changed=same_key, show=False
        ),
        "values_compared": bool(before.get("keyed") and after.get("keyed")),
    }


def _short(facts: Mapping[str, Any]) -> str:
    return str(facts.get("commit") or "unknown")[:12]


def _pair(one: Any, other: Any) -> list[Any] | None:
    return None if one == other else [one, other]


def _compare(
    before: Mapping[str, Any], after: Mapping[str, Any], *, changed: bool = True, show: bool = True
) -> dict[str, list[str]]:
    def shown(name: str, *versions: Any) -> str:
        told = " → ".join(",".join(each) if isinstance(each, list) else str(each) for each in versions)
        return f"{name} {told}" if show else name

    return {
        "added": [shown(name, after[name]) for name in sorted(set(after) - set(before))],
        "removed": [shown(name, before[name]) for name in sorted(set(before) - set(after))],
        "changed": [
            shown(name, before[name], after[name])
            for name in sorted(set(before) & set(after))
            if changed and before[name] != after[name]
        ],
    }


ROLLBACKS = {
    "kubernetes": "kubectl rollout undo deployment/{service}{revision}",
    "heroku": "heroku rollback {name}",
}


def rollback_command(platform: str, service: str, name: str, revision: str | None) -> str:
    """
    The one command that goes back to the release *name*.

    >>> rollback_command("heroku", "orders", "v41", None)
    'heroku rollback v41'
    """
    return ROLLBACKS[platform].format(
        service=service, name=name, revision=f" --to-revision={revision}" if revision else ""
    )
