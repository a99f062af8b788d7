"""The shell: the same release and config, who and why, each statement an event."""

import json
import os
import pty
import select
import subprocess
import sys
import time

import pytest

from .conftest import ROOT


def test_a_script_on_stdin_has_stdout_for_its_data(project):
    """
    The service, its config and the names are at hand; the statement is an event.
    """
    done = project("")("shell", stdin="x = 1\nprint(service.name, config.api_token, x)\n")

    assert (done.status, done.out) == (0, "orders None 1\n")
    assert done.named("twelvefactor.shell.statement")[0]["statement"].startswith("x = 1")
    assert done.named("shell")[0]["process_type"] == "shell"


def test_a_deploy_wants_to_know_who_and_why(project):
    """
    Without a terminal to ask on, it says what to pass.
    """
    project = project("")

    refused = project("shell", stdin="print(1)", TWELVEFACTOR_DEPLOY="production")
    allowed = project("shell", "--who", "jo", "--why", "INC-42", stdin="print(1)", TWELVEFACTOR_DEPLOY="production")

    assert (refused.status, "--who and --why" in refused.err, refused.out) == (64, True, "")
    assert (allowed.status, allowed.out) == (0, "1\n")


def test_a_secret_is_masked_in_the_record(project):
    """
    Somebody pastes it.
    """
    done = project("")("shell", stdin="t = 'sk-live-12345678'\n", API_TOKEN="sk-live-12345678")

    assert "sk-live-12345678" not in done.err
    assert "********" in done.named("twelvefactor.shell.statement")[0]["statement"]


@pytest.mark.parametrize("source", ["1 / 0\n", "def (\n"])
def test_an_error_of_a_script_is_its_status(project, source):
    """
    So that a pipeline stops.
    """
    assert project("")("shell", stdin=source).status == 1


def test_who_and_why_are_in_the_ledger(project, tmp_path):
    """
    As each run's are.
    """
    project = project("")
    environ = {"DATABASE_URL": f"sqlite:///{tmp_path}/ledger.db"}
    project("release", "init", **environ)
    project("shell", "--who", "jo", "--why", "INC-42", stdin="pass", **environ)

    done = project("release", "list", "--runs", "--format", "json", **environ)

    assert {(each["facts"]["who"], each["facts"]["why"]) for each in json.loads(done.out)} == {("jo", "INC-42")}


@pytest.mark.parametrize("plain", [True, False])
def test_on_a_terminal(project, plain):
    """
    The plain console and IPython: both answer, both tell each statement.
    """
    if not plain:
        pytest.importorskip("IPython")
    project("")
    leader, follower = pty.openpty()
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "LOG_FORMAT": "json",
        "TERM": "dumb",
        "IPYTHONDIR": str(project.path),
        "PYTHON_COLORS": "0",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "twelvefactor", "shell", *(["--plain"] if plain else [])],
        cwd=project.path,
        env=environ,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    try:
        seen = until(leader, b">>> " if plain else b"In [1]: ")
        os.write(leader, b"print(6 * 7)\r" if not plain else b"print(6 * 7)\n")
        seen += until(leader, b">>> " if plain else b"In [2]: ")
        os.write(leader, b"exit()\r" if not plain else b"exit()\n")
        seen += until(leader, b"twelvefactor.stopped")
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(leader)

    assert b"42" in seen
    assert b'"statement":"print(6 * 7)"' in seen


def until(leader, wanted):
    seen, end = b"", time.monotonic() + 60
    while wanted not in seen and time.monotonic() < end:
        if select.select([leader], [], [], 1)[0]:
            try:
                seen += os.read(leader, 65536)
            except OSError:
                break
    assert wanted in seen, seen[-2000:]
    return seen
