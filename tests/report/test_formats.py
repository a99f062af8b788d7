"""The scorecard as text, JSON, SARIF and a badge."""

import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest

from tests.report.conftest import RULES, gathered, record
from twelvefactor.factor import FACTORS
from twelvefactor.report import badge, evidence, formats, sarif, text
from twelvefactor.report import json as machine
from twelvefactor.report.score import grade

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "docs" / "reference"


def validated(told, schema):
    jsonschema.validators.validator_for(schema).check_schema(schema)
    jsonschema.validate(told, schema)
    return told


@pytest.mark.parametrize("shape", formats.FORMATS)
def test_a_report_of_nothing_is_a_report(shape):
    """
    Twelve unknowns.
    """
    assert formats.render(grade([]), shape).endswith("\n")


class TestText:
    """For people."""

    def test_no_line_is_longer_than_eighty_columns_and_nothing_is_coloured(self, card):
        """
        Where there is no terminal.
        """
        told = text.text(card)

        assert all(len(line) <= 80 for line in told.splitlines())
        assert "\x1b" not in told

    def test_the_columns_are_aligned(self, card):
        """
        Points stand below points.
        """
        rows = [line for line in text.text(card).splitlines() if re.match(r" *[IVX]+  \S", line)]

        assert len(rows) == 12
        assert {row[27] for row in rows if len(row) > 27} <= set("1½0?-")

    def test_a_terminal_gets_colour(self, card):
        """
        And only there.
        """

        class Terminal(io.StringIO):
            def isatty(self):
                return True

        terminal = Terminal()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TERM", "xterm-256color")
            patch.delenv("NO_COLOR", raising=False)
            text.show(card, terminal)

        assert "\x1b[" in terminal.getvalue()

    def test_what_is_excused_stands_apart_with_its_reason(self, card):
        """
        Waived, known, and waived no longer.
        """
        told = " ".join(text.text(card).split())

        assert "waived until 2027-01-01: thumbnails are rebuilt" in told
        assert "known: the baseline lists it" in told
        assert "was waived until 2026-01-01: the old log server" in told
        assert (
            told.index("Findings") < told.index("TF601 put") < told.index("Excused") < told.index("TF602 orders.cache")
        )
        assert "warning: pyproject.toml: waiver 3 (TF601) does not hold" in told


class TestJSON:
    """For machines."""

    def test_the_report_is_as_the_published_schema_says(self, card):
        """
        Keys that the schema does not know are errors.
        """
        schema = json.loads((SCHEMAS / "scorecard.schema.json").read_text())

        told = validated(json.loads(machine.text(card)), schema)

        assert told["schema"] == schema["properties"]["schema"]["const"]
        assert {note["kind"] for note in told["notes"]} == {"waiver-invalid", "waiver-overdue", "baseline-gone"}

    def test_evidence_is_as_its_schema_says(self, tmp_path):
        """
        The file that a process writes.
        """
        import twelvefactor

        service = twelvefactor.Service("orders", environ={"LOG_FORMAT": "json"}, stream=io.StringIO())
        for finding in gathered().findings:
            service.evidence.report(finding)

        validated(evidence.document(service), json.loads((SCHEMAS / "evidence.schema.json").read_text()))

    def test_the_schema_refuses_what_is_no_report(self, card):
        """
        It is not so wide that everything fits.
        """
        schema = json.loads((SCHEMAS / "scorecard.schema.json").read_text())
        for broken in ({"score": 13}, {"factors": [{}]}, {"notes": [{"kind": "gossip", "text": ""}]}, {"extra": 1}):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate({**machine.document(card), **broken}, schema)


@pytest.fixture(scope="module")
def schema():
    """The standard's own, as npm's @microsoft/jest-sarif ships it under the MIT licence."""
    return json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0.json").read_text())


