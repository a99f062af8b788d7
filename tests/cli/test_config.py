"""`twelvefactor config`."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from twelvefactor.cli import main

SERVICE = """
import twelvefactor as tf

class Config(tf.Config):
    stripe_secret_key: tf.Secret
    workers: int

service = tf.Service("shop", Config)
"""
ENVIRON = {"STRIPE_SECRET_KEY": "planted-stripe-key", "WORKERS": "3"}


@pytest.fixture
def run(tmp_path):
    """Call the command in a process of its own, in a project with a service."""
    (tmp_path / "shop.py").write_text(SERVICE)
    (tmp_path / "pyproject.toml").write_text('[tool.twelvefactor]\nservice = "shop:service"\n')
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))

    def call(*args, **environ):
        return subprocess.run(
            [sys.executable, "-m", "twelvefactor", "config", *args],
            cwd=tmp_path,
            env={**kept, "PYTHONPATH": root, **environ},
            capture_output=True,
            text=True,
            timeout=60,
        )

    call.folder = tmp_path
    return call


def test_check_passes_where_the_environment_provides_the_config(run):
    """
    Exit 0, and a misspelt variable is named on stderr.
    """
    done = run("check", **ENVIRON, WROKERS="4")

    assert (done.returncode, done.stdout) == (0, "The environment provides Config: 2 variables.\n")
    assert done.stderr == "WROKERS is set and nothing reads it; WORKERS is declared\n"


def test_check_names_every_problem_and_exits_78(run):
    """
    No traceback, no value.
    """
    done = run("check", WORKERS="planted-value")

    assert done.returncode == 78
    assert [line.split(":")[0] for line in done.stderr.splitlines()[1:]] == ["  STRIPE_SECRET_KEY", "  WORKERS"]
    assert "Traceback" not in done.stderr
    assert "planted" not in done.stderr


def test_check_as_json(run):
    """
    A program reads the problems as data.
    """
    done = run("check", "--format", "json")

    said = json.loads(done.stdout)
    assert (done.returncode, said["ok"]) == (78, False)
    assert [problem["variables"] for problem in said["problems"]] == [["STRIPE_SECRET_KEY"], ["WORKERS"]]


def test_show_masks(run):
    """
    Values with their places, secrets as stars.
    """
    done = run("show", **ENVIRON)

    assert done.stdout.splitlines() == [
        "STRIPE_SECRET_KEY  ********  STRIPE_SECRET_KEY",
        "WORKERS            3         WORKERS",
    ]


@pytest.mark.parametrize(("name", "file"), [("example", ".env.example"), ("docs", "config.md")])
def test_a_stale_file_fails_in_ci(run, name, file):
    """
    --check is quiet on what --write wrote, and exits 1 on what is older; no environment is needed.
    """
    assert run(name, "--check", file).returncode == 1
    assert run(name, "--write", file).returncode == 0
    assert run(name, "--check", file).returncode == 0

    (run.folder / file).write_text("old")
    stale = run(name, "--check", file)
    assert (stale.returncode, stale.stderr) == (
        1,
        f"{file} is stale; run: twelvefactor config {name} --write {file}\n",
    )


@pytest.mark.parametrize("name", ["schema", "kubernetes", "example", "docs"])
def test_descriptions_need_no_environment(run, name):
    """
    They print without one variable set.
    """
    done = run(name)

    assert (done.returncode, done.stderr) == (0, "")
    assert "WORKERS" in done.stdout


def test_a_service_without_config_is_a_usage_error(run):
    """
    Exit 64 with the next step.
    """
    (run.folder / "bare.py").write_text("import twelvefactor as tf\nservice = tf.Service('bare')\n")

    done = run("check", "--service", "bare:service")

    assert (done.returncode, "pass a subclass of tf.Config" in done.stderr) == (64, True)


def test_the_config_class_may_be_named_itself(run):
    """
    For a library, or before there is a service.
    """
    (run.folder / "declared.py").write_text("import twelvefactor as tf\nclass Config(tf.Config):\n    workers: int\n")

    assert run("example", "--service", "declared:Config").stdout.endswith("WORKERS=\n")


@pytest.mark.parametrize("name", ["check", "show", "example", "schema", "docs", "kubernetes"])
def test_every_command_has_help_with_an_example(name):
    """
    The help says how to call it.
    """
    shown = CliRunner().invoke(main, ["config", name, "--help"], prog_name="twelvefactor")

    assert (shown.exit_code, f"$ twelvefactor config {name}" in shown.output) == (0, True)
