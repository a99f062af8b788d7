"""Factors, rules, findings, evidence."""

import pytest

from twelvefactor.factor import FACTORS, Evidence, Finding, Findings, Moment, Rule, Severity, Verdict

RULE = Rule("TF601", "work changed state that outlives it", Severity.ERROR, (Moment.RUN,), "Keep it outside.", True)


def finding(culprit="shop.CART", **fields):
    return Finding(RULE, "a cart outlives its request", culprit, **fields)


def test_there_are_twelve_factors_with_the_manifestos_numbers():
    """
    In order, I to XII.
    """
    assert [factor.number for factor in FACTORS] == list(range(1, 13))
    assert [factor.roman for factor in FACTORS][-1] == "XII"


def test_a_rule_belongs_to_the_factor_in_its_id():
    """
    Also with two digits.
    """
    assert RULE.factor.number == 6
    assert Rule("TF1203", "t", Severity.INFO, (), "f").factor.number == 12


def test_the_same_culprit_is_kept_once_with_a_count():
    """
    A thousand requests that leak through one name are one finding.
    """
    findings = Findings()

    assert [findings.add(finding()) for _ in range(3)] == [True, False, False]
    assert [(each.culprit, each.count) for each in findings] == [("shop.CART", 3)]


def test_only_the_first_sight_is_told():
    """
    The event stream is not flooded.
    """
    told = []
    findings = Findings(told.append)

    findings.add(finding())
    findings.add(finding())
    findings.add(finding("shop.OTHER"))

    assert [each.culprit for each in told] == ["shop.CART", "shop.OTHER"]


def test_a_finding_is_frozen():
    """
    Evidence does not change after the fact.
    """
    with pytest.raises(AttributeError):
        finding().count = 2


def test_a_finding_reads_as_one_line_with_its_fix():
    """
    What, where, next step.
    """
    line = str(finding(where="shop/cart.py:12"))

    assert line == "TF601 a cart outlives its request at shop/cart.py:12. Keep it outside."


def test_nobody_looked_is_unknown():
    """
    Unknown is never pass.
    """
    assert Evidence().ruling(RULE).verdict is Verdict.UNKNOWN


def test_looked_and_nothing_found_is_pass():
    """
    The ruling says what was looked at.
    """
    evidence = Evidence()
    evidence.looked(RULE, "every request")

    assert evidence.ruling(RULE).verdict is Verdict.PASS
    assert evidence.ruling(RULE).because == "every request"


def test_a_blind_sensor_is_unknown_even_where_another_looked():
    """
    What could not be seen may be there.
    """
    evidence = Evidence()
    evidence.looked(RULE, "every request")
    evidence.could_not_look(RULE, "a C extension")

    assert evidence.ruling(RULE).verdict is Verdict.UNKNOWN


def test_a_finding_fails_whatever_else_was_said():
    """
    One violation seen is enough.
    """
    evidence = Evidence()
    evidence.could_not_look(RULE, "half of it")
    evidence.does_not_apply(RULE, "no web process")
    evidence.report(finding())

    assert evidence.ruling(RULE).verdict is Verdict.FAIL
    assert evidence.ruling(RULE).findings[0].culprit == "shop.CART"


def test_not_applicable_is_proved_by_a_declaration():
    """
    And says which.
    """
    evidence = Evidence()
    evidence.does_not_apply(RULE, "no web process is declared")

    assert evidence.ruling(RULE).verdict is Verdict.NOT_APPLICABLE


def test_a_rule_for_other_processes_does_not_apply():
    """
    As a worker's rule in a web process; where the process is not known the rule stays.
    """
    rule = Rule("TF904", "a job would be lost", Severity.ERROR, (Moment.START,), "Ack late.", True, ("worker",))
    evidence = Evidence()
    assert evidence.ruling(rule).verdict is Verdict.UNKNOWN

    evidence.process_type = "web"

    assert evidence.ruling(rule).verdict is Verdict.NOT_APPLICABLE
