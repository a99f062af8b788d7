"""Grades from rulings, and what is kept of them."""

import io
import json

import pytest

from twelvefactor.exceptions import UsageError
from twelvefactor.factor import FACTORS, Evidence, Finding, Moment, Rule, Ruling, Severity, Verdict
from twelvefactor.report import evidence as files
from twelvefactor.report import json as machine
from twelvefactor.report import score, text

DECIDING = Rule("TF601", "state outlives its work", Severity.ERROR, (Moment.RUN,), "Keep it outside.", deciding=True)
ALSO = Rule("TF602", "state grows with the work", Severity.ERROR, (Moment.RUN,), "Bound it.", deciding=True)
WARNING = Rule("TF604", "a context variable was left set", Severity.WARNING, (Moment.RUN,), "Reset it.")
INFO = Rule("TF699", "something to know", Severity.INFO, (Moment.RUN,), "Nothing.")


def ruled(rule, verdict):
    findings = (Finding(rule, "seen", "shop.CART", where="shop.py:3"),) if verdict is Verdict.FAIL else ()
    return Ruling(rule, verdict, f"{rule.id} {verdict.value}", findings)


def processes(*rulings):
    """The grade of factor VI."""
    return score.grade(rulings).grades[5]


def test_a_factor_whose_deciding_rules_pass_earns_its_point():
    """
    Rules that do not decide may be unknown.
    """
    grade = processes(ruled(DECIDING, Verdict.PASS), ruled(ALSO, Verdict.PASS), ruled(WARNING, Verdict.UNKNOWN))

    assert (grade.verdict, grade.points) == (Verdict.PASS, 1.0)


def test_an_undecided_deciding_rule_makes_the_factor_unknown():
    """
    Unknown is never pass.
    """
    grade = processes(ruled(DECIDING, Verdict.PASS), ruled(ALSO, Verdict.UNKNOWN))

    assert (grade.verdict, grade.points) == (Verdict.UNKNOWN, 0.0)
    assert grade.why == "TF602: TF602 unknown"


def test_a_failed_error_costs_the_factor():
    """
    Whatever else passed.
    """
    grade = processes(ruled(DECIDING, Verdict.PASS), ruled(ALSO, Verdict.FAIL))

    assert (grade.verdict, grade.points) == (Verdict.FAIL, 0.0)


def test_a_failed_error_decides_the_factor_whatever_is_unknown():
    """
    A refused config is a failed factor, though the process never came to the rules of a run.
    """
    grade = processes(ruled(DECIDING, Verdict.FAIL), ruled(ALSO, Verdict.UNKNOWN))

    assert (grade.verdict, grade.points) == (Verdict.FAIL, 0.0)


def test_a_failed_warning_leaves_an_undecided_factor_unknown():
    """
    It could still be lost altogether.
    """
    grade = processes(ruled(DECIDING, Verdict.UNKNOWN), ruled(WARNING, Verdict.FAIL))

    assert grade.verdict is Verdict.UNKNOWN


def test_a_failed_warning_costs_half():
    """
    One or more of them.
    """
    grade = processes(ruled(DECIDING, Verdict.PASS), ruled(ALSO, Verdict.PASS), ruled(WARNING, Verdict.FAIL))

    assert (grade.verdict, grade.points) == (Verdict.FAIL, 0.5)
    assert grade.why == "TF604: TF604 fail"


def test_an_info_costs_nothing():
    """
    It is only told.
    """
    grade = processes(ruled(DECIDING, Verdict.PASS), ruled(INFO, Verdict.FAIL))

    assert (grade.verdict, grade.points) == (Verdict.PASS, 1.0)


def test_a_factor_that_does_not_apply_earns_nothing_and_costs_nothing():
    """
    It is counted apart.
    """
    card = score.grade([ruled(DECIDING, Verdict.NOT_APPLICABLE)])

    assert card.grades[5].verdict is Verdict.NOT_APPLICABLE
    assert card.not_applicable == 1


def test_a_factor_without_a_ruling_is_unknown():
    """
    No rule, no point.
    """
    assert {grade.verdict for grade in score.grade([]).grades} == {Verdict.UNKNOWN}


def test_the_score_reads_as_x_of_y_decided():
    """
    And how many are unknown.
    """
    card = score.grade([ruled(DECIDING, Verdict.PASS)])

    assert str(card) == "1 of 1 decided (11 ?)"


def test_a_process_that_looked_at_nothing_scores_nothing():
    """
    Every rule of every room: none passes by itself.
    """
    card = score.judge(Evidence().ruling)

    assert card.points == 0
    assert card.unknown == 12


