"""The examples on the rules' pages are run: the first makes its rule fire and no other, the second is quiet."""

import contextlib
import re

import pytest

from tests.conftest import absent, listens
from tests.rules.pages import ROOT, example
from tests.rules.running import Lives, Setting, run
from twelvefactor.report.rules import all_rules

RULES = tuple(rule.id for rule in all_rules())
SHOWN = {kind: tuple(rule for rule in RULES if example(rule, kind).is_shown) for kind in ("fires", "quiet")}


@pytest.fixture(scope="module")
def lives():
    lives = Lives()
    yield lives
    lives.close()


@pytest.fixture
def seen(lives, tmp_path):
    """What was seen in the life of an example."""

    def seen(rule, kind):
        shown = example(rule, kind)
        for port in shown.ports:
            if not listens(port):
                absent(f"nothing listens on 127.0.0.1:{port}")
        with contextlib.closing(Setting(tmp_path, shown)) as setting:
            return run(lives, setting, rule, kind)

    return seen


def failed(rules, about):
    """What fails; how long a start took is a busy machine's business, where the example is not about it."""
    return {
        rule: [each["message"] for each in told["findings"]]
        for rule, told in rules.items()
        if told["verdict"] == "fail" and (rule != "TF901" or rule == about)
    }


@pytest.mark.parametrize("rule", SHOWN["fires"])
def test_the_first_example_makes_its_rule_fire_and_no_other(seen, rule):
    """
    What is named is what is broken.
    """
    assert list(failed(seen(rule, "fires"), rule)) == [rule]


@pytest.mark.parametrize("rule", SHOWN["quiet"])
def test_the_second_example_is_quiet(seen, rule):
    """
    Its rule was looked at and passed, and nothing else failed.
    """
    rules = seen(rule, "quiet")

    assert failed(rules, rule) == {}
    assert rules[rule]["verdict"] == "pass", rules[rule]["because"]


@pytest.mark.parametrize("kind", ["fires", "quiet"])
@pytest.mark.parametrize("rule", RULES)
def test_a_page_shows_its_example_or_names_the_test_that_runs_it(rule, kind):
    """
    A test that is there.
    """
    shown = example(rule, kind)

    assert shown.is_shown or shown.tests
    for test in shown.tests:
        file, _, name = test.partition("::")
        assert re.search(rf"def {name.rpartition('::')[2]}\(", (ROOT / file).read_text()), test
