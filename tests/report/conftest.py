"""A scorecard with everything in it: losses, halves, unknowns, waivers in each state, a baseline."""

import datetime as dt
import io
import json
from pathlib import Path

import pytest

from twelvefactor import Service
from twelvefactor.factor import Finding
from twelvefactor.report import evidence, gathering
from twelvefactor.report.rules import all_rules
from twelvefactor.waivers import Waivers

RULES = {rule.id: rule for rule in all_rules()}
TODAY = dt.date(2026, 7, 1)
WAIVERS = [
    {"rule": "TF602", "where": "orders.cache", "reason": "thumbnails are rebuilt", "until": "2027-01-01"},
    {"rule": "TF1103", "where": "orders/*", "reason": "the old log server", "until": "2026-01-01"},
    {"rule": "TF601", "where": "orders.basket"},
    {"rule": "TF603", "where": "orders.spool", "reason": "never needed"},
]
FOUND = [
    Finding(
        RULES["TF602"], "orders.cache gains an entry a request", "orders.cache", where="orders/store.py:31", count=12
    ),
    Finding(
        RULES["TF601"], "put <b>a list</b> & more into orders.CARTS", "orders.CARTS", where="orders/my store.py:44"
    ),
    Finding(RULES["TF1103"], "logs go to syslog", "logging.handlers.SysLogHandler", where="orders/logs.py:4"),
    Finding(RULES["TF1102"], "prints what is no event", "orders.debug", where="/usr/share/orders/debug.py:4"),
    Finding(RULES["TF901"], "start took 7 s", "start"),
]


def record(found=FOUND, waivers=WAIVERS, looked=(1, 2, 5, 6, 7, 9, 11, 12)):
    """What one process saw, through its evidence file's own spelling."""
    service = Service("orders", environ={"LOG_FORMAT": "json", "GIT_SHA": "3f1c2ab"}, stream=io.StringIO())
    service.waivers = Waivers.declared({"waivers": waivers})
    service.evidence.excuse = service.waivers.excuse
    with service.in_flight.work("request", "GET /"):
        pass
    for rule in RULES.values():
        if rule.factor.number in looked:
            service.evidence.looked(rule, "everything")
    for finding in found:
        service.evidence.report(finding)
    return evidence.parse(json.loads(json.dumps(evidence.document(service))))


def gathered(*records, **options):
    return gathering.gather(records or [record()], **{"today": TODAY, **options})


@pytest.fixture
def card():
    return gathered(baseline={("TF1102", "orders.debug"), ("TF101", "elsewhere")}, root=Path("/srv/orders"))
