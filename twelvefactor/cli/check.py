"""The scorecard: twelve factors, the evidence, the fixes."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twelvefactor import baseline as known_findings
from twelvefactor._core import declaration
from twelvefactor.exceptions import UsageError
from twelvefactor.factor import FACTORS
from twelvefactor.report import comparing, formats, gathering, text
from twelvefactor.report import evidence as files
from twelvefactor.waivers import Waivers

if TYPE_CHECKING:
    from twelvefactor.report.score import Scorecard

BELOW, TOO_MUCH_UNKNOWN = 1, 3
_REPLICAS = 2
_file = click.Path(path_type=Path, dir_okay=False)


def _factors(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> frozenset[int]:
    return frozenset(_number(each) for each in given)


def _number(named: str) -> int:
    plain = named.strip().lower()
    for factor in FACTORS:
        if plain in {str(factor.number), factor.roman.lower(), factor.page, factor.name.lower(), f"tf{factor.number}"}:
            return factor.number
    raise click.BadParameter(f"{named!r} is no factor; give a number such as VI or 6, or a name such as processes")


@click.command(short_help="The scorecard of the twelve factors.")
@click.option(
    "--evidence",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file, or a folder of files, that processes wrote to TWELVEFACTOR_EVIDENCE; repeat to merge.",
)
@click.option("--url", "urls", multiple=True, help="The management port of a running process; repeat to merge.")
@click.option("--exercise", is_flag=True, help="Start its processes on engines of their own, drive and stop them.")
@click.option(
    "--drive",
    "driven_by",
    multiple=True,
    metavar="FILE",
    help="With --exercise: requests (JSON, YAML), a HAR, a Python script, or an OpenAPI schema; repeatable.",
)
@click.option(
    "--before", multiple=True, metavar="NAME", help="With --exercise: an admin process to run first; migrate."
)
@click.option(
    "--allow-attached",
    "attached",
    multiple=True,
    metavar="VARIABLE",
    help="With --exercise: keep what this variable is set to, and connect there; repeatable.",
)
@click.option(
    "--replicas",
    type=click.IntRange(1, 16),
    help="With --exercise: so many web processes, else 2, must answer in turn as one does; 1 leaves it out.",
)
@click.option(
    "--format", "shape", type=click.Choice(formats.FORMATS), default="text", show_default=True, help="For whom it is."
)
@click.option("--output", type=_file, help="Write the report there instead of to stdout.")
@click.option("--min", "least", type=click.FloatRange(0, 12), help="Exit 1 below it, 3 where too much is unknown.")
@click.option(
    "--factor", "numbers", multiple=True, callback=_factors, help="Only this one: VI, 6 or processes; repeatable."
)
@click.option("--baseline", type=_file, help="Findings that are known: told, and not counted.")
@click.option("--write-baseline", type=_file, help="List what is found now as known, and exit 0.")
@click.option("--diff", "earlier", type=_file, help="An earlier report in JSON: tell what is otherwise since.")
def check(
    *,
    paths: tuple[Path, ...],
    urls: tuple[str, ...],
    exercise: bool,
    driven_by: tuple[str, ...],
    before: tuple[str, ...],
    attached: tuple[str, ...],
    replicas: int | None,
    shape: str,
    output: Path | None,
    least: float | None,
    numbers: frozenset[int],
    baseline: Path | None,
    write_baseline: Path | None,
    earlier: Path | None,
) -> None:
    """
    Grade the twelve factors from what processes really did.

    Without --evidence and --url the service is loaded and started, and judged by what can be seen before it serves.
    Exits 0; 1 below --min; 3 where too much is unknown for --min; 64 on wrong usage; 69 where nobody answers.

    \b
    Examples:
      $ twelvefactor check
      $ twelvefactor check --exercise --drive requests.json --min 11
      $ twelvefactor check --url http://localhost:9000
      $ TWELVEFACTOR_EVIDENCE=web.json uvicorn orders.service:app
      $ twelvefactor check --evidence web.json --min 11 --format html --output report.html
    """
    read_earlier = None if earlier is None else comparing.read(earlier)
    known = None if baseline is None else known_findings.read(baseline)
    if exercise:
        records = _exercised(driven_by, before, attached, replicas or _REPLICAS)
        records += _records(paths, urls) if paths or urls else []
    elif driven_by or before or attached or replicas:
        raise UsageError("--drive, --before, --allow-attached and --replicas belong to --exercise")
    else:
        records = _records(paths, urls)
    card = _card(records, known, whole=exercise)
    if numbers:
        card = card.only(numbers)
    if read_earlier is not None:
        card = replace(card, changes=comparing.changes(read_earlier, card))
    if write_baseline is not None:
        count = known_findings.write(card.findings, write_baseline)
        click.echo(f"{write_baseline}: {count} known findings")
        return
    _tell(card, shape, output)
    click.get_current_context().exit(status(card, least))


def _exercised(
    driven_by: tuple[str, ...], before: tuple[str, ...], attached: tuple[str, ...], replicas: int
) -> list[files.Record]:
    from twelvefactor.cli import _exercised as exercised

    reference = click.get_current_context().find_root().obj
    return exercised.look(reference, driven_by=driven_by, before=before, attached=attached, replicas=replicas)


def _records(paths: tuple[Path, ...], urls: tuple[str, ...]) -> list[files.Record]:
    if paths or urls:
        from twelvefactor.cli import _running

        read = [files.read_record(path) for path in evidence_files(paths)] if paths else []
        return read + [_running.ask(url) for url in urls]
    from twelvefactor.cli import _start_rules

    return [_start_rules.look(click.get_current_context().find_root().obj)]


def _card(records: list[files.Record], known: frozenset[tuple[str, str]] | None, *, whole: bool) -> Scorecard:
    declared = declaration.read(os.environ, None)
    waivers = Waivers.declared(declared.table, declared.source)
    return gathering.gather(records, waivers=waivers, baseline=known, whole=whole, root=declared.root)


def evidence_files(paths: tuple[Path, ...]) -> list[Path]:
    """
    The evidence files that *paths* name; a folder names those in it.

    Raises:
        UsageError: There is none.
    """
    found = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    if not found:
        raise UsageError(f"no evidence in {', '.join(map(str, paths))}")
    return found


def _tell(card: Scorecard, shape: str, output: Path | None) -> None:
    """The report, to stdout or a file; colour on a terminal only."""
    if output is not None:
        output.write_text(formats.render(card, shape), encoding="utf-8")
    elif shape == "text":
        text.show(card, sys.stdout)
    else:
        click.echo(formats.render(card, shape), nl=False)


def status(card: Scorecard, least: float | None) -> int:
    """The exit status: 0, 1 below *least*, 3 where too much is unknown to say."""
    if least is None:
        return os.EX_OK
    return {True: os.EX_OK, False: BELOW, None: TOO_MUCH_UNKNOWN}[card.reaches(least)]
