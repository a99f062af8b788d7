"""TF101: which commit is running."""

import json

import pytest

from twelvefactor.codebase import RULES, running_commit
from twelvefactor.factor import Verdict

from .conftest import Running

TF101 = RULES[0]


def test_fires_where_nobody_can_say(judge):
    """
    No manifest, no variable, no metadata, no repository.
    """
    (finding,) = judge().found("TF101")

    assert "asked the build manifest" in finding.message


def test_quiet_where_a_platform_says(judge):
    """
    A variable of the build is believed.
    """
    ruling = judge(environ={"HEROKU_SLUG_COMMIT": "3f1c2ab"}).evidence.ruling(TF101)

    assert (ruling.verdict, ruling.because) == (Verdict.PASS, "commit 3f1c2ab, says HEROKU_SLUG_COMMIT")


def test_a_variable_of_ci_is_a_leftover_elsewhere(judge):
    """
    GITHUB_SHA in an image is not believed; in continuous integration it is.
    """
    assert judge(environ={"GITHUB_SHA": "3f1c2ab"}).found("TF101")
    assert not judge(environ={"GITHUB_SHA": "3f1c2ab", "CI": "true"}).found("TF101")


def test_the_manifest_beats_the_variables(root):
    """
    What was built is what runs.
    """
    process = Running(root, manifest={"commit": "aaa"}, environ={"GIT_SHA": "bbb"})

    assert running_commit(process) == ("aaa", "the build manifest")


def test_the_repository_in_development(root, commit):
    """
    Loose refs are read without git.
    """
    assert running_commit(Running(root)) is None

    assert running_commit(Running(root, environ={})) is None
    made = commit(root)
    assert running_commit(Running(root)).id == made


def test_packed_refs(root, commit, git):
    """
    After `git gc` a branch is a line of a file.
    """
    made = commit(root)
    git(root, "pack-refs", "--all")

    assert running_commit(Running(root)).id == made


def test_a_detached_head(root, commit, git):
    """
    As continuous integration checks out.
    """
    made = commit(root)
    commit(root, "another")
    git(root, "checkout", made)

    assert running_commit(Running(root)).id == made


def test_a_worktree(root, commit, git, tmp_path):
    """
    Its .git is a file that points at the repository.
    """
    commit(root)
    git(root, "worktree", "add", "-b", "other", str(tmp_path / "other"))
    made = commit(tmp_path / "other", "in the worktree")

    assert running_commit(Running(tmp_path / "other")).id == made


def test_a_shallow_clone(root, commit, git, tmp_path):
    """
    One commit is enough to name it.
    """
    commit(root)
    made = commit(root, "newest")
    git(tmp_path, "clone", "--depth=1", f"file://{root}", "shallow")

    assert running_commit(Running(tmp_path / "shallow")).id == made


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none", "ref: \x00", "\xff"])
def test_a_broken_repository_is_nobody(root, head):
    """
    Garbage is no answer and no exception.
    """
    (root / ".git").mkdir()
    (root / ".git" / "HEAD").write_bytes(head.encode("latin-1"))

    assert running_commit(Running(root)) is None


@pytest.mark.parametrize(
    ("name", "text"), [("version.json", json.dumps({"commit": "3f1c2ab"})), ("REVISION", "3f1c2ab\n")]
)
def test_what_a_build_baked_into_the_image(root, name, text):
    """
    Dockerflow's file, and Capistrano's.
    """
    (root / name).write_text(text)

    assert running_commit(Running(root)) == ("3f1c2ab", name)


@pytest.mark.parametrize("text", ["{", "[]", '{"commit": 3}', ""])
def test_a_broken_version_file_is_passed_over(root, text):
    """
    The next one is asked.
    """
    (root / "version.json").write_text(text)

    assert running_commit(Running(root)) is None


def test_what_pip_wrote_down(root, imports, tmp_path):
    """
    A distribution that was installed from version control knows its commit.
    """
    site = tmp_path / "site"
    info = site / "orders-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: orders\nVersion: 1.0\n")
    (info / "direct_url.json").write_text(json.dumps({"url": "https://x", "vcs_info": {"commit_id": "3f1c2ab"}}))
    imports(site)

    assert running_commit(Running(root, packages=["orders"])) == ("3f1c2ab", "the installed distribution")
