"""What factor XI is judged by."""

from __future__ import annotations

from twelvefactor.factor import Moment, Rule, Severity

TF1101 = Rule(
    "TF1101",
    "a log file is written by the process itself",
    Severity.ERROR,
    (Moment.START, Moment.RUN),
    "Drop the file handler: write events to stdout and let the platform keep, rotate and route them.",
    deciding=True,
)
TF1102 = Rule(
    "TF1102",
    "app code prints to stdout what is not an event",
    Severity.WARNING,
    (Moment.RUN,),
    "Say it with `log.info(...)`, so that it has a level, a time and the ids of its request.",
    deciding=True,
    applies_to=("web", "worker", "clock"),
)
TF1103 = Rule(
    "TF1103",
    "the app routes its own logs",
    Severity.ERROR,
    (Moment.START,),
    "Drop the handler: write events to stdout and let the platform route them.",
)
TF1104 = Rule(
    "TF1104",
    "stdout could not be made line-buffered",
    Severity.WARNING,
    (Moment.START,),
    "Start Python with PYTHONUNBUFFERED=1, or leave sys.stdout as Python made it.",
)
TF1105 = Rule(
    "TF1105",
    "a configured secret reached the event stream",
    Severity.ERROR,
    (Moment.RUN,),
    "Do not log it: log what it is for, or its name.",
    deciding=True,
)

RULES = (TF1101, TF1102, TF1103, TF1104, TF1105)
