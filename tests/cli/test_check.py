"""`twelvefactor check`."""

import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from twelvefactor import Service
from twelvefactor.cli import main
from twelvefactor.report import evidence as files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def evidence(tmp_path):
    """An evidence file of a process that could say its commit and nothing else."""
    service = Service("orders", environ={"LOG_FORMAT": "json", "GIT_SHA": "3f1c2ab"}, stream=io.StringIO())
    from twelvefactor.codebase.rules import TF101, TF104

    service.evidence.looked(TF101, "commit 3f1c2ab")
    service.evidence.looked(TF104, "every module")
    path = tmp_path / "web.json"
    files.write(service, path)
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["check", *map(str, arguments)])


def test_it_prints_the_scorecard_of_an_evidence_file(evidence):
    """
    Exit 0.
    """
    ended = run("--evidence", evidence)

    assert ended.exit_code == 0, ended.output
    assert "1 of 1 decided (11 ?)" in ended.output


def test_a_folder_is_all_its_files(evidence):
    """
    One a process.
    """
    assert run("--evidence", evidence.parent).exit_code == 0


def test_json(evidence):
    """
    For machines.
    """
    assert json.loads(run("--evidence", evidence, "--format", "json").stdout)["score"] == 1.0


@pytest.mark.parametrize(("least", "status"), [("1", 0), ("12", 3), ("0.5", 0)])
def test_min_tells_below_from_too_much_unknown(evidence, least, status):
    """
    3: with what is unknown it could still be enough.
    """
    assert run("--evidence", evidence, "--min", least).exit_code == status


def test_min_fails_where_even_all_unknowns_would_not_do(evidence):
    """
    1: a factor is lost for good.
    """
    told = json.loads(evidence.read_text())
    told["rules"]["TF101"] = {"verdict": "fail", "because": "x", "findings": [{"message": "m", "culprit": "c"}]}
    evidence.write_text(json.dumps(told))

    assert run("--evidence", evidence, "--min", "12").exit_code == 1


def test_without_evidence_and_without_a_service_it_says_how_to_name_one():
    """
    A usage error, 64.
    """
    ended = run()

    assert ended.exit_code == 64
    assert "--service module:attribute" in ended.output


def test_a_missing_file_is_named(tmp_path):
    """
    A usage error, without a traceback.
    """
    ended = run("--evidence", tmp_path / "gone.json")

    assert ended.exit_code == 64
    assert "gone.json" in ended.output


@pytest.mark.parametrize("shape", ["text", "json", "sarif", "html", "badge"])
def test_a_report_goes_to_a_file(evidence, tmp_path, shape):
    """
    In every format; stdout stays empty.
    """
    file = tmp_path / f"report.{shape}"

    ended = run("--evidence", evidence, "--format", shape, "--output", file)

    assert (ended.exit_code, ended.stdout) == (0, "")
    assert file.read_text().strip()


def test_one_factor_may_be_asked_for(evidence):
    """
    By number or name; `--min` is about it alone.
    """
    assert json.loads(run("--evidence", evidence, "--factor", "codebase", "--format", "json").stdout)["score"] == 1.0
    assert run("--evidence", evidence, "--factor", "I", "--min", "1").exit_code == 0
    assert run("--evidence", evidence, "--factor", "I", "--factor", "6", "--min", "2").exit_code == 3
    assert run("--evidence", evidence, "--factor", "XIII").exit_code == 64


def test_adoption_by_a_baseline(evidence, tmp_path):
    """
    What is there is written down; from then on only what is new counts.
    """
    broken(evidence, "TF104", "sys.path")
    baseline = tmp_path / "baseline.txt"

    assert run("--evidence", evidence, "--min", "1").exit_code == 3
    written = run("--evidence", evidence, "--write-baseline", baseline)
    assert (written.exit_code, "TF104 sys.path" in baseline.read_text()) == (0, True)
    assert run("--evidence", evidence, "--baseline", baseline, "--min", "1").exit_code == 0
    broken(evidence, "TF104", "another")
    assert run("--evidence", evidence, "--baseline", baseline, "--min", "12").exit_code == 1
    assert run("--evidence", evidence, "--baseline", tmp_path / "gone.txt").exit_code == 64


