"""Waivers and the baseline on a scorecard."""

import dataclasses
import datetime as dt

import pytest

from tests.report.conftest import FOUND, RULES, WAIVERS, gathered, record
from twelvefactor import baseline
from twelvefactor.exceptions import UsageError
from twelvefactor.factor import Finding, Severity, Verdict
from twelvefactor.report import comparing, evidence
from twelvefactor.report import json as machine
from twelvefactor.waivers import Waivers

KNOWN = Finding(RULES["TF1102"], "prints what is no event", "orders.debug")


def grade(card, number):
    return card.grades[number - 1]


def notes(card, kind):
    return [note.text for note in card.notes if note.kind == kind]


class TestWaivers:
    """In `check` and pytest."""

    def test_a_waived_finding_costs_nothing_and_is_told(self):
        """
        With its reason.
        """
        card = gathered(record(FOUND[:1]))

        assert grade(card, 6).points == 1
        assert [finding.waived for finding in card.findings] == ["thumbnails are rebuilt"]

    def test_one_whose_day_has_passed_costs_what_a_warning_does(self):
        """
        TF1103 is an error; half of the factor is lost, and it is said why.
        """
        card = gathered(record(FOUND[2:3]))

        assert (grade(card, 11).verdict, grade(card, 11).points) == (Verdict.FAIL, 0.5)
        assert [finding.severity for finding in card.findings] == [Severity.WARNING]
        (told,) = notes(card, "waiver-overdue")
        assert "TF1103 at orders/* ended on 2026-01-01 (the old log server)" in told

    def test_the_day_is_the_readers(self):
        """
        Not that of the process that wrote the evidence.
        """
        assert grade(gathered(record(FOUND[2:3]), today=dt.date(2025, 12, 31)), 11).points == 1

    def test_one_without_a_reason_is_told_and_does_not_hold(self):
        """
        The finding counts.
        """
        card = gathered(record([Finding(RULES["TF601"], "m", "orders.basket")]))

        assert grade(card, 6).points == 0
        assert any("waiver 3 (TF601) does not hold: it has no reason" in each for each in notes(card, "waiver-invalid"))

    def test_one_of_a_rule_that_does_not_exist_is_told(self):
        """
        With the next step.
        """
        card = gathered(record([], [{"rule": "TF699", "reason": "x"}]))

        (told,) = notes(card, "waiver-invalid")
        assert "no rule has that id; `twelvefactor explain all`" in told

    def test_one_that_excused_nothing_is_told_after_a_whole_run_only(self):
        """
        Some tests, or a start, may not come to it.
        """
        assert notes(gathered(record(FOUND[:1])), "waiver-unused") == []
        told = notes(gathered(record(FOUND[:1]), whole=True), "waiver-unused")
        assert [each.split(" excused")[0] for each in told] == [
            "the waiver of TF1103 at orders/*",
            "the waiver of TF603 at orders.spool",
        ]

    def test_one_that_was_needed_in_any_process_is_needed(self):
        """
        Web needs it, the worker does not.
        """
        told = notes(gathered(record(FOUND[:1]), record([]), whole=True), "waiver-unused")

        assert not any("TF602" in each for each in told)

    def test_the_codebase_of_now_may_excuse_what_was_seen_before(self):
        """
        Evidence need not be gathered again for a waiver.
        """
        waivers = Waivers.declared({"waivers": [{"rule": "TF601", "where": "orders.CARTS", "reason": "demo"}]})

        card = gathered(record(FOUND[1:2]), waivers=waivers)

        assert grade(card, 6).points == 1

    def test_a_finding_that_one_process_does_not_waive_counts(self):
        """
        The older release knew no waiver.
        """
        card = gathered(record(FOUND[:1], []), record(FOUND[:1], WAIVERS))

        assert grade(card, 6).points == 0
        assert [finding.count for finding in card.findings] == [24]


