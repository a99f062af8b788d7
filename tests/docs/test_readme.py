"""The README's table of twelve says what is judged today, no more and no less."""

import re
from pathlib import Path

import pytest

from twelvefactor.factor import FACTORS
from twelvefactor.report.rules import all_rules, page

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def judged(factor):
    """How far a factor is judged: the rules whose pages do not say that nobody looks."""
    rules = [rule for rule in all_rules() if rule.factor == factor]
    looked = [rule for rule in rules if "Not looked at yet" not in (page(rule) or "")]
    if not looked:
        return "not judged yet"
    return "**judged**" if all(rule in looked for rule in rules if rule.deciding) else "judged in part"


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.page)
def test_a_factor_is_said_to_be_judged_as_far_as_it_is(factor):
    """
    A table that promises more than the rules keep is worse than none.
    """
    row = re.search(rf"^\| {factor.roman} \|.*\|$", README, re.MULTILINE)

    assert row, f"README.md: the table has no row for {factor}"
    assert judged(factor) in row[0], f"README.md: {factor} is {judged(factor)}; its row says {row[0]!r}"


def test_every_link_leads_somewhere():
    """
    The site's builder looks at the pages' links, and not at these.
    """
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)

    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_it_is_short():
    """
    What needs more words has a page.
    """
    assert len(README.splitlines()) <= 120
