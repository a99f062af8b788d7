"""Each rule has a test in which it fires on a real violation and one in which it stays quiet."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from twelvefactor.report.rules import all_rules

TESTS = Path(__file__).resolve().parents[1]
FIRES, QUIET = re.compile("fires"), re.compile("quiet")

ELSEWHERE = {
    ("TF206", "quiet"): "dependencies/test_tools.py::TestTF206::test_something_else_is_not",
    (
        "TF505",
        "fires",
    ): "build_release_run/test_tf503_tf505.py::TestTF505Alembic::test_fires_and_holds_readiness_while_behind",
    ("TF505", "quiet"): "build_release_run/test_tf503_tf505.py::TestTF505Alembic::test_quiet_when_all_heads_are_there",
    ("TF704", "fires"): "integrations/test_starlette.py::test_a_path_that_the_app_routes_itself_is_left_to_it",
    ("TF704", "quiet"): "integrations/test_starlette.py::test_probes_are_answered_before_the_app",
    (
        "TF801",
        "quiet",
    ): "concurrency/test_tf801.py::test_a_web_process_that_a_plain_server_started_is_known_by_its_adapter",
    ("TF903", "fires"): "disposability/test_shutdown.py::test_work_whose_time_is_over_is_cut_and_named",
    ("TF903", "quiet"): "disposability/test_shutdown.py::test_work_that_is_over_in_time_passes",
    ("TF904", "fires"): "integrations/test_jobs.py::test_each_wrong_setting_is_a_finding",
    ("TF904", "quiet"): "integrations/test_jobs.py::test_settings_with_nothing_wrong_pass",
    ("TF1002", "quiet"): "dev_prod_parity/test_parity.py::test_tf1001_and_tf1002_are_quiet_on_the_same_line",
    ("TF1105", "fires"): "logs/test_senses.py::test_tf1105_names_the_line_that_said_a_secret",
    ("TF1203", "fires"): "admin_processes/test_exclusive.py::TestRecorded::test_an_older_release_is_found",
    ("TF1203", "quiet"): "admin_processes/test_exclusive.py::TestRecorded::test_an_older_release_is_found",
}
"""Tests whose names say it in other words."""


@cache
def suite():
    """Every test of the suite as ``file::class::function``."""
    return frozenset(found for file in TESTS.rglob("test_*.py") for found in _of(file))


def _of(file):
    name = str(file.relative_to(TESTS))
    for top in ast.parse(file.read_text()).body:
        inner = top.body if isinstance(top, ast.ClassDef) else [top]
        home = f"{name}::{top.name}::" if isinstance(top, ast.ClassDef) else f"{name}::"
        for each in inner:
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_"):
                yield home + each.name


def is_about(test, rule):
    """Whether a test's own name, else its class's, else its file's, says the rule's id."""
    ids = [set(re.findall(r"tf(\d{3,4})", part.lower())) for part in reversed(test.split("::"))]
    said = next((each for each in ids if each), set())
    return rule.id[2:] in said


@pytest.mark.parametrize("kind", ["fires", "quiet"])
@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_the_suite_has_such_a_test(rule, kind):
    """
    By its name; factor VI's rules by the examples of their pages, which are run.
    """
    if rule.factor.number == 6:
        return
    if (rule.id, kind) in ELSEWHERE:
        assert ELSEWHERE[rule.id, kind] in suite()
        return
    said = FIRES if kind == "fires" else QUIET
    assert [test for test in suite() if is_about(test, rule) and said.search(test.rpartition("::")[2])]
