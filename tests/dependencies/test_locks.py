"""Lock files in every current form say the same."""

import json
import subprocess
import sys

import pytest

from twelvefactor.dependencies import locks

OTHER = "win32" if sys.platform != "win32" else "linux"

PYLOCK = f"""
lock-version = "1.0"
created-by = "test"
[[packages]]
name = "Alpha"
version = "1.0"
[[packages]]
name = "beta"
version = "2.0"
[[packages]]
name = "elsewhere"
version = "3.0"
marker = "sys_platform == '{OTHER}'"
[[packages]]
name = "tool"
version = "4.0"
marker = "'dev' in dependency_groups"
"""

UV = f"""
version = 1
[[package]]
name = "orders"
version = "1.0"
source = {{ editable = "." }}
dependencies = [
  {{ name = "alpha", extra = ["fast"] }},
  {{ name = "elsewhere", marker = "sys_platform == '{OTHER}'" }},
]
[package.dev-dependencies]
dev = [{{ name = "tool" }}]
[[package]]
name = "alpha"
version = "1.0"
source = {{ registry = "https://example.com/simple" }}
[package.optional-dependencies]
fast = [{{ name = "beta" }}]
[[package]]
name = "beta"
version = "2.0"
source = {{ registry = "https://example.com/simple" }}
[[package]]
name = "elsewhere"
version = "3.0"
source = {{ registry = "https://example.com/simple" }}
[[package]]
name = "tool"
version = "4.0"
source = {{ registry = "https://example.com/simple" }}
"""

POETRY = f"""
[[package]]
name = "alpha"
version = "1.0"
optional = false
groups = ["main"]
[[package]]
name = "beta"
version = "2.0"
optional = false
groups = ["main", "dev"]
markers = {{main = "python_version >= '3.0'", dev = "python_version < '3.0'"}}
[[package]]
name = "elsewhere"
version = "3.0"
optional = false
groups = ["main"]
markers = "sys_platform == '{OTHER}'"
[[package]]
name = "tool"
version = "4.0"
optional = false
groups = ["dev"]
"""

PDM = f"""
[metadata]
groups = ["default", "dev"]
[[package]]
name = "alpha"
version = "1.0"
groups = ["default"]
[[package]]
name = "beta"
version = "2.0"
groups = ["default"]
[[package]]
name = "elsewhere"
version = "3.0"
groups = ["default"]
marker = "sys_platform == '{OTHER}'"
[[package]]
name = "tool"
version = "4.0"
groups = ["dev"]
"""

PIPFILE = json.dumps(
    {
        "_meta": {},
        "default": {
            "alpha": {"version": "==1.0"},
            "beta": {"version": "==2.0"},
            "elsewhere": {"version": "==3.0", "markers": f"sys_platform == '{OTHER}'"},
        },
        "develop": {"tool": {"version": "==4.0"}},
    }
)

REQUIREMENTS = f"""
# made by a tool
--index-url https://example.com/simple
alpha==1.0 \\
    --hash=sha256:00 \\
    --hash=sha256:01
beta==2.0 --hash=sha256:02  # via alpha
elsewhere==3.0 ; sys_platform == '{OTHER}' --hash=sha256:03
"""

FORMS = {
    "pylock.toml": PYLOCK,
    "uv.lock": UV,
    "poetry.lock": POETRY,
    "pdm.lock": PDM,
    "Pipfile.lock": PIPFILE,
    "requirements.txt": REQUIREMENTS,
}


@pytest.mark.parametrize("name", FORMS)
def test_each_form_is_read(tmp_path, name):
    """
    Names, versions, and what this machine must have: no other platform's, no group's.
    """
    (tmp_path / name).write_text(FORMS[name])

    lock = locks.find(tmp_path)

    assert lock.problem == ""
    assert {key: lock.packages[key] for key in ("alpha", "beta", "elsewhere")} == {
        "alpha": {"1.0"},
        "beta": {"2.0"},
        "elsewhere": {"3.0"},
    }
    assert lock.required == {"alpha", "beta"}
    assert (lock.complete, lock.loose) == (True, ())


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_lock_is_a_problem_or_reads_as_far_as_it_goes(tmp_path, name, share):
    """
    Never an exception.
    """
    text = FORMS[name]
    (tmp_path / name).write_text(text[: int(len(text) * share)])

    lock = locks.find(tmp_path)

    assert lock.problem == "" or lock.problem.startswith(f"{name}: is broken or cut off")


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe\x00", b"[[package]]\nname = 3\n", b"[]", b'{"default": 3}', b"package = 3"]
)
def test_garbage_is_a_problem_and_no_exception(tmp_path, name, data):
    """
    Binary, empty, of another shape.
    """
    (tmp_path / name).write_bytes(data)

    assert locks.find(tmp_path).packages == {}


def test_an_unpinned_requirement_is_loose(tmp_path):
    """
    Named, so that it can be pinned.
    """
    (tmp_path / "requirements.txt").write_text("alpha==1.0\nbeta>=2\ngamma==3.*\n")

    lock = locks.find(tmp_path)

    assert (lock.loose, lock.complete) == (("beta", "gamma"), False)


def test_included_files_are_read_with_it(tmp_path):
    """
    Even in a circle.
    """
    (tmp_path / "requirements.txt").write_text("-r other.txt\nalpha==1.0\n")
    (tmp_path / "other.txt").write_text("-r requirements.txt\nbeta==2.0\n")

    assert set(locks.find(tmp_path).packages) == {"alpha", "beta"}


def test_the_declaration_names_another_file(tmp_path):
    """
    It beats every other; one that is not there is a problem.
    """
    (tmp_path / "uv.lock").write_text(UV)
    (tmp_path / "deploy.txt").write_text("alpha==9\n")

    assert locks.find(tmp_path, "deploy.txt").packages == {"alpha": {"9"}}
    assert locks.find(tmp_path, "gone.txt").problem == "gone.txt: there is no such file"


def test_a_lock_of_a_workspace_lies_above(tmp_path):
    """
    But never above the repository.
    """
    (tmp_path / "uv.lock").write_text(UV)
    member = tmp_path / "repository" / "member"
    member.mkdir(parents=True)
    assert locks.find(member) is not None

    (tmp_path / "repository" / ".git").mkdir()

    assert locks.find(member) is None


def test_the_lock_that_uv_really_writes(tmp_path):
    """
    Not only the one that this test wrote by hand: a project without dependencies needs no index.
    """
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "orders"\nversion = "1"\nrequires-python = ">=3.11"\n')
    uv = f"{sys.prefix}/bin/uv"
    try:
        subprocess.run([uv, "lock", "--offline", "-q"], cwd=tmp_path, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("uv is not in this environment")

    lock = locks.find(tmp_path)

    assert (lock.form, lock.problem, lock.packages) == ("uv", "", {})
