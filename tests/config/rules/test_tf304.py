"""TF304: a .env file is tracked, or lies beside the code of a deployed process."""

import subprocess

import pytest

from twelvefactor.config import RULES
from twelvefactor.config.dotenv import tracked_in
from twelvefactor.factor import Verdict

TF304 = RULES[3]


def git(root, *args):
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *args], cwd=root, check=True, capture_output=True
    )


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_fires_on_a_tracked_file(codebase, watching, version):
    """
    Every version of git's index is read, without git.
    """
    root = codebase.root
    git(root, "init")
    (root / "aa").mkdir()
    for name in ("README.md", ".env.production", ".env.example", "aa/x.py"):
        (root / name).write_text("A=1")
    git(root, "add", "-f", ".")
    git(root, "update-index", "--index-version", version)

    process = watching()

    assert [finding.message for finding in process.found("TF304")] == [".env.production is tracked by version control"]


def test_fires_beside_the_code_of_a_deployed_process(codebase, watching):
    """
    An image with a .env file carries somebody's config.
    """
    (codebase.root / ".env").write_text("A=1")

    (finding,) = watching(deploy="heroku").found("TF304")

    assert finding.where == ".env"


def test_quiet_on_an_untracked_file_in_development(codebase, watching):
    """
    A developer's own .env file is fine.
    """
    root = codebase.root
    git(root, "init")
    (root / "README.md").write_text("")
    git(root, "add", "README.md")
    (root / ".env").write_text("A=1")

    assert watching().evidence.ruling(TF304).verdict == Verdict.PASS


def test_quiet_on_an_example(codebase, watching):
    """
    .env.example is documentation.
    """
    (codebase.root / ".env.example").write_text("A=")

    assert watching(deploy="heroku").evidence.ruling(TF304).verdict == Verdict.PASS


def test_unknown_where_nothing_says_whether_this_is_a_deploy(codebase, watching):
    """
    Without a repository and a deploy's name nobody can tell.
    """
    (codebase.root / ".env").write_text("A=1")

    ruling = watching().evidence.ruling(TF304)

    assert (ruling.verdict, "TWELVEFACTOR_DEPLOY" in ruling.because) == (Verdict.UNKNOWN, True)


@pytest.mark.parametrize("index", [b"", b"DIRC", b"nonsense-nonsense", b"DIRC\0\0\0\x09\0\0\0\x01"])
def test_a_broken_index_is_said_to_be_broken(index):
    """
    Garbage is an error of one kind.
    """
    with pytest.raises(ValueError):
        tracked_in(index)
