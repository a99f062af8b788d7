"""The command itself: statuses, help, and the errors it says."""

import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from twelvefactor import cli
from twelvefactor.cli import main
from twelvefactor.exceptions import ConfigError, Problem


@pytest.fixture
def run():
    return lambda *args: CliRunner().invoke(main, list(args), prog_name="twelvefactor")


def test_help_shows_an_example(run):
    """
    The help says how to call it.
    """
    shown = run("--help")

    assert shown.exit_code == 0
    assert "$ twelvefactor explain TF601" in shown.output


def test_every_command_is_listed_with_a_help_that_shows_an_example(run):
    """
    Each command of the table can be loaded and explains itself.
    """
    for name in cli.COMMANDS:
        shown = run(name, "--help")

        assert shown.exit_code == 0, shown.output
        assert f"$ twelvefactor {name}" in shown.output


def test_version_is_said(run):
    """
    `--version` names the distribution's version.
    """
    shown = run("--version")

    assert (shown.exit_code, shown.output.split()[0]) == (0, "twelvefactor")


@pytest.mark.parametrize("args", [["nonsense"], ["--nonsense"], ["explain"], ["explain", "TF601", "TF602"], []])
def test_wrong_usage_exits_64(run, args):
    """
    Usage errors of the group and of its commands have the platform's own status.
    """
    assert run(*args).exit_code == os.EX_USAGE


def test_an_error_of_ours_is_said_without_a_traceback(run, monkeypatch):
    """
    A TwelveFactorError prints its text and ends the process with its status.
    """

    @click.command()
    def broken():
        raise ConfigError([Problem(("PORT",), "is not set")])

    monkeypatch.setitem(main.commands, "broken", broken)
    shown = run("broken")

    assert shown.exit_code == ConfigError.exit_code
    assert "PORT: is not set" in shown.stderr
    assert "Traceback" not in shown.output


def test_a_command_is_imported_only_on_use():
    """
    The command starts without the modules of its subcommands.
    """
    code = "import sys, twelvefactor.cli; print([m for m in sys.modules if m.startswith('twelvefactor.cli.')])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "[]"


def test_the_module_runs_as_the_command():
    """
    `python -m twelvefactor` is the same command.
    """
    shown = subprocess.run(
        [sys.executable, "-m", "twelvefactor", "--version"], capture_output=True, text=True, check=True
    )

    assert shown.stdout.startswith("twelvefactor ")