def test_diff_tells_what_is_otherwise_than_in_an_earlier_report(evidence, tmp_path):
    """
    A report in JSON is kept, and compared later.
    """
    earlier = tmp_path / "earlier.json"
    run("--evidence", evidence, "--format", "json", "--output", earlier)
    broken(evidence, "TF104", "sys.path")

    ended = run("--evidence", evidence, "--diff", earlier)

    assert "I: 1, now 0" in ended.stdout
    assert "new: TF104 sys.path" in ended.stdout


def broken(evidence, rule, culprit):
    told = json.loads(evidence.read_text())
    told["rules"][rule] = {"verdict": "fail", "because": "x", "findings": [{"message": "m", "culprit": culprit}]}
    evidence.write_text(json.dumps(told))


class TestWithoutEvidence:
    """The service is loaded, started and stopped."""

    APP = "import os, twelvefactor as tf\nprint('noise of the app')\nclass Config(tf.Config):\n    greeting: str\nservice = tf.Service('shop', Config)\n"

    @pytest.fixture
    def shop(self, tmp_path):
        (tmp_path / "shop.py").write_text(self.APP)
        (tmp_path / "pyproject.toml").write_text(
            "[project]\nname = 'shop'\nversion = '1'\n[tool.twelvefactor]\nservice = 'shop:service'\n"
            "[[tool.twelvefactor.waivers]]\nrule = 'TF201'\nreason = 'a sketch'\nuntil = 2020-01-01\n"
        )

        def check(*options, **environ):
            environ = {**os.environ, "PYTHONPATH": str(ROOT), "GIT_SHA": "3f1c2ab", **environ}
            environ.pop("PYTEST_VERSION", None)
            command = [sys.executable, "-m", "twelvefactor", "check", *options]
            return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)

        return check

    def test_it_is_judged_by_its_start(self, shop):
        """
        The start rules are decided, those about work are not, and stdout holds the report alone.
        """
        ended = shop("--format", "json", GREETING="hello")

        told = {factor["roman"]: factor for factor in json.loads(ended.stdout)["factors"]}
        assert ended.returncode == 0, ended.stderr
        assert told["I"]["verdict"] == "pass"
        assert {rule["verdict"] for rule in told["VI"]["rules"] if rule["id"] != "TF608"} == {"unknown"}
        (unlocked,) = next(rule["findings"] for rule in told["II"]["rules"] if rule["id"] == "TF201")
        assert (unlocked["severity"], unlocked["counted"]) == ("warning", True)  # its waiver is over

    def test_an_environment_that_does_not_do_is_a_failed_factor(self, shop):
        """
        Not a failed check.
        """
        ended = shop("--factor", "III", "--min", "1")

        assert ended.returncode == 1
        assert "TF301 GREETING: is not set" in ended.stdout
        assert "Traceback" not in ended.stderr


def test_a_start_is_graded_within_two_seconds():
    """
    Of the processor, for the example, its imports included; a run that compiled the library first is not counted.
    """
    nowhere = {"DATABASE_URL": "postgresql://u:p@127.0.0.1:1/x", "REDIS_URL": "redis://127.0.0.1:1/0"}
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "STRIPE_SECRET_KEY": "sk", **nowhere}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)

    def spent():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ended = subprocess.run(
            [sys.executable, "-m", "twelvefactor", "check"], cwd=ROOT / "examples" / "orders", env=environ,
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert ended.returncode == 0, ended.stderr
        assert "XII  Admin processes" in ended.stdout
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert any(spent() <= 2.0 for _ in range(3))
