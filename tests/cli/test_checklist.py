"""`twelvefactor checklist`: six questions, three words."""

import io
import json

import pytest
from click.testing import CliRunner

from twelvefactor import Service
from twelvefactor.cli import main
from twelvefactor.factor import Finding
from twelvefactor.report import evidence as files
from twelvefactor.report.checklist import QUESTIONS
from twelvefactor.report.rules import all_rules

RULES = {rule.id: rule for rule in all_rules()}


@pytest.fixture
def answered(tmp_path):
    """Run it on the evidence of a process that looked at some rules and found some broken."""

    def answered(looked=(), broken=(), shape="json"):
        service = Service("orders", environ={"LOG_FORMAT": "json"}, stream=io.StringIO())
        with service.in_flight.work("request", "GET /"):
            pass
        for rule in looked:
            service.evidence.looked(RULES[rule], "something")
        for rule in broken:
            service.evidence.report(Finding(RULES[rule], f"{rule} is broken", "culprit"))
        files.write(service, tmp_path / "web.json")
        return CliRunner().invoke(main, ["checklist", "--evidence", str(tmp_path / "web.json"), "--format", shape])

    return answered


def words(ended):
    return [each["answer"] for each in json.loads(ended.stdout)["questions"]]


ALL = sorted({rule for question in QUESTIONS for rule in question.needed})


def test_all_yes_is_0(answered):
    """
    Every rule behind them was looked at.
    """
    ended = answered(ALL)

    assert (words(ended), ended.exit_code) == (["yes"] * 6, 0)


def test_nobody_looked_is_unknown_and_3(answered):
    """
    Unknown is never yes.
    """
    ended = answered()

    assert (words(ended), ended.exit_code) == (["unknown"] * 6, 3)


@pytest.mark.parametrize(
    ("rule", "at"),
    [("TF204", 0), ("TF1001", 0), ("TF305", 1), ("TF505", 2), ("TF602", 3), ("TF902", 3), ("TF1103", 4), ("TF1203", 5)],
)
def test_one_broken_rule_is_one_no_and_1(answered, rule, at):
    """
    Of its own question only: factor XI is not factor I.
    """
    ended = answered(ALL, [rule])

    assert (words(ended), ended.exit_code) == ([("no" if n == at else "yes") for n in range(6)], 1)


def test_the_text_says_the_rule_and_the_fix(answered):
    """
    What, why, and the next step.
    """
    ended = answered(ALL, ["TF1103"], shape="text")

    assert "no      Do logs go to stdout?" in ended.stdout
    assert "TF1103: TF1103 is broken" in ended.stdout
    assert RULES["TF1103"].fix in ended.stdout


def test_each_rule_that_a_question_needs_exists():
    """
    A renamed rule would make a question unknown for ever.
    """
    assert set(ALL) <= set(RULES)
    assert all(prefix + "01" in RULES for question in QUESTIONS for prefix in question.also)


def test_without_evidence_it_says_how_to_get_some():
    """
    Usage.
    """
    ended = CliRunner().invoke(main, ["checklist"])

    assert (ended.exit_code, "TWELVEFACTOR_EVIDENCE" in ended.output) == (64, True)
