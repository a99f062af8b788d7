"""The rules of factor VIII."""

from __future__ import annotations

from dataclasses import replace

from twelvefactor.factor import Moment, Rule, Severity

TF801 = Rule(
    "TF801",
    "the process is of a type that the app does not declare",
    Severity.WARNING,
    (Moment.START,),
    "Declare it with `service.process(...)`, so that the formation knows it.",
    deciding=True,
)
TF802 = Rule(
    "TF802",
    "app code turns the process into a daemon or writes a PID file",
    Severity.ERROR,
    (Moment.START, Moment.RUN),
    "Stay in the foreground and leave restarts to the platform's process manager.",
    deciding=True,
)
TF803 = Rule(
    "TF803",
    "a scheduler without a shared lock runs inside a web process",
    Severity.ERROR,
    (Moment.RUN,),
    "Move it to a clock process, or give it a lock in a backing service: `@service.clock` does both.",
    deciding=True,
    applies_to=("web",),
)
TF803_CONSUMER = replace(
    TF803,
    title="a queue's consumer runs inside a web process",
    severity=Severity.WARNING,
    fix="Give it a worker process of its own: it then scales, and stops, by itself.",
)
TF804 = Rule(
    "TF804",
    "all processes together may open more connections than the backing service allows",
    Severity.WARNING,
    (Moment.START,),
    "Lower the pool size or the workers, or put a connection pooler in between.",
)
TF805 = Rule(
    "TF805",
    "app code blocked the event loop for 100 ms or more",
    Severity.WARNING,
    (Moment.RUN,),
    "Await an asynchronous client, or hand the call to a thread.",
)
TF806 = Rule(
    "TF806",
    "a client that was opened before a fork is used in the child",
    Severity.WARNING,
    (Moment.RUN,),
    "Open it after the fork; what `service.attach` gives does that by itself.",
)

RULES = (
    TF801,
    TF802,
    TF803,
    TF804,
    TF805,
    TF806,
)
