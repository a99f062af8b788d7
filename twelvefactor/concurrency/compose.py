"""A formation as Compose wants it: one file, a service each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twelvefactor._core.yaml import dump
from twelvefactor.concurrency.formation import dns

if TYPE_CHECKING:
    from twelvefactor.concurrency.formation import Formation, ProcessType

_HEAD = (
    "# Written by: twelvefactor formation --format compose. The app's config: .env, see twelvefactor config example.\n"
)


def write(formation: Formation) -> str:
    """The Compose file."""
    services = {dns(each.name): _service(formation, each) for each in formation.types}
    return _HEAD + dump({"name": formation.name, "services": services})


def _service(formation: Formation, each: ProcessType) -> dict[str, Any]:
    environment = formation.variables(each)
    if each.serves:
        environment["HOST"] = "0.0.0.0"  # noqa: S104 - inside a container, whose ports are published by hand
    made = {
        "image": formation.image,
        "command": list(each.command),
        "environment": environment,
        "env_file": [{"path": ".env", "required": False}],
        "stop_signal": "SIGTERM",
        "stop_grace_period": f"{formation.grace_seconds}s",
        "restart": "unless-stopped",
        "healthcheck": _healthcheck(formation, each),
        "#resources": "deploy.resources: yours",
        "deploy": {"replicas": each.replicas},
    }
    if each.serves:
        published = str(formation.port) if each.replicas > 1 else f"{formation.port}:{formation.port}"
        made["ports"] = [published]
    return made


def _healthcheck(formation: Formation, each: ProcessType) -> dict[str, Any]:
    asked = ("--port", str(formation.port)) if each.serves else ()
    return {
        "test": ["CMD", "twelvefactor", "probe", *asked],
        "interval": "10s",
        "timeout": "5s",
        "retries": 3,
        "start_period": "60s",
    }
