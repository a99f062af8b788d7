"""Run a one-off process of the service: same config, release, stream and watch as any other, and recorded."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from twelvefactor._core.platform import instance
from twelvefactor.admin_processes.arguments import shown
from twelvefactor.admin_processes.rules import TF1203
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twelvefactor.build_release_run.ledger import Ledger
    from twelvefactor.work import Work


@contextmanager
def one_off(
    service: Any,
    kind: str,
    name: str,
    arguments: dict[str, Any],
    *,
    exclusive: bool = False,
    who: str = "",
    why: str = "",
) -> Iterator[Work]:
    """
    The surroundings of a one-off process: started, alone if wanted, one unit of work, recorded where a ledger is.

    Args:
        service: The service.
        kind: ``admin`` or ``shell``.
        name: What runs.
        arguments: What it was given; secrets are masked before they are kept.
        exclusive: Whether a second copy is refused.
        who: Who runs it; found out if empty.
        why: Why, where somebody was asked.

    Raises:
        LockHeld: A second copy runs.
    """
    from twelvefactor.build_release_run.recording import actor
    from twelvefactor.integrations._headers import bind_trace

    service.become(kind)
    service.start()
    service.ready()
    who = who or actor(service.environ)
    facts = {"who": who, "why": why or None, "arguments": shown(arguments), "release": service.release.name}
    with ExitStack() as stack:
        if exclusive:
            stack.enter_context(_alone(service, name, who))
        ledger = stack.enter_context(_ledger(service))
        if ledger is not None:
            _judge_age(service, ledger)
        work = service.work(kind, name)
        if service.environ.get("TRACEPARENT"):
            bind_trace(work, service.environ["TRACEPARENT"], service.environ.get("TRACESTATE"))
        record = _Recorder(service, ledger, name, {**facts, "run": work.id, "by": instance(service.environ)})
        record("run.started")
        begun = time.monotonic()
        try:
            with work:
                yield work
        except BaseException as error:
            record("run.ended", outcome=_outcome(error), error=type(error).__name__, seconds=_since(begun))
            raise
        record("run.ended", outcome=work.outcome, seconds=_since(begun))


_SIGTERM = 128 + 15  # the status of a process that was told to stop


def _since(begun: float) -> float:
    return round(time.monotonic() - begun, 3)


def _outcome(error: BaseException) -> str:
    if isinstance(error, SystemExit) and error.code in {None, 0}:
        return "ok"
    if isinstance(error, Exception):
        return "error"
    return "error" if isinstance(error, SystemExit) and error.code != _SIGTERM else "cancelled"


@contextmanager
def _alone(service: Any, name: str, who: str) -> Iterator[None]:
    from twelvefactor.admin_processes.exclusive import held
    from twelvefactor.build_release_run.ledger import engine_for

    with held(service, name, f"{name} by {who} on {instance(service.environ)}", engine_for) as where:
        service.event("info", "twelvefactor.admin.alone", name=name, lock_in=where)
        yield


@contextmanager
def _ledger(service: Any) -> Iterator[Ledger | None]:
    """The ledger, where there is one; a broken one keeps no admin process from running, which may be the repair."""
    with ExitStack() as stack:
        found = None
        try:
            found = _open(service, stack)
        except Exception as error:  # noqa: BLE001 - as the docstring says
            because = f"the ledger cannot be read: {type(error).__name__}"
            service.evidence.could_not_look(TF1203, because)
            service.event("warning", "twelvefactor.ledger.unreadable", because=str(error).partition("\n")[0][:200])
        yield found


def _open(service: Any, stack: ExitStack) -> Ledger | None:
    if not any(hasattr(each.url, "sqlalchemy_url") for each in service.resources):
        service.evidence.could_not_look(TF1203, "no SQL database is attached, so there is no ledger")
        return None
    from twelvefactor.build_release_run.ledger import opened, resource_for

    ledger = stack.enter_context(opened(resource_for(service)))
    if ledger.exists():
        return ledger
    service.evidence.could_not_look(TF1203, "there is no ledger; make one with `twelvefactor release init`")
    return None


def _judge_age(service: Any, ledger: Ledger) -> None:
    """TF1203: older than the newest recorded release is wrong; newer is the normal release phase."""
    releases = ledger.releases(service.name)
    own = service.release.digest
    older = any(entry.digest == own for entry in releases) and releases[0].digest != own
    service.evidence.looked(TF1203, f"{len(releases)} recorded releases")
    if older:
        message = f"this is release {service.release.name}; {releases[0].name} was recorded later, at {releases[0].at}"
        service.evidence.report(Finding(TF1203, message, "release"))


class _Recorder:
    """Appends to the ledger; a fault is an event, since the work matters more than its record."""

    def __init__(self, service: Any, ledger: Ledger | None, name: str, facts: dict[str, Any]) -> None:
        self._service, self._ledger, self._name, self._facts = service, ledger, name, facts

    def __call__(self, kind: str, **more: Any) -> None:
        if self._ledger is None:
            return
        try:
            digest = self._service.release.digest
            self._ledger.append(kind, self._service.name, self._name, digest, {**self._facts, **more})
        except Exception as error:  # noqa: BLE001 - as the docstring says
            self._service.fault("ledger", error)


def call(function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Call *function*, on an event loop of its own where it is async."""
    if inspect.iscoroutinefunction(function):
        return asyncio.run(function(*arguments, **named))
    return function(*arguments, **named)


def bound(function: Callable[..., Any], given: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional and the named arguments of a call of *function* with what was *given* by name."""
    positional: list[Any] = []
    named = dict(given)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            positional.append(named.pop(parameter.name))
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            positional.extend(named.pop(parameter.name))
    return tuple(positional), named


def job(service: Any, words: list[str], image: str) -> str:
    """A Kubernetes Job that runs *words* with the image and the environment of the deployment; JSON is YAML."""
    name = f"{service.name}-{words[-1] if len(words) == 1 else words[0]}".lower().replace("_", "-")
    source = service.name
    container = {
        "name": words[0],
        "image": image,
        "command": ["twelvefactor", "admin", *words],
        "envFrom": [{"configMapRef": {"name": source}}, {"secretRef": {"name": source}}],
    }
    spec = {"restartPolicy": "Never", "enableServiceLinks": False, "containers": [container]}
    return json.dumps(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"generateName": f"{name}-", "labels": {"app": service.name}},
            "spec": {"backoffLimit": 0, "ttlSecondsAfterFinished": 86400, "template": {"spec": spec}},
        },
        indent=2,
    )


def image_of(environ: Any = None) -> str:
    """The image to run, where the environment names it."""
    environ = os.environ if environ is None else environ
    return environ.get("IMAGE") or environ.get("FLY_IMAGE_REF") or "REPLACE-WITH-THE-IMAGE-OF-THE-DEPLOYMENT"
