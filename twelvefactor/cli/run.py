"""Start a declared process type, or any command as a child that is stopped well."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from twelvefactor.cli.service import load_service
from twelvefactor.exceptions import UsageError

_DASHED = "twelvefactor.run.dashed"


class _Run(click.Command):
    """A command that knows whether its arguments came after ``--``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, which drops the dashes."""
        ctx.meta[_DASHED] = "--" in args
        return super().parse_args(ctx, args)


@click.command(cls=_Run, short_help="Start a process type, or any command.")
@click.option("--service", metavar="MODULE:ATTR", help="Where the service is.")
@click.option("--server", metavar="NAME", help="uvicorn, granian, hypercorn, gunicorn or waitress, for web.")
@click.option("--tick", metavar="NAME", help="Run one tick of the clock once, as a CronJob does.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def run(service: str | None, server: str | None, tick: str | None, words: tuple[str, ...]) -> None:
    """
    Start the process type TYPE that the service declares: an app on $PORT, a queue's worker, the clock, a function. Or
    COMMAND as a child, in any language: it is told of SIGTERM after the drain delay, orphans are reaped, and its status
    is ours.

    \b
    Examples:
      $ twelvefactor run web
      $ twelvefactor run web --server granian
      $ twelvefactor run worker
      $ twelvefactor run clock --tick send_reminders
      $ twelvefactor run -- node server.js
    """
    if click.get_current_context().meta[_DASHED]:
        from twelvefactor.disposability.runner import Runner

        sys.exit(Runner(words, os.environ, lambda line: click.echo(line, err=True)).run())
    if len(words) != 1:
        raise UsageError("name one process type, such as: twelvefactor run web; or a command after --")
    sys.exit(_start(service or click.get_current_context().find_root().obj, words[0], server, tick))


def _start(named: str | None, process_type: str, server: str | None, tick: str | None) -> Any:
    os.environ["TWELVEFACTOR_PROCESS_TYPE"] = process_type
    found = load_service(named)
    if tick is not None:
        from twelvefactor.integrations._clock import run_once

        return run_once(found, tick)
    return found.run(process_type, server=server, reference=reference(named))


def reference(named: str | None) -> str:
    """What worker processes find the service by: as the command line says it, else as pyproject does."""
    from pathlib import Path

    from twelvefactor.cli.service import declaration, find_pyproject

    pyproject = find_pyproject(Path.cwd())
    return named or (str(declaration(pyproject).get("service")) if pyproject else "")
