"""The rules of all twelve rooms, as one table."""

import ast
import functools
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import twelvefactor
from twelvefactor.factor import FACTORS, Moment, Severity
from twelvefactor.report.rules import ROOMS, all_rules, page, with_facts

PACKAGE = Path(twelvefactor.__file__).parent
DECIDING = """
    TF101 TF104 TF201 TF202 TF203 TF301 TF302 TF303 TF401 TF402 TF501 TF502 TF504 TF601 TF602 TF603 TF605 TF701 TF702
    TF801 TF802 TF803 TF902 TF903 TF904 TF1001 TF1002 TF1003 TF1101 TF1102 TF1105 TF1201 TF1202
""".split()
WORKERS_AND_SERVERS = {"web", "worker", "clock"}


def by_id(rule):
    return rule.id


@functools.cache  # and only where it is asked: every worker collects this file
def used_names():
    """The rule constants and ids that some code uses, beside where they are declared and listed."""
    names = set()
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text())
        declared = {id(part) for node in ast.walk(tree) if is_declaration(node) for part in ast.walk(node)}
        names |= {name_of(node) for node in ast.walk(tree) if id(node) not in declared}
    return names


def is_declaration(node):
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(target, ast.Name) and target.id == "RULES" for target in targets)
    return isinstance(node, ast.Call) and name_of(node.func) == "Rule"


def name_of(node):
    match node:
        case (
            ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()) | ast.Constant(value=str(name))
        ):
            return name
    return None


def test_ids_are_unique():
    """
    No two rules share an id.
    """
    ids = [rule.id for rule in all_rules()]

    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_holds_the_rules_of_its_own_factor(room):
    """
    The id of a rule names the factor whose room it lives in.
    """
    rules = import_module(f"twelvefactor.{room}").RULES

    assert rules
    assert {rule.factor.page.replace("-", "_") for rule in rules} == {room}


def test_the_deciding_rules_are_those_of_the_contract():
    """
    A factor is unknown while one of exactly these is.
    """
    assert sorted(rule.id for rule in all_rules() if rule.deciding) == sorted(DECIDING)


def test_every_factor_has_a_deciding_rule():
    """
    No factor could pass without anybody having looked.
    """
    assert {rule.factor for rule in all_rules() if rule.deciding} == set(FACTORS)


def test_admin_processes_are_never_judged_by_backing_services():
    """
    They are how one repairs a broken deploy.
    """
    judged = {kind for rule in all_rules() if rule.factor.number == 4 for kind in rule.applies_to}

    assert judged == WORKERS_AND_SERVERS


@pytest.mark.parametrize("rule", all_rules(), ids=by_id)
def test_a_rule_says_what_fires_it_and_the_next_step(rule):
    """
    The title completes "fires when"; the fix says something.
    """
    assert not rule.title.endswith(".")
    assert rule.fix
    assert isinstance(rule.severity, Severity)
    assert rule.moments
    assert all(isinstance(moment, Moment) for moment in rule.moments)


@pytest.mark.parametrize("rule", all_rules(), ids=by_id)
def test_a_rule_has_a_page(rule):
    """
    What `explain` prints begins with the rule's id and holds its fix.
    """
    text = page(rule) or ""

    assert text.startswith(f"# {rule.id}")
    assert rule.fix[1:] in text


@pytest.mark.parametrize("rule", all_rules(), ids=by_id)
def test_a_page_is_honest_about_whether_anybody_looks(rule):
    """
    "Not looked at yet" stands on the page exactly as long as no code uses the rule.
    """
    text = page(rule) or ""

    assert ("Not looked at yet" in text) == (rule.id not in used_names())


def test_the_facts_stand_below_the_title():
    """
    Title, facts, prose, in this order.
    """
    rule = next(rule for rule in all_rules() if rule.id == "TF601")

    title, facts, *_, prose = with_facts("# TF601: t\n\nprose\n", rule).strip().split("\n\n")

    assert (title, prose) == ("# TF601: t", "prose")
    assert facts.startswith("VI. Processes · **error** · decided at run")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_can_be_asked_for_its_sensors_again_and_again(room):
    """
    No submodule is called as the function is: importing it would put the module in the function's place.
    """
    package = import_module(f"twelvefactor.{room}")

    assert callable(package.sensors)
    assert not hasattr(package, "__path__") or find_spec(f"twelvefactor.{room}.sensors") is None
