"""The build manifest: facts of a tree, the same for the same tree."""

import json
import os

import pytest
from click.testing import CliRunner

from twelvefactor._core import declaration
from twelvefactor.build_release_run import manifest
from twelvefactor.cli import main

PYPROJECT = """
[project]
name = "orders"
dependencies = ["click>=8"]
[tool.twelvefactor]
service = "orders.service:service"
system-tools = { git = ">=2" }
"""


@pytest.fixture
def tree(root):
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "requirements.txt").write_text("click==8.2.0 --hash=sha256:00\n")
    (root / "orders").mkdir()
    (root / "orders" / "__init__.py").write_text("")
    (root / "orders" / "service.py").write_text("x = 1\n")
    return root


def build(root, *args, environ=None):
    before = os.getcwd()
    os.chdir(root)
    try:
        return CliRunner(env={**(environ or {})}).invoke(main, ["release", "build", *args])
    finally:
        os.chdir(before)


def test_the_facts(tree, commit):
    """
    Commit, branch, distance, sources, lock, Python, the declaration.
    """
    made = commit(tree)

    facts = manifest.build(tree, {})

    assert (facts["schema"], facts["commit"], facts["branch"], facts["dirty"]) == (1, made, "main", False)
    assert facts["main"] == {"branch": "main", "merged": True, "ahead": 0, "behind": 0}
    assert facts["packages"] == ["orders"]
    assert facts["lock"]["packages"] == {"click": ["8.2.0"]}
    assert list(facts["declared"]["requirements"]) == ["click>=8"]
    assert facts["config"]["system-tools"] == {"git": ">=2"}


def test_the_same_tree_gives_the_same_manifest(tree, commit):
    """
    Byte for byte, twice in place and in a clone elsewhere.
    """
    commit(tree)

    first = build(tree)
    one = (tree / "twelvefactor-build.json").read_bytes()
    build(tree)

    assert first.exit_code == 0
    assert (tree / "twelvefactor-build.json").read_bytes() == one


def test_a_clone_elsewhere_gives_the_same(tree, commit, git, tmp_path):
    """
    No path and no time of the machine is in it.
    """
    commit(tree)
    git(tmp_path, "clone", str(tree), "clone")

    assert manifest.build(tmp_path / "clone", {}) | {"main": None} == manifest.build(tree, {}) | {"main": None}


def test_a_dirty_tree_warns_and_can_be_refused(tree, commit):
    """
    Exit 65 and no manifest.
    """
    commit(tree)
    (tree / "orders" / "service.py").write_text("x = 2\n")

    refused = build(tree, "--require-clean")
    assert (refused.exit_code, (tree / "twelvefactor-build.json").exists()) == (65, False)

    warned = build(tree)
    assert warned.exit_code == 0
    assert "orders/service.py (TF102)" in warned.stderr
    assert json.loads((tree / "twelvefactor-build.json").read_text())["changed"] == ["orders/service.py"]


def test_untracked_files_do_not_count(tree, commit):
    """
    They are in no commit and in no build from one.
    """
    commit(tree)
    (tree / "notes.txt").write_text("")

    assert manifest.build(tree, {})["dirty"] is False


def test_the_manifest_itself_makes_no_tree_dirty(tree, commit):
    """
    Where somebody tracks it.
    """
    build(tree)
    commit(tree)
    build(tree, environ={"SOURCE_DATE_EPOCH": "5"})

    assert manifest.build(tree, {})["dirty"] is False


def test_a_commit_that_was_never_merged(tree, commit, git):
    """
    Two commits away from main.
    """
    commit(tree)
    git(tree, "checkout", "-b", "hotfix")
    commit(tree, "one")
    commit(tree, "two")

    main = manifest.build(tree, {})["main"]

    assert (main["merged"], main["ahead"]) == (False, 2)


def test_an_older_commit_of_main_is_merged(tree, commit, git):
    """
    A rollback.
    """
    old = commit(tree)
    commit(tree, "newer")
    git(tree, "checkout", old)

    main = manifest.build(tree, {})["main"]

    assert (main["merged"], main["behind"]) == (True, 1)


def test_a_shallow_clone_says_that_it_cannot_know(tree, commit, git, tmp_path):
    """
    Unknown, with the next step.
    """
    commit(tree)
    commit(tree, "newer")
    git(tmp_path, "clone", "--depth=1", f"file://{tree}", "shallow")

    main = manifest.build(tmp_path / "shallow", {})["main"]

    assert (main["merged"], main["because"].startswith("the clone is shallow")) == (None, True)


