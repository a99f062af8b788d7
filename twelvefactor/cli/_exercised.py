"""What a service shows while its processes are started, driven and told to stop, on engines of their own."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twelvefactor.cli.dev import declared, described
from twelvefactor.cli.formation import types_of
from twelvefactor.cli.service import find_pyproject
from twelvefactor.exceptions import UsageError
from twelvefactor.factor import Ruling, Verdict
from twelvefactor.processes.rules import TF601
from twelvefactor.report import evidence
from twelvefactor.testing.sharing import NOTHING_ASKED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twelvefactor.testing.sharing import Proof

_SILENCE = 2.0  # seconds after which one wants to know what takes so long
_MIGRATE = "migrate"


def look(
    reference: str | None, *, driven_by: Sequence[str], before: Sequence[str], attached: Sequence[str], replicas: int
) -> list[evidence.Record]:
    """
    Exercise the service; what each of its processes saw.

    Args:
        reference: ``module:attribute``; else what pyproject says.
        driven_by: Files or paths, see `twelvefactor.testing.driving`; else what the declaration says.
        before: Admin processes to run first; ``migrate`` where one is declared and none is named.
        attached: The variables whose inherited value stays.
        replicas: How many web processes are asked in turn, to compare them with one; 1 leaves that out.

    Raises:
        UsageError: The service declares no process type, or something is missing.
        ResourceUnavailable: An engine cannot be had, or a process did not come up.
    """
    from twelvefactor.testing.driving import must_be_there
    from twelvefactor.testing.exercise import Environment, Exercise, Step, command

    pyproject = find_pyproject(Path.cwd())
    project = Path.cwd() if pyproject is None else pyproject.parent
    service = described(reference)
    types = {each.name: each.serves for each in types_of(service)} if hasattr(service, "process_types") else {}
    if not types:
        raise UsageError('the service declares no process type; declare one with service.process("web", app)')
    variables, parity = declared(service)
    environment = Environment(variables, parity, os.environ, attached)
    driven_by = driven_by or _declared_drivers(service, project)
    for each in driven_by:
        must_be_there(each)
    first = before or ([_MIGRATE] if _MIGRATE in {each.name for each in service.admins} else [])
    with Exercise(types, environment, project, command(reference), Step(_say, _watch)) as exercise:
        exercise.run(first, driven_by, replicas)
        records = [evidence.read_record(file) for file in sorted(exercise.folder.glob("*.json"))]
        for place in exercise.refused:
            _say(f"refused: a connection to {place}; it would have left this machine's engines")
        for problem in exercise.problems:
            _say(problem)
    if not driven_by:
        _say("nothing drove it, so what only work shows is unknown: --drive FILE")
    if not records:
        raise UsageError("the processes wrote no evidence: they were killed, or run another version of the library")
    return records if exercise.proof is None else _with_proof(records, exercise.proof)


def _with_proof(records: list[evidence.Record], proof: Proof) -> list[evidence.Record]:
    """What the processes saw of TF601, with what came of asking several of them; where nothing did it is unknown."""
    if proof.not_run:
        because = f"that {proof.count} processes share nothing is not proved: {proof.not_run}"
        if proof.not_run != NOTHING_ASKED:  # that is told already
            _say(because)
        return [_judged_again(each, Verdict.UNKNOWN, because) for each in records]
    alike = f"{proof.count} processes in turn answer {proof} as one does"
    if not proof.findings:
        return [_judged_again(each, Verdict.PASS, f"{{}}; {alike}") for each in records]
    compared = Ruling(TF601, Verdict.PASS, "what several processes answer in turn was compared")
    return [*records, evidence.Record((compared.with_findings(proof.findings),))]


def _judged_again(record: evidence.Record, verdict: Verdict, because: str) -> evidence.Record:
    """The same record, where TF601 passed with another verdict or reason."""
    passed = [each.rule.id == TF601.id and each.verdict is Verdict.PASS for each in record.rulings]
    again = tuple(
        replace(each, verdict=verdict, because=because.format(each.because)) if was else each
        for each, was in zip(record.rulings, passed, strict=True)
    )
    return replace(record, rulings=again)


def _declared_drivers(service: object, project: Path) -> list[str]:
    """``[tool.twelvefactor] exercise = "requests.json"``, or a list."""
    told = getattr(service, "declaration", {}).get("exercise", ())
    listed = [told] if isinstance(told, str) else list(told)
    return [each if each.startswith("/") else str(project / each) for each in listed]


def _say(line: str) -> None:
    click.echo(f"check: {line}", err=True)


@contextlib.contextmanager
def _watch(what: str) -> Iterator[None]:
    """Say *what* is going on, once it takes longer than one likes to wait."""
    timer = threading.Timer(_SILENCE, _say, [f"{what} …"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
