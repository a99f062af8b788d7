"""Waivers in a running process: the stream, enforcement, the score."""

import json
import subprocess
import sys
import tomllib

import pytest

from twelvefactor import FactorViolation, Service
from twelvefactor.factor import Finding, Verdict
from twelvefactor.report.rules import all_rules

RULES = {rule.id: rule for rule in all_rules()}
LEAK = Finding(RULES["TF602"], "a cache gains entries", "shop.CACHE", where="shop/views.py:31")


@pytest.fixture
def waiving(tmp_path, make, stream):
    """A service whose build manifest holds these waivers."""

    def waiving(waivers, **environ):
        table = tomllib.loads(waivers)["tool"]["twelvefactor"]
        manifest = tmp_path / "twelvefactor-build.json"
        manifest.write_text(json.dumps({"schema": 1, "config": table}, default=str))
        return make(environ={"TWELVEFACTOR_BUILD": str(manifest), **environ})

    return waiving


CACHE = """
[[tool.twelvefactor.waivers]]
rule = "TF602"
where = "shop.CACHE"
reason = "thumbnails are rebuilt on demand"
until = 2020-01-01
"""


def test_the_stream_tells_a_waived_finding_at_info_with_its_reason(waiving, stream):
    """
    Past its date too: a day that passes wakes nobody.
    """
    service = waiving(CACHE)

    service.evidence.report(LEAK)

    (event,) = stream.named("twelvefactor.finding")
    assert (event["level"], event["waived"]) == ("info", "thumbnails are rebuilt on demand")


def test_a_waived_finding_does_not_fail_its_rule(waiving):
    """
    It stays in the ruling, for reports.
    """
    service = waiving(CACHE)

    service.evidence.report(LEAK)

    ruling = service.evidence.ruling(LEAK.rule)
    assert ruling.verdict is Verdict.PASS
    assert [finding.waived for finding in ruling.findings] == ["thumbnails are rebuilt on demand"]


def test_another_finding_of_the_rule_fails_it(waiving):
    """
    A waiver is for one culprit.
    """
    service = waiving(CACHE)

    service.evidence.report(LEAK)
    service.evidence.report(Finding(LEAK.rule, "another", "shop.OTHER"))

    ruling = service.evidence.ruling(LEAK.rule)
    assert (ruling.verdict, ruling.because) == (Verdict.FAIL, "another")


def test_a_waived_rule_that_could_not_be_looked_at_stays_unknown(waiving):
    """
    A waiver makes nobody see.
    """
    service = waiving(CACHE)
    service.evidence.could_not_look(LEAK.rule, "switched off")

    service.evidence.report(LEAK)

    assert service.evidence.ruling(LEAK.rule).verdict is Verdict.UNKNOWN


def test_enforcement_lets_a_waived_finding_be(waiving):
    """
    The work goes on.
    """
    service = waiving(CACHE, TWELVEFACTOR_ENFORCE="TF602")

    with service.work("job", "thumbnail"):
        service.evidence.report(LEAK)


def test_enforcement_minds_what_is_not_waived(waiving):
    """
    With the same waiver.
    """
    service = waiving(CACHE, TWELVEFACTOR_ENFORCE="TF602")

    with pytest.raises(FactorViolation), service.work("job", "cart") as work:
        service.evidence.report(Finding(LEAK.rule, "another", "shop.OTHER", work=work.id))


def test_an_act_that_enforcement_stops_is_not_stopped_where_it_is_waived(waiving):
    """
    TF206 stops an installation, but for one that somebody answers for.
    """
    waiver = '[[tool.twelvefactor.waivers]]\nrule = "TF206"\nwhere = "pip install"\nreason = "a plug-in host"\n'
    service = waiving(waiver, TWELVEFACTOR_ENFORCE="TF206", PATH="/usr/bin:/bin")
    service.start()
    try:
        ended = subprocess.run([sys.executable, "-m", "pip", "install", "--no-index"], capture_output=True, timeout=60)
        with pytest.raises(FactorViolation):
            subprocess.run(["npm", "install", "left-pad"], capture_output=True, timeout=60)
    finally:
        service.close()
    assert ended.returncode == 1  # it ran, and had nothing to install
    assert any(finding.waived for finding in service.findings.of("TF206"))


def test_a_waiver_without_a_reason_is_an_event_at_start(waiving, stream):
    """
    And excuses nothing.
    """
    service = waiving('[[tool.twelvefactor.waivers]]\nrule = "TF602"\n')
    service.start()
    service.evidence.report(LEAK)

    (event,) = stream.named("twelvefactor.waiver.invalid")
    assert "no reason" in event["problem"]
    assert not next(iter(service.findings.of("TF602"))).excused


def test_what_a_waiver_covers_no_longer_is_told_when_it_happens_elsewhere(waiving):
    """
    The same culprit at a line that is not waived is new.
    """
    waiver = '[[tool.twelvefactor.waivers]]\nrule = "TF602"\nwhere = "shop/views.py"\nreason = "known"\n'
    service = waiving(waiver)

    assert service.evidence.report(LEAK)
    assert service.evidence.report(Finding(LEAK.rule, "here too", LEAK.culprit, where="shop/jobs.py:4"))

    assert service.evidence.ruling(LEAK.rule).verdict is Verdict.FAIL
    assert [finding.count for finding in service.findings] == [2]


def test_a_service_without_waivers_says_nothing(make):
    """
    As ever.
    """
    service = make()

    assert isinstance(service, Service)
    assert service.waivers.held == ()