class TestSARIF:
    """For code-scanning viewers."""

    def results(self, card):
        return {each["ruleId"]: each for each in json.loads(sarif.text(card))["runs"][0]["results"]}

    def test_it_is_sarif(self, card, schema):
        """
        By the standard's own schema, with and without findings.
        """
        for each in (card, gathered(record([])), grade([])):
            validated(json.loads(sarif.text(each)), schema)

    def test_every_rule_has_what_viewers_show(self, card):
        """
        A name of its own, in the one shape that they take; where to read on; each as Microsoft's validator wants it.
        """
        run = json.loads(sarif.text(card))["runs"][0]
        driver = run["tool"]["driver"]
        names = [rule["name"] for rule in driver["rules"]]

        assert all(re.fullmatch("[A-Z][A-Za-z0-9]+", name) for name in names)
        assert len(set(names)) == len(names)
        assert {rule["helpUri"].rpartition("/")[2] for rule in driver["rules"]} == {each.page for each in FACTORS}
        assert driver["informationUri"].startswith("https://")
        assert run["automationDetails"]["id"] == "twelvefactor/"

    def test_every_finding_is_a_result_of_a_rule_that_is_described(self, card):
        """
        The index leads to it.
        """
        run = json.loads(sarif.text(card))["runs"][0]

        assert len(run["results"]) == 5
        for result in run["results"]:
            rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
            assert rule["id"] == result["ruleId"]
            assert RULES[rule["id"]].fix.rstrip(".")[1:] in rule["help"]["markdown"]

    def test_a_place_is_relative_to_the_codebase_root(self, card):
        """
        With what is no character of a URI encoded; the root itself is told, so that a viewer finds the file.
        """
        physical = self.results(card)["TF601"]["locations"][0]["physicalLocation"]

        assert physical == {
            "artifactLocation": {"uri": "orders/my%20store.py", "uriBaseId": "CODEBASE"},
            "region": {"startLine": 44},
        }
        bases = sarif.document(card)["runs"][0]["originalUriBaseIds"]
        assert bases == {"CODEBASE": {"uri": "file:///srv/orders/"}}

    def test_a_place_outside_of_the_codebase_is_whole(self, card):
        """
        It is no path below the root.
        """
        physical = self.results(card)["TF1102"]["locations"][0]["physicalLocation"]

        assert physical["artifactLocation"] == {"uri": "file:///usr/share/orders/debug.py"}

    def test_a_finding_without_a_place_is_shown_at_the_declaration(self, card):
        """
        Viewers drop results that are nowhere.
        """
        location = self.results(card)["TF901"]["locations"][0]

        assert location["physicalLocation"]["artifactLocation"]["uri"] == "pyproject.toml"
        assert location["logicalLocations"] == [{"fullyQualifiedName": "start"}]

    def test_what_is_excused_is_suppressed_with_its_reason(self, card):
        """
        And what is excused no longer is a warning.
        """
        results = self.results(card)

        assert results["TF602"]["suppressions"][0]["justification"] == "thumbnails are rebuilt"
        assert (results["TF1102"]["baselineState"], results["TF601"]["baselineState"]) == ("unchanged", "new")
        assert (results["TF1103"]["level"], results["TF1103"]["suppressions"]) == ("warning", [])

    def test_a_line_that_moves_keeps_its_fingerprint(self):
        """
        So that a viewer does not call it new.
        """
        import dataclasses

        from tests.report.conftest import FOUND

        moved = [dataclasses.replace(each, where="orders/elsewhere.py:1") for each in FOUND]

        prints = [
            {
                each["partialFingerprints"]["ruleAndCulprit/v1"]
                for each in self.results(gathered(record(found))).values()
            }
            for found in (FOUND, moved)
        ]
        assert prints[0] == prints[1]
        assert len(prints[0]) == 5


class TestBadge:
    """For a README."""

    def test_it_is_an_image_with_a_name(self, card):
        """
        XML that loads nothing.
        """
        told = badge.text(card)
        image = ET.fromstring(told)

        assert image.get("role") == "img"
        assert image.get("aria-label") == "twelve-factor: 6/8, 4 ?"
        assert "href" not in told

    @pytest.mark.parametrize(
        ("looked", "found", "colour"),
        [(range(1, 13), False, badge._GOOD), ((), False, badge._UNKNOWN), (range(1, 9), False, badge._FAIR)],
    )
    def test_green_is_for_everything_decided_and_kept(self, looked, found, colour):
        """
        Unknown is never green.
        """
        assert badge.colour(gathered(record([], [], looked))) == colour


def test_some_factors_may_be_asked_for():
    """
    The rest is not in the report.
    """
    card = gathered(record([])).only({6, 11})

    assert str(card) == "2 of 2 decided (0 ?)"
    assert [each.factor for each in card.grades] == [FACTORS[5], FACTORS[10]]