class TestBaseline:
    """For adoption."""

    def test_known_findings_do_not_count_and_new_ones_do(self, tmp_path):
        """
        What was written is what is known.
        """
        file = tmp_path / "baseline.txt"
        assert baseline.write(gathered(record(FOUND[3:4])).findings, file) == 1

        adopted = gathered(record(FOUND[3:4]), baseline=baseline.read(file))
        later = gathered(record([FOUND[3], FOUND[1]]), baseline=baseline.read(file))

        assert grade(adopted, 11).points == 1
        assert [finding.known for finding in adopted.findings] == [True]
        assert (grade(later, 11).points, grade(later, 6).points) == (1, 0)

    def test_a_line_that_moved_is_the_same_finding(self):
        """
        Known by rule and culprit.
        """
        moved = [dataclasses.replace(FOUND[3], where="orders/debug.py:99")]

        assert grade(gathered(record(moved), baseline={("TF1102", "orders.debug")}), 11).points == 1

    def test_what_is_gone_is_said(self):
        """
        Where somebody looked for it.
        """
        card = gathered(record([]), baseline={("TF1102", "orders.debug"), ("TF401", "api.example.com")})

        assert notes(card, "baseline-gone") == ["TF1102 orders.debug is gone; take its line out of the baseline"]

    def test_a_known_finding_of_a_rule_that_nobody_looked_at_is_no_pass(self):
        """
        The factor stays unknown.
        """
        found = record([Finding(RULES["TF401"], "m", "api.example.com")], looked=())
        blind = dataclasses.replace(
            found,
            rulings=tuple(
                dataclasses.replace(each, otherwise=dataclasses.replace(each.otherwise, verdict=Verdict.UNKNOWN))
                if each.findings
                else each
                for each in found.rulings
            ),
        )

        assert grade(gathered(blind, baseline={("TF401", "api.example.com")}), 4).verdict is Verdict.UNKNOWN

    def test_a_waived_finding_is_not_written(self, tmp_path):
        """
        Its waiver is enough.
        """
        file = tmp_path / "baseline.txt"

        assert baseline.write(gathered(record(FOUND[:1])).findings, file) == 0
        assert baseline.read(file) == frozenset()

    def test_a_culprit_may_have_spaces(self, tmp_path):
        """
        And a message line breaks.
        """
        file = tmp_path / "baseline.txt"
        finding = Finding(RULES["TF404"], "two\nlines", "db in request GET /orders", where="a.py:1")

        baseline.write([finding], file)

        assert baseline.read(file) == {("TF404", "db in request GET /orders")}

    @pytest.mark.parametrize("text", ["shop.cache\n", "TF602\n", '{"findings": []}'])
    def test_a_line_that_is_none_is_named(self, tmp_path, text):
        """
        A typing error must not make findings new.
        """
        file = tmp_path / "baseline.txt"
        file.write_text(text)

        with pytest.raises(UsageError, match=r"baseline\.txt:1"):
            baseline.read(file)


class TestComparing:
    """`--diff`."""

    def changes(self, before, after):
        return comparing.changes(machine.document(before), after)

    def test_nothing_has_changed(self, card):
        """
        The same evidence, the same report.
        """
        assert self.changes(card, card) == ()

    def test_the_score_the_factors_and_the_findings(self):
        """
        What is new, and what is gone.
        """
        told = self.changes(gathered(record(FOUND[3:4])), gathered(record(FOUND[1:2])))

        assert told == (
            "score: 7.5 of 8 decided (4 ?), now 7 of 8 decided (4 ?)",
            "VI: 1, now 0",
            "XI: 0.5, now 1",
            "new: TF601 orders.CARTS: put <b>a list</b> & more into orders.CARTS",
            "gone: TF1102 orders.debug",
        )

    def test_what_nobody_looked_at_is_not_gone(self):
        """
        It may still be there.
        """
        told = self.changes(gathered(record(FOUND[3:4])), gathered(record([], looked=())))

        assert "not looked at: TF1102 orders.debug" in told

    @pytest.mark.parametrize("text", ["", "{}", '{"schema": "other/1"}', '{"schema": "twelvefactor-scorecard/1"}'])
    def test_a_file_that_is_no_report_is_named(self, tmp_path, text):
        """
        A usage error.
        """
        file = tmp_path / "earlier.json"
        file.write_text(text)

        with pytest.raises(UsageError, match=r"earlier\.json"):
            comparing.read(file)


def test_evidence_keeps_waivers_and_what_would_be_without_them(tmp_path):
    """
    Written and read again.
    """
    told = record()

    assert [(waiver.rule, used) for waiver, used in told.waivers] == [
        ("TF602", True),
        ("TF1103", True),
        ("TF603", False),
    ]
    assert (told.service, told.release) == ("orders", "3f1c2ab")
    assert isinstance(told, evidence.Record)
