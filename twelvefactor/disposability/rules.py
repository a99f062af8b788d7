"""Factor IX: what keeps a process from being started or stopped at any moment."""

from __future__ import annotations

from twelvefactor.factor import Moment, Rule, Severity

TF901 = Rule(
    "TF901",
    "start to ready took longer than the budget",
    Severity.WARNING,
    (Moment.START,),
    "Move the slow part into the build, or do it on first use.",
)
TF902 = Rule(
    "TF902",
    "SIGTERM would not be handled by the process that owns it",
    Severity.ERROR,
    (Moment.START,),
    "Start the server with `exec`, leave SIGTERM to it, and run cleanup in `service.on_shutdown`.",
    deciding=True,
)
TF903 = Rule(
    "TF903",
    "work still ran when the grace period ended, and was cut",
    Severity.ERROR,
    (Moment.STOP,),
    "Make units of work shorter, watch `work.should_stop`, or lengthen the grace period.",
    deciding=True,
)
TF904 = Rule(
    "TF904",
    "the queue would lose a job when its worker dies",
    Severity.ERROR,
    (Moment.START,),
    "Let `service.jobs(...)` set the queue up, or acknowledge jobs only after they are done.",
    deciding=True,
    applies_to=("worker",),
)
TF905 = Rule(
    "TF905",
    "the grace budget does not fit into the platform's grace period",
    Severity.WARNING,
    (Moment.START,),
    "Set TWELVEFACTOR_GRACE_PERIOD to the platform's period, or lengthen that.",
)
TF906 = Rule(
    "TF906",
    "the previous process of this instance ended without saying so",
    Severity.INFO,
    (Moment.START,),
    "Look for a SIGKILL or an out-of-memory kill at that time.",
)

RULES = (
    TF901,
    TF902,
    TF903,
    TF904,
    TF905,
    TF906,
)
