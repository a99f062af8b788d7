"""A formation as Kubernetes wants it: a Deployment each, a Service where one serves, a CronJob a tick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twelvefactor._core.yaml import dump
from twelvefactor.concurrency.formation import dns
from twelvefactor.concurrency.ticks import weekdays
from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from twelvefactor.concurrency.formation import Formation, ProcessType
    from twelvefactor.concurrency.ticks import Tick

_HEAD = """\
# Written by: twelvefactor formation --format kubernetes
# The ConfigMap and the Secret that it reads: twelvefactor config kubernetes
"""
_RESOURCES = "resources: yours; requests of memory and processor, a limit of memory"
_CRONJOB = 52  # characters; the cluster appends eleven
_DEADLINE = 10  # seconds; the cluster looks no more often
_MINUTE, _HOUR = 60, 3600


def write(formation: Formation) -> str:
    """The manifests, one document each."""
    made = [document for each in formation.types for document in _of(formation, each)]
    made += [_cron_job(formation, tick) for tick in formation.ticks]
    return _HEAD + "---\n".join(map(dump, made))


def _of(formation: Formation, each: ProcessType) -> list[dict[str, Any]]:
    deployment = _deployment(formation, each)
    return [deployment, _service(formation, each)] if each.serves else [deployment]


def _labels(formation: Formation, component: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": formation.name, "app.kubernetes.io/component": dns(component)}


def _metadata(formation: Formation, component: str) -> dict[str, Any]:
    return {"name": f"{formation.name}-{dns(component)}", "labels": _labels(formation, component)}


def _deployment(formation: Formation, each: ProcessType) -> dict[str, Any]:
    labels = _labels(formation, each.name)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(formation, each.name),
        "spec": {
            "#replicas": "where an autoscaler changes it, give the largest here: TWELVEFACTOR_REPLICAS says the same",
            "replicas": each.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _pod(formation, each)},
        },
    }


def _pod(formation: Formation, each: ProcessType) -> dict[str, Any]:
    return {
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": formation.grace_seconds,
        "containers": [{**_container(formation, each), **_ports(formation, each), **_probes(each), **_hook(formation)}],
    }


def _container(formation: Formation, each: ProcessType) -> dict[str, Any]:
    return {
        "name": dns(each.name),
        "image": formation.image,
        "command": list(each.command),
        "env": [{"name": name, "value": value} for name, value in formation.variables(each).items()],
        "envFrom": [{"configMapRef": {"name": formation.name}}, {"secretRef": {"name": formation.name}}],
        "#resources": _RESOURCES,
    }


def _ports(formation: Formation, each: ProcessType) -> dict[str, Any]:
    return {"ports": [{"name": "http", "containerPort": formation.port}]} if each.serves else {}


def _probes(each: ProcessType) -> dict[str, Any]:
    """Start-up may take a minute; liveness restarts, so it is slow; readiness is asked more often."""
    ready: dict[str, Any] | None
    live: dict[str, Any]
    started: dict[str, Any]
    if each.serves:
        live, ready, started = (
            {"httpGet": {"path": path, "port": "http"}} for path in ("/livez", "/readyz", "/startupz")
        )
    else:
        live, ready = {"exec": {"command": ["twelvefactor", "probe"]}}, None
        started = {"exec": {"command": ["twelvefactor", "probe", "--ready"]}}
    probes: dict[str, Any] = {
        "startupProbe": {**started, "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 30},
        "livenessProbe": {**live, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
    }
    if ready is not None:
        probes["readinessProbe"] = {**ready, "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 1}
    return probes


def _hook(formation: Formation) -> dict[str, Any]:
    return {"lifecycle": {"preStop": {"sleep": {"seconds": formation.pre_stop}}}} if formation.pre_stop else {}


def _service(formation: Formation, each: ProcessType) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(formation, each.name),
        "spec": {
            "selector": _labels(formation, each.name),
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        },
    }


def _cron_job(formation: Formation, tick: Tick) -> dict[str, Any]:
    from twelvefactor.concurrency.formation import ProcessType

    once = ProcessType("clock", ("twelvefactor", "run", "clock", "--tick", tick.name))
    metadata = _metadata(formation, tick.name)
    container = {**_container(formation, once), "name": dns(tick.name)}
    container["env"] = [each for each in container["env"] if each["name"] != "TWELVEFACTOR_HEARTBEAT"]
    pod = {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": formation.grace_seconds,
        "containers": [container],
    }
    template = {"metadata": {"labels": metadata["labels"]}, "spec": pod}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {**metadata, "name": metadata["name"][:_CRONJOB].rstrip("-")},
        "spec": {
            "schedule": schedule(tick),
            "timeZone": "Etc/UTC" if tick.timezone == "UTC" else tick.timezone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": max(_DEADLINE, int(tick.misfire_grace)),
            "jobTemplate": {"spec": {"backoffLimit": 0, "ttlSecondsAfterFinished": 86400, "template": template}},
        },
    }


def schedule(tick: Tick) -> str:
    """
    The crontab line of *tick*, as the cluster reads it: it knows no day 7.

    Raises:
        UsageError: It has an interval that no crontab line says.
    """
    if tick.cron:
        *others, days = tick.cron.split()
        return " ".join((*others, ",".join(weekdays(days.lower())))).lower()
    every = int(tick.every)
    if every % _HOUR == 0 and 24 % (every // _HOUR) == 0:
        return "0 0 * * *" if every == 24 * _HOUR else f"0 */{every // _HOUR} * * *"
    if every % _MINUTE == 0 and 60 % (every // _MINUTE) == 0:
        return f"*/{every // _MINUTE} * * * *"
    raise UsageError(
        f"tick {tick.name!r}: a CronJob cannot run every {every} s; leave out --cronjobs, so that a clock process does"
    )
