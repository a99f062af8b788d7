"""Factor VII: what keeps the app from being a service on a port."""

from __future__ import annotations

from twelvefactor.factor import Moment, Rule, Severity

TF701 = Rule(
    "TF701",
    "PORT is set and the web process does not listen on it",
    Severity.ERROR,
    (Moment.START,),
    "Bind to $PORT: `twelvefactor run web` does, and so does your server's own option.",
    deciding=True,
    applies_to=("web",),
)
TF702 = Rule(
    "TF702",
    "the app runs inside a web server's process instead of exporting a port",
    Severity.ERROR,
    (Moment.START,),
    "Start the app as a process of its own with uvicorn, gunicorn or the like, behind the web server.",
    deciding=True,
    applies_to=("web",),
)
TF703 = Rule(
    "TF703",
    "the web process listens on loopback only, inside a container",
    Severity.WARNING,
    (Moment.START,),
    "Bind to 0.0.0.0 or [::], so that the platform's router can reach it.",
    applies_to=("web",),
)
TF704 = Rule(
    "TF704",
    "the app itself answers a path that is also a probe's",
    Severity.INFO,
    (Moment.START,),
    "Nothing, if the app's answer is meant to be the probe; else name another path for the probe.",
    applies_to=("web",),
)

RULES = (
    TF701,
    TF702,
    TF703,
    TF704,
)
