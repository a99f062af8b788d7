"""The methodology's six questions."""

from __future__ import annotations

import json
from pathlib import Path

import click

from twelvefactor.cli.check import evidence_files
from twelvefactor.exceptions import UsageError
from twelvefactor.report import checklist as questions
from twelvefactor.report import evidence as files


@click.command(short_help="The six questions of the methodology, answered.")
@click.option(
    "--evidence",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file, or a folder of files, that processes wrote to TWELVEFACTOR_EVIDENCE; repeat to merge.",
)
@click.option(
    "--format", "shape", type=click.Choice(["text", "json"]), default="text", show_default=True, help="For whom it is."
)
def checklist(paths: tuple[Path, ...], shape: str) -> None:
    """
    Answer six questions with yes, no or unknown, the rules behind each and what was seen; exits 0, 1 or 3.

    \b
    Examples:
      $ TWELVEFACTOR_EVIDENCE=web.json uvicorn orders.service:app
      $ twelvefactor checklist --evidence web.json
    """
    if not paths:
        raise UsageError(
            "no evidence is named: run the service with TWELVEFACTOR_EVIDENCE=FILE, then pass --evidence FILE"
        )
    found = questions.answers(files.merge(files.read(path) for path in evidence_files(paths)))
    if shape == "json":
        click.echo(json.dumps({"schema": 1, "questions": [answer.as_dict() for answer in found]}))
    else:
        for answer in found:
            _show(answer)
    click.get_current_context().exit(questions.status(found))


_COLOURS = {"yes": "green", "no": "red", "unknown": "yellow"}


def _show(answer: questions.Answer) -> None:
    click.echo(f"{click.style(f'{answer.word:<8}', fg=_COLOURS[answer.word])}{answer.question.text}")
    for ruling in answer.rulings:
        click.echo(f"          {ruling.rule.id}: {ruling.because}")
        if answer.word == "no":
            click.echo(f"                 {ruling.rule.fix}")
