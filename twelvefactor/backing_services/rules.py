"""What factor IV is judged by."""

from __future__ import annotations

from twelvefactor.factor import Moment, Rule, Severity

_SERVING = ("web", "worker", "clock")

TF401 = Rule(
    "TF401",
    "the app reaches a service that is not an attached resource",
    Severity.WARNING,
    (Moment.RUN,),
    "attach it with service.attach(url), or declare its host in [tool.twelvefactor] egress",
    deciding=True,
    applies_to=_SERVING,
)
TF402 = Rule(
    "TF402",
    "an attached resource did not answer within its start deadline",
    Severity.ERROR,
    (Moment.START,),
    "start the service, or correct the URL in the environment; the process keeps trying",
    deciding=True,
    applies_to=_SERVING,
)
TF403 = Rule(
    "TF403",
    "the app builds a client beside attach, so nothing checks, drains or closes it",
    Severity.WARNING,
    (Moment.RUN,),
    "take the client that service.attach(url) returns, or give it yours with client=",
    applies_to=_SERVING,
)
TF404 = Rule(
    "TF404",
    "a connection taken from a resource did not come back at the end of its unit of work",
    Severity.WARNING,
    (Moment.RUN, Moment.STOP),
    "take it in a `with` block, or close it before the work ends",
    applies_to=_SERVING,
)

RULES = (TF401, TF402, TF403, TF404)
