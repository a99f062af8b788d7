"""TF102 and TF103: what was built, and from which branch."""

import pytest

from twelvefactor.codebase import RULES
from twelvefactor.factor import Verdict

TF102, TF103 = RULES[1], RULES[2]


def test_fires_on_a_build_of_a_dirty_tree(judge):
    """
    The change lives in one person's tree and in production.
    """
    (finding,) = judge(manifest={"commit": "a", "dirty": True, "changed": ["orders/app.py"]}).found("TF102")

    assert finding.message == "the build has changes that no commit holds: orders/app.py"


def test_quiet_on_a_clean_build(judge):
    """
    The manifest says so.
    """
    assert judge(manifest={"commit": "a", "dirty": False}).evidence.ruling(TF102).verdict == Verdict.PASS


def test_a_dirty_tree_in_development_is_no_build(judge, root, commit):
    """
    Everybody edits; unknown, not failed.
    """
    (root / "x.py").write_text("")
    commit(root)
    (root / "x.py").write_text("x = 1")

    ruling = judge().evidence.ruling(TF102)

    assert (ruling.verdict, "no build manifest" in ruling.because) == (Verdict.UNKNOWN, True)


def test_fires_on_a_commit_that_was_never_merged(judge):
    """
    A production branch.
    """
    manifest = {"commit": "abc", "main": {"branch": "main", "merged": False, "ahead": 3}}

    (finding,) = judge(manifest=manifest).found("TF103")

    assert finding.message == "abc is 3 commits away from main, which does not contain it"


def test_quiet_on_an_older_commit_of_main(judge):
    """
    A rollback is not a branch.
    """
    manifest = {"commit": "abc", "main": {"branch": "main", "merged": True, "ahead": 0}}

    assert judge(manifest=manifest).evidence.ruling(TF103).verdict == Verdict.PASS


@pytest.mark.parametrize("main", [None, {}, {"merged": None, "because": "the clone is shallow"}])
def test_unknown_where_the_build_could_not_say(judge, main):
    """
    As in a shallow clone.
    """
    assert judge(manifest={"commit": "abc", "main": main}).evidence.ruling(TF103).verdict == Verdict.UNKNOWN
