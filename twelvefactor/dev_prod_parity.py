"""X. Keep development, staging, and production as similar as possible: name the gaps."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from twelvefactor._core.lazy import load
from twelvefactor.factor import Finding, Moment, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twelvefactor._core.process import Process, Sensor
    from twelvefactor.backing_services.resource import Resource

_SERVING = ("web", "worker", "clock")

TF1001 = Rule(
    "TF1001",
    "an attached resource is another engine than the app declares",
    Severity.ERROR,
    (Moment.START,),
    "attach the declared engine, or declare this one in [tool.twelvefactor.parity]",
    deciding=True,
    applies_to=_SERVING,
)
TF1002 = Rule(
    "TF1002",
    "the engine's major version is another one than the app declares",
    Severity.WARNING,
    (Moment.START,),
    "run the declared version here too, or declare the one that all deploys run",
    deciding=True,
    applies_to=_SERVING,
)
TF1003 = Rule(
    "TF1003",
    "a stand-in is attached where a real backing service belongs",
    Severity.ERROR,
    (Moment.START,),
    "attach the real service; `twelvefactor dev` starts one where the environment has none",
    deciding=True,
    applies_to=_SERVING,
)
TF1004 = Rule(
    "TF1004",
    "the build is older than the declared deploy interval",
    Severity.WARNING,
    (Moment.START,),
    "deploy more often, or declare the interval that is meant",
    applies_to=_SERVING,
)
TF1005 = Rule(
    "TF1005",
    "the Python version differs from the one declared",
    Severity.WARNING,
    (Moment.START,),
    "run the declared Python here too",
    applies_to=_SERVING,
)

RULES = (TF1001, TF1002, TF1003, TF1004, TF1005)

_SAME = {"postgres": "postgresql", "pg": "postgresql", "memcache": "memcached", "elastic": "elasticsearch"}
_TWO_PART = {"mysql", "mariadb"}
"""Engines whose release line is told by two numbers, as MariaDB 10.11."""

_EMAIL = "django.core.mail.backends."
_FAKE_CLIENTS = {"fakeredis", "mongomock", "moto", "pytest_mock", "unittest"}
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}


class Parity:
    """When a resource first answers, compare what it says of itself with what the app declares."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._declared: Mapping[str, Any] = process.declaration.get("parity", {})

    def install(self) -> None:
        """Observe the resources; without a declaration there is nothing to compare with."""
        if not any(name != "python" for name in self._declared):
            missing = f"no engine is declared; add [tool.twelvefactor.parity] {_example(_resources_of(self._process))}"
            for rule in (TF1001, TF1002):
                self._process.evidence.could_not_look(rule, missing)
            return
        resources = _resources_of(self._process)
        if resources is not None:
            resources.observe(self._compare)

    def remove(self) -> None:
        """Observe no more."""
        resources = _resources_of(self._process)
        if resources is not None:
            resources.unobserve(self._compare)

    def _compare(self, resource: Resource) -> None:
        declared = self._declared.get(resource.name)
        if not isinstance(declared, str) or resource.identity is None:
            return
        engine, _, version = declared.strip().lower().partition(" ")
        engine = _SAME.get(engine, engine)
        is_engine, is_version = resource.identity.engine, resource.identity.version or ""
        self._process.evidence.looked(TF1001, at=f"{resource.name} is {resource.identity}")
        if is_engine != engine:
            self._report(TF1001, resource, f"{resource.name} is {resource.identity}; declared is {declared}")
            return
        if not version.strip() or not is_version:
            return
        self._process.evidence.looked(TF1002, at=f"{resource.name} is {resource.identity}")
        if not _same_line(engine, version.strip(), is_version):
            self._report(TF1002, resource, f"{resource.name} is {resource.identity}; declared is {declared}")

    def _report(self, rule: Rule, resource: Resource, message: str) -> None:
        self._process.evidence.report(Finding(rule, message, culprit=resource.name, where=resource.where))


