"""The rules of factor XII."""

from __future__ import annotations

from twelvefactor.factor import Moment, Rule, Severity

TF1201 = Rule(
    "TF1201",
    "a migration tool is present and no admin process is declared for it",
    Severity.WARNING,
    (Moment.START,),
    "Declare it with `@service.admin`, and run it as `twelvefactor admin NAME`.",
    deciding=True,
)
TF1202 = Rule(
    "TF1202",
    "app code runs in a deploy from `python -c`, a REPL or standard input",
    Severity.WARNING,
    (Moment.START,),
    "Use `twelvefactor shell`, or `twelvefactor admin NAME`: both are recorded.",
    deciding=True,
)
TF1203 = Rule(
    "TF1203",
    "an admin process runs in an older release than the newest",
    Severity.WARNING,
    (Moment.START,),
    "Run it in the image of the newest release.",
)

RULES = (
    TF1201,
    TF1202,
    TF1203,
)
