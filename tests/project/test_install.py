"""The set-up that every make target does first: `requirements/install.sh`, with interpreters that only say what they are asked."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

WORKS = """#!/bin/sh
echo "$0 $*" >> "$ASKED"
case "$*" in
    *print*) echo "3 12 1 cpython" ;;
    "--version") echo "Python 3.12.1" ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *--editable*) [ -z "${CUT_OFF:-}" ] || exit 130 ;;
esac
"""
SHIM = "#!/bin/sh\necho command not found >&2\nexit 127\n"


@pytest.fixture
def checkout(tmp_path):
    """A checkout of its own, whose PATH holds the tools of the script and the interpreters that the test puts there."""
    (tmp_path / "requirements").mkdir()
    shutil.copy(ROOT / "requirements" / "install.sh", tmp_path / "requirements")
    (tmp_path / "requirements" / "test.txt").write_text("hatchling==1 --hash=sha256:0\n")
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "dirname", "cat", "cksum", "rm", "touch", "grep", "mkdir", "cp"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return tmp_path


def put(checkout, name, text):
    path = checkout / "bin" / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def install(checkout, **environ):
    asked = checkout / "asked"
    asked.write_text("")
    environ = {"PATH": str(checkout / "bin"), "ASKED": str(asked), **environ}
    done = subprocess.run(
        [str(checkout / "requirements" / "install.sh"), "test"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done, asked.read_text()


def test_the_newest_interpreter_that_runs_is_taken(checkout):
    """
    A shim that exists and does not run is passed over.
    """
    put(checkout, "python3.13", SHIM)
    put(checkout, "python3.12", WORKS)
    put(checkout, "python3", WORKS)

    done, asked = install(checkout)

    assert done.returncode == 0, done.stderr
    assert "Making .venv with python3.12" in done.stdout
    assert "--require-hashes --requirement requirements/test.txt" in asked
    assert "--no-deps --no-build-isolation --editable ." in asked


def test_without_an_interpreter_it_says_what_to_do(checkout):
    """
    No Python from 3.11 on: one clear text and no environment.
    """
    put(checkout, "python3", SHIM)

    done, _ = install(checkout)

    assert done.returncode == 1
    assert "No Python 3.11 or newer" in done.stderr
    assert "PYTHON=/path/to/python3.12" in done.stderr
    assert not (checkout / ".venv").exists()


def test_again_is_quick(checkout):
    """
    Nothing is installed when nothing changed.
    """
    put(checkout, "python3", WORKS)
    install(checkout)

    done, asked = install(checkout)

    assert (done.returncode, done.stdout) == (0, "")
    assert "pip" not in asked


@pytest.mark.parametrize("changed", ["requirements/test.txt", "pyproject.toml"])
def test_a_change_is_installed(checkout, changed):
    """
    Another lock or other metadata ask for a new installation into the same environment.
    """
    put(checkout, "python3", WORKS)
    install(checkout)
    with (checkout / changed).open("a") as file:
        file.write("# changed\n")

    done, asked = install(checkout)

    assert "Making" not in done.stdout
    assert "--require-hashes" in asked


def test_an_installation_that_was_cut_off_is_made_anew(checkout):
    """
    What an interrupted run left half-done is not trusted.
    """
    put(checkout, "python3", WORKS)
    cut, _ = install(checkout, CUT_OFF="1")
    assert cut.returncode == 130

    done, asked = install(checkout)

    assert done.returncode == 0
    assert "Making .venv" in done.stdout
    assert "--require-hashes" in asked


def test_an_environment_whose_interpreter_is_gone_is_made_anew(checkout):
    """
    The Python that the environment was made with may be uninstalled.
    """
    put(checkout, "python3", WORKS)
    install(checkout)
    os.unlink(checkout / ".venv" / "bin" / "python")

    done, _ = install(checkout)

    assert done.returncode == 0
    assert "Making .venv" in done.stdout


def test_the_same_interpreter_asked_by_name_changes_nothing(checkout):
    """
    PYTHON= rebuilds the environment only for another version.
    """
    python = put(checkout, "python3", WORKS)
    install(checkout)

    done, _ = install(checkout, PYTHON=str(python))

    assert (done.returncode, done.stdout) == (0, "")


def test_another_interpreter_asked_by_name_makes_another_environment(checkout):
    """
    `make test PYTHON=…` runs the tests on that Python.
    """
    put(checkout, "python3", WORKS)
    install(checkout)
    other = put(checkout, "python3.13", WORKS.replace("3 12 1", "3 13 0"))

    done, _ = install(checkout, PYTHON=str(other))

    assert f"Making .venv with {other}" in done.stdout
