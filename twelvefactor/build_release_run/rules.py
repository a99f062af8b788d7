"""The rules of factor V."""

from __future__ import annotations

from twelvefactor.factor import Moment, Rule, Severity

TF501 = Rule(
    "TF501",
    "nothing names the release that runs",
    Severity.WARNING,
    (Moment.START,),
    "Ship the manifest of `twelvefactor release build` in the image, or set TWELVEFACTOR_RELEASE.",
    deciding=True,
)
TF502 = Rule(
    "TF502",
    "the code on disk is no longer the code that started",
    Severity.ERROR,
    (Moment.RUN,),
    "Deploy by replacing the process, not its files.",
    deciding=True,
)
TF503 = Rule(
    "TF503",
    "the same release name is in the ledger with another build or config",
    Severity.ERROR,
    (Moment.START,),
    "Give every change of code or config a release name of its own.",
)
TF504 = Rule(
    "TF504",
    "app code is written, reloaded or executed from a data directory while the app runs",
    Severity.ERROR,
    (Moment.RUN,),
    "Generate code when the image is built; keep data as data.",
    deciding=True,
)
TF505 = Rule(
    "TF505",
    "the schema of an attached database is behind the migrations of the release",
    Severity.ERROR,
    (Moment.START,),
    "Run the migration as an admin process of this release before its processes start.",
    applies_to=("web", "worker", "clock"),
)

RULES = (
    TF501,
    TF502,
    TF503,
    TF504,
    TF505,
)