class TestEvidenceFiles:
    """What a process saw outlives it."""

    def written(self, service, path):
        service.evidence.report(Finding(DECIDING, "a cart stays", "shop.CART", where="shop.py:3", work="w1", count=7))
        files.write(service, path)
        return {ruling.rule.id: ruling for ruling in files.read(path)}

    @pytest.fixture
    def service(self):
        from twelvefactor import Service

        return Service("orders", environ={"LOG_FORMAT": "json"}, stream=io.StringIO())

    def test_what_is_read_is_what_was_written(self, service, tmp_path):
        """
        Verdicts, reasons, findings with their counts.
        """
        ruling = self.written(service, tmp_path / "web.json")["TF601"]

        assert ruling.verdict is Verdict.FAIL
        (finding,) = ruling.findings
        assert (finding.culprit, finding.where, finding.work, finding.count) == ("shop.CART", "shop.py:3", "w1", 7)

    def test_a_folder_takes_one_file_a_process(self, service, tmp_path):
        """
        Several workers write side by side.
        """
        files.write(service, tmp_path)

        (written,) = tmp_path.iterdir()
        assert written.name.startswith("orders-process-")

    @pytest.mark.parametrize("content", ["", "{}", "[1]", '{"schema": "other/9"}', '{"schema": 1, "rules": null}'])
    def test_a_broken_file_is_named(self, tmp_path, content):
        """
        Never a traceback.
        """
        path = tmp_path / "broken.json"
        path.write_text(content)

        with pytest.raises(UsageError, match=r"broken\.json"):
            files.read(path)

    def test_a_rule_that_the_writer_did_not_know_is_unknown(self, service, tmp_path):
        """
        An older process cannot have looked.
        """
        path = tmp_path / "old.json"
        self.written(service, path)
        told = json.loads(path.read_text())
        del told["rules"]["TF101"]
        path.write_text(json.dumps(told))

        ruling = next(each for each in files.read(path) if each.rule.id == "TF101")
        assert ruling.verdict is Verdict.UNKNOWN

    @pytest.mark.parametrize(
        ("one", "other", "merged"),
        [
            (Verdict.PASS, Verdict.FAIL, Verdict.FAIL),
            (Verdict.UNKNOWN, Verdict.PASS, Verdict.PASS),
            (Verdict.NOT_APPLICABLE, Verdict.UNKNOWN, Verdict.UNKNOWN),
            (Verdict.NOT_APPLICABLE, Verdict.PASS, Verdict.PASS),
        ],
    )
    def test_merging_believes_whoever_saw_more(self, one, other, merged):
        """
        In either order.
        """
        for first, second in ((one, other), (other, one)):
            (ruling,) = files.merge([(ruled(DECIDING, first),), (ruled(DECIDING, second),)])
            assert ruling.verdict is merged

    def test_merging_keeps_each_culprit_once(self):
        """
        From whichever process.
        """
        (ruling,) = files.merge([(ruled(DECIDING, Verdict.FAIL),), (ruled(DECIDING, Verdict.FAIL),)])

        assert [finding.culprit for finding in ruling.findings] == ["shop.CART"]


class TestText:
    """For people."""

    def shown(self, *rulings):
        out = io.StringIO()
        text.show(score.grade(rulings), out)
        return out.getvalue()

    def test_twelve_rows_and_the_score_in_eighty_columns(self):
        """
        Without colour where there is no terminal.
        """
        shown = self.shown(ruled(DECIDING, Verdict.PASS))

        assert all(len(line) <= 80 for line in shown.splitlines())
        assert all(factor.name in shown for factor in FACTORS)
        assert "\x1b" not in shown
        assert shown.rstrip().endswith("1 of 1 decided (11 ?)")

    def test_a_finding_is_shown_with_its_place_and_fix(self):
        """
        What, where, next step.
        """
        shown = " ".join(self.shown(ruled(DECIDING, Verdict.FAIL)).split())

        assert "TF601 seen at shop.py:3. Keep it outside." in shown


def test_json_has_the_fixed_keys():
    """
    Others read it.
    """
    told = json.loads(machine.text(score.grade([ruled(DECIDING, Verdict.FAIL)])))

    assert {"schema", "score", "decided", "unknown", "factors"} <= set(told)
    assert told["factors"][5] == {
        "number": 6,
        "roman": "VI",
        "name": "Processes",
        "verdict": "fail",
        "score": 0.0,
        "rules": told["factors"][5]["rules"],
    }
    assert told["factors"][5]["rules"][0]["findings"][0]["culprit"] == "shop.CART"
