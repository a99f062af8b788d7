"""Where the process runs, as far as its environment tells."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Platform(NamedTuple):
    """
    A platform, the variable that gives it away and how long it waits between SIGTERM and SIGKILL.

    Attributes:
        name: The name in the platform's own spelling, lower case.
        grace: Its default, in seconds; users can change it on most, so it is an assumption.
        drain: Seconds for which traffic may still arrive after SIGTERM.
    """

    name: str
    variable: str
    grace: float
    drain: float


PLATFORMS = (
    Platform("kubernetes", "KUBERNETES_SERVICE_HOST", 30.0, 5.0),
    Platform("cloud-run", "K_SERVICE", 10.0, 0.0),
    Platform("cloud-run", "CLOUD_RUN_JOB", 10.0, 0.0),
    Platform("heroku", "DYNO", 30.0, 0.0),
    Platform("cloud-foundry", "VCAP_APPLICATION", 10.0, 0.0),
    Platform("app-engine", "GAE_VERSION", 30.0, 0.0),
    Platform("render", "RENDER", 30.0, 0.0),
    Platform("railway", "RAILWAY_ENVIRONMENT_ID", 3.0, 0.0),
    Platform("fly", "FLY_APP_NAME", 5.0, 0.0),
    Platform("ecs", "ECS_CONTAINER_METADATA_URI_V4", 30.0, 0.0),
    Platform("nomad", "NOMAD_ALLOC_ID", 5.0, 0.0),
    Platform("systemd", "INVOCATION_ID", 90.0, 0.0),
)
"""In the order in which they are believed: one that runs on another comes first."""


def platform(environ: Mapping[str, str]) -> Platform | None:
    """
    The platform that *environ* gives away, or None.

    >>> platform({"DYNO": "web.1"}).name
    'heroku'
    """
    return next((each for each in PLATFORMS if environ.get(each.variable)), None)


def deploy(environ: Mapping[str, str]) -> str | None:
    """The name of the deploy: `TWELVEFACTOR_DEPLOY`, else the platform's; None where nobody tells."""
    named = environ.get("TWELVEFACTOR_DEPLOY")
    if named:
        return named
    found = platform(environ)
    return None if found is None or found.name == "systemd" else found.name


CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"), Path("/run/secrets/kubernetes.io"))


def container(environ: Mapping[str, str], marks: Iterable[Path] = CONTAINER_MARKS) -> str:
    """
    What says that this is a container: its platform, a file that an engine leaves there, or a variable; else empty.

    >>> container({"DYNO": "web.1"})
    'heroku'
    """
    found = platform(environ)
    if found is not None and found.name != "systemd":
        return found.name
    marked = next((str(path) for path in marks if path.exists()), "")
    return marked or ("container" if environ.get("container") else "")


def host(environ: Mapping[str, str]) -> str:
    """The dyno, the pod or the machine: what stays the same when a process is started again."""
    return environ.get("DYNO") or environ.get("CF_INSTANCE_GUID") or environ.get("HOSTNAME") or socket.gethostname()


def instance(environ: Mapping[str, str]) -> str:
    """Which of the many processes this is: the dyno, pod or host, and the process id."""
    return f"{host(environ)}:{os.getpid()}"