class StandIns:
    """Look for what stands in for a real service, where the app is deployed or `twelvefactor dev` runs it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """Look once now, and at each resource that is attached later."""
        process = self._process
        if "PYTEST_VERSION" in process.environ or "PYTEST_CURRENT_TEST" in process.environ:
            process.evidence.could_not_look(TF1003, "tests may use stand-ins; a deployed process decides")
            return
        if process.deploy is None and "TWELVEFACTOR_DEV" not in process.environ:
            process.evidence.could_not_look(
                TF1003, "nobody tells whether this is a deploy; set TWELVEFACTOR_DEPLOY, or run `twelvefactor dev`"
            )
            return
        process.evidence.looked(TF1003, at="attached resources, Celery's and Django's settings")
        for culprit, message in (*_celery(), *_django()):
            process.evidence.report(Finding(TF1003, message, culprit=culprit))
        resources = _resources_of(process)
        if resources is not None:
            resources.observe_attaching(self._look)

    def remove(self) -> None:
        """Look no more."""
        resources = _resources_of(self._process)
        if resources is not None:
            resources.unobserve(self._look)

    def _look(self, resource: Resource) -> None:
        declared = str(self._process.declaration.get("parity", {}).get(resource.name, ""))
        fake = type(resource.client).__module__.partition(".")[0]
        if fake in _FAKE_CLIENTS:
            message = f"{resource.name} is a {fake} client"
        elif resource.kind.stand_in and declared.partition(" ")[0].lower() != resource.kind.name:
            message = f"{resource.name} is {resource.kind.name}, which only one process on one machine can share"
        else:
            return
        hint = f"{TF1003.fix}, or declare it: [tool.twelvefactor.parity] {resource.name} = {resource.kind.name!r}"
        self._process.evidence.report(Finding(TF1003, message, culprit=resource.name, where=resource.where, hint=hint))


class Age:
    """Compare the build's age and the Python that runs with what is declared."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """Look once."""
        self._age()
        self._python()

    def remove(self) -> None:
        """Nothing to undo."""

    def _age(self) -> None:
        evidence = self._process.evidence
        interval = _interval(self._process.declaration.get("deploy-interval"))
        built = _time(self._process.manifest.get("built_at"))
        if interval is None or built is None:
            missing = "deploy-interval is not declared" if interval is None else "no build manifest tells its time"
            evidence.could_not_look(TF1004, missing)
            return
        age = datetime.fromtimestamp(self._process.clock.time(), UTC) - built
        evidence.looked(TF1004, at=f"the build is {age.days} days old")
        if age > interval:
            message = f"the build is {age.days} days old; declared is a deploy every {interval.days} days"
            evidence.report(Finding(TF1004, message, culprit="build"))

    def _python(self) -> None:
        evidence = self._process.evidence
        declared = self._process.declaration.get("parity", {}).get("python") or self._process.manifest.get("python")
        if not declared:
            evidence.could_not_look(TF1005, "no Python is declared; add [tool.twelvefactor.parity] python")
            return
        wanted = re.findall(r"\d+", str(declared))[:2]
        runs = [str(part) for part in sys.version_info[:2]]
        evidence.looked(TF1005, at=f"Python {'.'.join(runs)}")
        if runs[: len(wanted)] != wanted:
            message = f"Python {'.'.join(runs)} runs; declared is {'.'.join(wanted)}"
            evidence.report(Finding(TF1005, message, culprit="python"))


def sensors(process: Process) -> tuple[Sensor, ...]:
    """The sensors of factor X."""
    return Parity(process), StandIns(process), Age(process)


def _resources_of(process: Process) -> Any:
    """The resources of *process*; a process that attached nothing loads nothing for it."""
    if "twelvefactor.backing_services.resources" not in sys.modules:
        return None
    return load("twelvefactor.backing_services.resources:resources_of")(process)


def _example(resources: Any) -> str:
    """A declaration to add: of the first of *resources*, where there is one."""
    first = next(iter(resources or ()), None)
    if first is None:
        return 'database_url = "postgresql 16"'
    return f'{first.name} = "{first.kind.name.partition(" ")[0]}"'


def _same_line(engine: str, declared: str, running: str) -> bool:
    """
    Whether two versions are of the same major release.

    >>> _same_line("postgresql", "16", "16.3"), _same_line("mariadb", "10.11", "10.6.2")
    (True, False)
    """
    parts = 2 if engine in _TWO_PART else 1
    wanted = re.findall(r"\d+", declared)[:parts]
    return re.findall(r"\d+", running)[: len(wanted)] == wanted


def _celery() -> Iterator[tuple[str, str]]:
    state = sys.modules.get("celery._state")
    for app in getattr(state, "_get_active_apps", tuple)():
        settings = app.conf if app.configured else app._preconf  # noqa: SLF001 - reading conf would finish it
        if settings.get("task_always_eager"):
            yield f"celery:{app.main}", f"the Celery app {app.main!r} runs its tasks eagerly, in the caller's process"
        if str(settings.get("broker_url") or "").startswith("memory:"):
            yield f"celery:{app.main}:broker", f"the broker of the Celery app {app.main!r} is this process's memory"


def _django() -> Iterator[tuple[str, str]]:
    settings: Any = getattr(sys.modules.get("django.conf"), "settings", None)
    if not getattr(settings, "configured", False):
        return
    for backend in _mail_backends(settings._wrapped):  # noqa: SLF001 - the public way warns of its own deprecation
        if backend.startswith(_EMAIL) and not backend.startswith(f"{_EMAIL}smtp."):
            yield (
                "django:EMAIL_BACKEND",
                f"Django's mail goes to {backend.removeprefix(_EMAIL).partition('.')[0]}, not to a server",
            )


def _mail_backends(settings: Any) -> list[str]:
    """Where Django's mail goes: the mailers of Django 6.1 and later, else the one backend."""
    mailers = getattr(settings, "MAILERS", None)
    if mailers is None:
        return [str(getattr(settings, "EMAIL_BACKEND", ""))]
    return [str(mailer.get("BACKEND", "")) for mailer in mailers.values()]


def _interval(declared: Any) -> timedelta | None:
    """
    A declared interval: a number of days, or words such as ``2 weeks``.

    >>> _interval("2 weeks").days, _interval(3).days, _interval("often")
    (14, 3, None)
    """
    if isinstance(declared, int | float):
        return timedelta(days=declared)
    found = re.fullmatch(r"\s*(\d+)\s*(second|minute|hour|day|week)s?\s*", str(declared or ""))
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]]) if found else None


def _time(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
