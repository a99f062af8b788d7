"""Write the process types as the platform wants them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twelvefactor.cli._one_off import image_of
from twelvefactor.cli.run import reference
from twelvefactor.cli.service import find_pyproject, load_service
from twelvefactor.concurrency import compose, kubernetes, procfile, systemd
from twelvefactor.concurrency.formation import (
    Formation,
    ProcessType,
    as_procfile,
    differences,
    others_of,
    with_replicas,
)
from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DIFFERS = 1
_ON_KUBERNETES = {"KUBERNETES_SERVICE_HOST": "told"}


@click.command("formation", short_help="Write the process types as the platform wants them.")
@click.option("--service", metavar="MODULE:ATTR", help="Where the service is.")
@click.option(
    "--format", "form", type=click.Choice(["procfile", "kubernetes", "compose", "systemd"]), default="procfile",
    show_default=True, help="For which platform.",
)  # fmt: skip
@click.option("--image", help="The container's image; `IMAGE` of the environment by default.")
@click.option("--replicas", multiple=True, metavar="TYPE=N", help="How many of a type run; 1 if not given.")
@click.option("--port", default=8000, show_default=True, help="On which those that serve listen.")
@click.option("--grace", metavar="SECONDS", help="From SIGTERM to SIGKILL; TWELVEFACTOR_GRACE_PERIOD, else 30.")
@click.option(
    "--pre-stop", default=0, metavar="SECONDS", help="Let the cluster wait before SIGTERM, instead of us after it."
)
@click.option("--cronjobs", is_flag=True, help="A CronJob for each tick, instead of a clock process.")
@click.option("--program", default="/usr/bin/env twelvefactor", help="What starts `twelvefactor`, for systemd.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="A file, or a folder for systemd; else standard output."
)
@click.option("--check", is_flag=True, help="Compare with the Procfile; exit status 1 where they differ.")
def formation(service: str | None, form: str, *, check: bool, output: Path | None, **options: Any) -> None:
    """
    Write the process types that the service declares, with probes, grace periods and the variables that tell them.
    A Procfile that exists is read and compared: types that only it has are written too. Resources are left to you.

    \b
    Examples:
      $ twelvefactor formation > Procfile
      $ twelvefactor formation --check
      $ twelvefactor formation --format kubernetes --image registry/orders:1 --replicas web=3
      $ twelvefactor formation --format systemd --output /etc/systemd/system
    """
    named = service or click.get_current_context().find_root().obj
    made, written = _formation(named, form, options)
    differs = differences(made, written) if written or check else []
    for line in differs:
        click.echo(f"Procfile: {line}", err=True)
    if check:
        sys.exit(_DIFFERS if differs else 0)
    if form == "systemd":
        _write_units(systemd.write(_whole(made, written)), output)
        return
    writers = {"procfile": as_procfile, "kubernetes": kubernetes.write, "compose": compose.write}
    text = writers[form](made if form == "procfile" else _whole(made, written))
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


def _formation(named: str | None, form: str, options: Mapping[str, Any]) -> tuple[Formation, Mapping[str, str]]:
    before = os.environ.get("TWELVEFACTOR_GRACE_PERIOD")
    found = load_service(named, phase="describe")
    pyproject = find_pyproject(Path.cwd())
    written = procfile.read(Path.cwd() if pyproject is None else pyproject.parent)
    types = types_of(found)
    cronjobs = options["cronjobs"]
    if cronjobs and form != "kubernetes":
        raise UsageError("--cronjobs are Kubernetes': add --format kubernetes")
    if cronjobs:
        types = tuple(each for each in types if each.name != "clock")
    if not types and not written:
        raise UsageError("the service declares no process type; declare one: service.process('web', app)")
    made = Formation(
        found.name,
        with_replicas(types, _replicas(options["replicas"])) if types else (),
        reference=reference(named),
        image=options["image"] or image_of(),
        port=options["port"],
        grace=_grace(options["grace"] or before),
        pre_stop=options["pre_stop"],
        ticks=tuple(found.clock.ticks) if cronjobs else (),
        program=options["program"],
    )
    return made, written


def _whole(made: Formation, written: Mapping[str, str]) -> Formation:
    """With the types that only the Procfile has."""
    from dataclasses import replace

    return replace(made, types=(*made.types, *others_of(made.types, written)))


def types_of(service: Any) -> tuple[ProcessType, ...]:
    """The process types that *service* declares, those that serve first."""
    from twelvefactor.integrations._process_types import library_of, serves

    made = [
        ProcessType(
            name,
            ("twelvefactor", "run", name),
            serves=serves(name, what),
            tells=serves(name, what) or library_of(what) is None,
        )
        for name, what in service.process_types().items()
    ]
    return tuple(sorted(made, key=lambda each: not each.serves))


def _replicas(told: Iterable[str]) -> dict[str, int]:
    found = {}
    for each in told:
        name, _, number = each.partition("=")
        if not name or not number.isdigit():
            raise UsageError(f"--replicas {each}: expected TYPE=N, such as web=3")
        found[name] = int(number)
    return found


def _grace(told: str | None) -> float:
    """The grace period that is told, else what a cluster gives."""
    from twelvefactor.disposability.budget import Budget

    return Budget.from_environ(_ON_KUBERNETES if told is None else {"TWELVEFACTOR_GRACE_PERIOD": told}).grace


def _write_units(units: Mapping[str, str], output: Path | None) -> None:
    for name, text in units.items():
        if output is None:
            click.echo(f"# {name}\n{text}")
        else:
            output.mkdir(parents=True, exist_ok=True)
            (output / name).write_text(text, encoding="utf-8")
