"""`pytest --twelvefactor`, run for real on a small suite."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LEAN

ROOT = Path(__file__).resolve().parents[2]
APP = """
import twelvefactor as tf
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

seen = []

async def leak(request):
    seen.append(object())
    return PlainTextResponse("x")

async def clean(request):
    return PlainTextResponse("y")

service = tf.Service("shop")
app = service.asgi(Starlette(routes=[Route("/leak", leak), Route("/", clean)]))
"""
TESTS = """
import unittest
import pytest
from starlette.testclient import TestClient
from shop import app

@pytest.mark.parametrize("_", range(4))
def test_clean(_):
    with TestClient(app) as client:
        for _ in range(40):
            assert client.get("/").status_code == 200

class Old(unittest.TestCase):
    def test_leak(self):
        with TestClient(app) as client:
            for _ in range(600):
                assert client.get("/leak").status_code == 200
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(APP)
    (folder / "test_shop.py").write_text(TESTS)
    (folder / "pyproject.toml").write_text(
        "[project]\nname = 'shop'\nversion = '1'\ndependencies = ['twelvefactor-runtime', 'starlette']\n"
        "[tool.pytest.ini_options]\npythonpath = ['.']\n"
        "[[tool.twelvefactor.waivers]]\nrule = 'TF201'\nreason = 'a sketch'\nuntil = 2020-01-01\n"
        "[[tool.twelvefactor.waivers]]\nrule = 'TF1101'\nwhere = 'gone'\nreason = 'no longer'\n"
    )

    def run(*options, **environ):
        plugin = () if _registered() else ("-p", "twelvefactor.pytest_plugin")
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "GIT_SHA": "3f1c2ab", **environ}
        environ.pop("PYTEST_XDIST_WORKER", None)
        command = [sys.executable, "-m", "pytest", "-q", *LEAN, *plugin, *options]
        return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300)

    run.folder = folder
    return run


def _registered():
    from importlib.metadata import entry_points

    return any(each.name == "twelvefactor" for each in entry_points(group="pytest11"))


@pytest.fixture(scope="module")
def graded(suite):
    """One whole session, with every option."""
    options = ("--twelvefactor-report=html:r.html", "--twelvefactor-report=json:r.json")
    return suite("--twelvefactor", "--twelvefactor-min=12", *options, "--twelvefactor-write-baseline=known.txt")


def factors(suite):
    told = json.loads((suite.folder / "r.json").read_text())
    return {factor["roman"]: factor for factor in told["factors"]}, told


class TestASession:
    """All tests of a suite, unittest's too."""

    def test_the_scorecard_stands_at_the_end_with_one_line_a_factor(self, graded):
        """
        As coverage does.
        """
        card = graded.stdout.split("= twelve factors =")[1].split("Findings")[0]
        rows = [line for line in card.splitlines() if line.strip() and not line.startswith("=")]

        assert rows[0].startswith("shop, release 3f1c2ab"), graded.stdout + graded.stderr
        assert [row.split()[0] for row in rows[1:]] == "I II III IV V VI VII VIII IX X XI XII".split()

    def test_what_a_unittest_left_behind_costs_its_factor(self, graded, suite):
        """
        With the sampled watch.
        """
        by_roman, _ = factors(suite)

        assert (by_roman["VI"]["verdict"], by_roman["VI"]["score"]) == ("fail", 0)
        assert "TF602 " in graded.stdout
        assert "shop.seen" in graded.stdout

    def test_below_the_minimum_the_session_fails(self, graded):
        """
        Though every test passed.
        """
        assert graded.returncode == 1
        assert "5 passed" in graded.stdout
        assert "FAIL: a score of 12 is required" in graded.stdout

    def test_reports_are_written(self, graded, suite):
        """
        Each that was asked for.
        """
        assert (suite.folder / "r.html").read_text().startswith("<!DOCTYPE html>")
        assert "json report: r.json" in graded.stdout

    def test_waivers_that_are_over_or_were_not_needed_are_warnings(self, graded):
        """
        The latter since everything ran.
        """
        told = " ".join(graded.stdout.split())

        assert "warning: the waiver of TF201 ended on 2020-01-01 (a sketch)" in told
        assert "warning: the waiver of TF1101 at gone excused nothing in the whole run" in told

    def test_a_baseline_is_written_and_held_against_the_next_session(self, graded, suite):
        """
        What is known does not count; a part of the suite does not say what is no longer needed.
        """
        assert "TF602 shop.seen" in (suite.folder / "known.txt").read_text()

        again = suite("--twelvefactor-baseline=known.txt", "--twelvefactor-report=json:r.json", "-k", "leak")

        by_roman, told = factors(suite)
        assert again.returncode == 0, again.stdout
        assert by_roman["VI"]["verdict"] != "fail"
        assert "waiver-unused" not in {note["kind"] for note in told["notes"]}


def test_workers_of_xdist_are_merged(suite):
    """
    What one saw is on the one scorecard.
    """
    ended = suite("-n", "2", "--twelvefactor", "--twelvefactor-report=json:r.json")

    by_roman, told = factors(suite)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("= twelve factors =") == 1
    assert by_roman["VI"]["score"] == 0
    assert by_roman["I"]["score"] == 1
    assert "waiver-unused" in {note["kind"] for note in told["notes"]}


def test_a_format_that_means_nothing_is_a_usage_error(suite):
    """
    Before any test runs.
    """
    ended = suite("--twelvefactor-report=pdf:r.pdf")

    assert ended.returncode == 4
    assert "expected FORMAT:PATH; the formats are text, json, sarif, html, badge" in ended.stderr


def test_tests_that_start_no_service_are_told_so(tmp_path):
    """
    Unknown twelve times, and why.
    """
    (tmp_path / "test_nothing.py").write_text("def test_nothing(twelvefactor):\n    assert twelvefactor() == []\n")
    plugin = () if _registered() else ("-p", "twelvefactor.pytest_plugin")
    command = [sys.executable, "-m", "pytest", "-q", *LEAN, "--twelvefactor", *plugin]

    ended = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300
    )

    assert ended.returncode == 0, ended.stdout
    assert "no service was started by these tests" in ended.stdout
    assert "0 of 0 decided (12 ?)" in ended.stdout


IMPORTS = """
import sys, time
import pytest, _pytest.config, _pytest.python, _pytest.unittest
before, began = set(sys.modules), time.process_time()
import twelvefactor.pytest_plugin
took, loaded = time.process_time() - began, sorted(set(sys.modules) - before)
began = time.process_time()
import xml.dom.minidom
print(took / (time.process_time() - began), *loaded)
"""


def test_the_plugin_imports_nothing_that_pytest_does_not(tmp_path):
    """
    Three modules of ours, in a fraction of the time of a small one of the standard library (0.8 ms beside 2.5): every
    pytest run loads it. The best of five, as a ratio: how fast this machine is, and how busy, is another matter.
    """
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(tmp_path)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    runs = [
        subprocess.check_output([sys.executable, "-c", IMPORTS], text=True, env=environ, timeout=60).split()
        for _ in range(6)
    ]

    assert runs[0][1:] == [
        "twelvefactor", "twelvefactor.pytest_plugin", "twelvefactor.testing", "twelvefactor.testing.fixtures",
    ]  # fmt: skip
    assert min(float(run[0]) for run in runs[1:]) <= 0.6