def test_without_git_the_variables_say_the_commit(tree):
    """
    As in an image that copies no repository.
    """
    facts = manifest.build(tree, {"SOURCE_VERSION": "3f1c2ab", "SOURCE_DATE_EPOCH": "0"})

    assert (facts["commit"], facts["dirty"], facts["built_at"]) == ("3f1c2ab", None, "1970-01-01T00:00:00Z")
    assert "nobody can say the commit" in build(tree, environ={"GIT_CEILING_DIRECTORIES": "/"}).stderr


def test_a_read_only_folder_is_one_line(tree, commit):
    """
    What, where, why.
    """
    commit(tree)

    done = build(tree, "--output", "/proc/twelvefactor-build.json")

    assert done.exit_code == 64
    assert "/proc/twelvefactor-build.json: cannot be written" in done.stderr
    assert done.stderr.count("\n") <= 4


def test_a_broken_pyproject_is_one_line(tree):
    """
    With the place.
    """
    (tree / "pyproject.toml").write_text("[tool.")

    done = build(tree)

    assert (done.exit_code, "not valid TOML" in done.stderr) == (64, True)


class TestReading:
    """What a process does with a manifest."""

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", '{"config": 3}', '{"schema": 99, "commit": "a"}', '{"schema": "x"}', "\xff"]
    )
    def test_a_broken_one_is_a_problem_and_no_exception(self, tmp_path, text):
        """
        Broken, cut off, or from a newer version.
        """
        path = tmp_path / "twelvefactor-build.json"
        path.write_bytes(text.encode("latin-1"))

        found = declaration.read({"TWELVEFACTOR_BUILD": str(path)}, None)

        assert (dict(found.manifest), str(path) in found.problem) == ({}, True)

    def test_one_that_the_operator_names_gives_no_root_away(self, tmp_path):
        """
        It may lie in /etc; the codebase is where the package is.
        """
        package = tmp_path / "app" / "orders"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        path = tmp_path / "etc.json"
        path.write_text("{}")

        assert declaration.read({"TWELVEFACTOR_BUILD": str(path)}, package).root == tmp_path / "app"

    def test_package_data_gives_the_folder_above_away(self, tmp_path):
        """
        The package is part of the codebase, not all of it.
        """
        package = tmp_path / "app" / "orders"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "twelvefactor-build.json").write_text("{}")

        assert declaration.read({}, package).root == tmp_path / "app"


def test_a_tracked_dotenv_is_told_at_the_build(tree, commit):
    """
    TF304: with the commit it goes into every image; an example of one may.
    """
    (tree / ".env").write_text("API_KEY=x\n")
    (tree / ".env.example").write_text("API_KEY=\n")
    commit(tree)

    told = build(tree)

    assert told.exit_code == 0
    assert "warning: .env is tracked by version control (TF304)" in told.stderr
    assert ".env.example" not in told.stderr


def test_the_build_judges_the_branch_and_the_copies(tree, commit, git):
    """
    TF103 and TF105 where somebody can still do something about it; both are in the manifest for every process.
    """
    commit(tree)
    git(tree, "checkout", "-b", "hotfix")
    (tree / "orders" / "vendor").mkdir()
    (tree / "orders" / "vendor" / "bottle.py").write_text('__version__ = "0.12"\n__license__ = "MIT"\n')
    made = commit(tree)

    done = build(tree)
    facts = json.loads((tree / declaration.MANIFEST).read_text())

    assert "warning: the commit is 1 away from main, which lacks it (TF103)" in done.stderr
    assert "warning: orders/vendor/bottle.py is a copy of bottle: it carries a version" in done.stderr
    assert (facts["commit"], facts["main"]["merged"]) == (made, False)
    assert [copy["where"] for copy in facts["copies"]] == ["orders/vendor/bottle.py"]


def test_a_build_that_cannot_know_the_branch_says_so(tree, commit, git, tmp_path):
    """
    A shallow clone, as continuous integration makes by default.
    """
    commit(tree, "one")
    commit(tree, "two")
    git(tmp_path, "clone", "--depth", "1", f"file://{tree}", "shallow")

    done = build(tmp_path / "shallow")

    assert "warning: the clone is shallow; fetch the whole history to know (TF103 will be unknown)" in done.stderr
