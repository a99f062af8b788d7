"""The probe as a command of the group, for `--help`; the console script answers it before this is imported."""

from __future__ import annotations

import sys

import click


@click.command(
    "probe",
    short_help="Is the process that beats in this container alive?",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def probe(words: tuple[str, ...]) -> None:
    """
    Is the process that beats in this container alive? For workers and clocks, which have no HTTP; see `twelvefactor
    probe --help` for its options. Exit status 0 says yes, 1 no.

    \b
    Examples:
      $ twelvefactor probe
      $ twelvefactor probe --ready --max-age 10
      $ twelvefactor probe --port 9000
    """
    from twelvefactor.probe import main

    sys.exit(main(list(words)))
