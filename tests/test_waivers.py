"""Waivers: what they cover, and what is none."""

import datetime as dt
import tomllib
from pathlib import Path

import pytest

from twelvefactor.factor import Finding, Moment, Rule, Severity
from twelvefactor.waivers import Waiver, Waivers

RULE = Rule("TF602", "state grows with the work", Severity.ERROR, (Moment.RUN,), "Bound it.", deciding=True)
FOUND = Finding(RULE, "a cache gains entries", "shop.CACHE", where="shop/views.py:31")


def declared(text):
    return Waivers.declared(tomllib.loads(text), Path("/srv/shop/pyproject.toml"))


@pytest.mark.parametrize("where", ["", "shop.CACHE", "shop.*", "shop/views.py", "shop/views.py:31", "shop/*", "*"])
def test_a_waiver_covers_by_culprit_file_or_line(where):
    """
    Exactly, or with a star; without a place, every finding of the rule.
    """
    assert Waiver("TF602", where, "rebuilt on demand").covers(FOUND)


@pytest.mark.parametrize(
    "waiver",
    [Waiver("TF601", "*"), Waiver("TF602", "shop.CACHES"), Waiver("TF602", "views.py"), Waiver("TF602", "shop")],
)
def test_a_waiver_covers_nothing_else(waiver):
    """
    Another rule, another culprit, a part of a name.
    """
    assert not waiver.covers(FOUND)


def test_a_finding_keeps_the_reason_and_the_date():
    """
    So that every report can tell them.
    """
    waivers = declared("[[waivers]]\nrule = 'TF602'\nwhere = 'shop.CACHE'\nreason = 'rebuilt'\nuntil = 2027-01-31")

    excused = waivers.excuse(FOUND)

    assert (excused.waived, excused.until, excused.excused) == ("rebuilt", dt.date(2027, 1, 31), True)
    assert waivers.stale() == ()


def test_what_no_waiver_covers_is_as_it_was():
    """
    And the waiver has excused nothing.
    """
    waivers = declared("[[waivers]]\nrule = 'TF602'\nwhere = 'shop.OTHER'\nreason = 'rebuilt'")

    assert waivers.excuse(FOUND) is FOUND
    assert [str(each) for each in waivers.stale()] == ["TF602 at shop.OTHER"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[waivers]]\nrule = 'TF602'\nwhere = 'shop.CACHE'", "it has no reason; say why this may stay"),
        ("[[waivers]]\nrule = 'TF602'\nreason = '  '", "it has no reason"),
        ("[[waivers]]\nreason = 'why not'", "rule names no rule"),
        ("[[waivers]]\nrule = 'TF6'\nreason = 'why not'", "rule names no rule"),
        ("[[waivers]]\nrule = 'TF602'\nreason = 'x'\nuntil = 'soon'", "until is no date"),
        ("[[waivers]]\nrule = 'TF602'\nreason = 'x'\nwhere = 3", "where is no text"),
        ("[[waivers]]\nrule = 'TF602'\nreason = 'x'\nuntill = 2027-01-01", "'untill' means nothing here"),
        ("waivers = ['TF602']", "is no table"),
        ("waivers = 'TF602'", "is no array"),
    ],
)
def test_what_is_no_waiver_is_named_and_excuses_nothing(text, problem):
    """
    The file, which one, and what is wrong; never an exception.
    """
    waivers = declared(text)

    assert not waivers.excuse(FOUND).excused
    (told,) = waivers.problems
    assert told.startswith("pyproject.toml: ")
    assert problem in told


def test_every_problem_of_a_waiver_is_told_at_once():
    """
    Not one a run.
    """
    (told,) = declared("[[waivers]]\nwhere = 3").problems

    assert "waiver 1 does not hold: rule names no rule" in told
    assert "no text" in told
    assert "no reason" in told


def test_a_manifest_spells_dates_as_text():
    """
    JSON has no dates.
    """
    entry = {"rule": "TF602", "reason": "rebuilt", "until": "2027-01-31"}

    assert Waivers.declared({"waivers": [entry]}).held[0].until == dt.date(2027, 1, 31)


def test_the_last_day_still_counts():
    """
    Over is the day after.
    """
    waiver = Waiver("TF602", until=dt.date(2027, 1, 31))

    assert not waiver.is_over(dt.date(2027, 1, 31))
    assert waiver.is_over(dt.date(2027, 2, 1))
