"""The page of a rule."""

import pytest
from click.testing import CliRunner

from twelvefactor.cli import explain as command
from twelvefactor.cli import main
from twelvefactor.factor import Moment, Rule, Severity

RULE = Rule(
    "TF601", "work changed state that outlives it", Severity.ERROR, (Moment.RUN,), "Keep it in a store.", deciding=True
)


@pytest.fixture
def explain(monkeypatch):
    monkeypatch.setattr(command, "all_rules", lambda: (RULE,))
    return lambda text: CliRunner().invoke(main, ["explain", text])


@pytest.mark.parametrize("text", ["TF601", "tf601", "VI", "processes", "6"])
def test_a_rule_is_found_by_id_and_factor(explain, text):
    """
    The id, and the factor's number or name, find it.
    """
    shown = explain(text)

    assert shown.exit_code == 0
    assert "VI. Processes · **error** · decided at run" in shown.output
    assert "Keep it in a store." in shown.output


def test_an_unknown_rule_hints_at_the_nearest(explain):
    """
    A slip of the finger is answered with the id that was meant.
    """
    shown = explain("TF610")

    assert shown.exit_code == 64
    assert "Did you mean TF601?" in shown.stderr
