"""Factor VI: what a stateless process does not do."""

from __future__ import annotations

from twelvefactor.factor import Moment, Rule, Severity

TF601 = Rule(
    "TF601",
    "work changed state of the process that outlives it",
    Severity.ERROR,
    (Moment.RUN,),
    "Keep it in a backing service, or declare with `tf.process_local` that the process may lose it.",
    deciding=True,
)
TF602 = Rule(
    "TF602",
    "state in the process grows with the work that it does",
    Severity.ERROR,
    (Moment.RUN,),
    "Bound the container, or keep the entries in a backing service.",
    deciding=True,
)
TF603 = Rule(
    "TF603",
    "work left a file on the local disk",
    Severity.ERROR,
    (Moment.RUN,),
    "Put the file into an object store, or delete it before the work ends.",
    deciding=True,
)
TF604 = Rule(
    "TF604",
    "work began with a context variable or thread-local that earlier work had set",
    Severity.WARNING,
    (Moment.RUN,),
    "Reset the variable with its token in a `finally`.",
)
TF605 = Rule(
    "TF605",
    "work left a thread, task, child process, descriptor or socket behind",
    Severity.ERROR,
    (Moment.RUN,),
    "Await, join or close it before the work ends, or hand it to a job queue.",
    deciding=True,
)
TF606 = Rule(
    "TF606",
    "work changed a setting of the whole process",
    Severity.ERROR,
    (Moment.RUN,),
    "Set it once when the process starts; pass the value to what needs it during work.",
)
TF607 = Rule(
    "TF607",
    "work replaced a function or attribute of a module or class",
    Severity.ERROR,
    (Moment.RUN,),
    "Patch when the process starts, or inject what differs.",
)
TF608 = Rule(
    "TF608",
    "a session, cache, lock or broker keeps its state inside the process",
    Severity.ERROR,
    (Moment.START, Moment.RUN),
    "Attach a backing service for it, such as Redis.",
)

RULES = (
    TF601,
    TF602,
    TF603,
    TF604,
    TF605,
    TF606,
    TF607,
    TF608,
)
