"""The labelled set, in thorough mode: every leak found with its line and blame, nothing else."""

import importlib.util
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("leak_labelled", Path(__file__).parent / "labelled.py")
labelled = importlib.util.module_from_spec(_spec)
sys.modules["leak_labelled"] = labelled
_spec.loader.exec_module(labelled)
CASES = labelled.load()


def test_the_set_is_large_and_tempting():
    """
    At least 120 cases, at least 40 of them clean.
    """
    assert len(CASES) >= 120
    assert sum(not case.leaks for case in CASES) >= 40


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_leaks_is_found_and_nothing_else(case, app):
    """
    Every label is a finding with the right line and blame, and there is no finding without a label.
    """
    outcome = labelled.run(case, app)

    assert outcome.faults == []
    assert outcome.missed == []
    assert outcome.extra == []
    assert outcome.wrong_line == []
    assert outcome.wrong_blame == []
