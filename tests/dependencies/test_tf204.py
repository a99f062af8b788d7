"""TF204: is the interpreter isolated?"""

import sys

import pytest

from tests.codebase.conftest import Running
from twelvefactor.dependencies import RULES
from twelvefactor.dependencies.isolation import Interpreter, judge
from twelvefactor.factor import Verdict

TF204 = RULES[3]


@pytest.fixture
def interpreter():
    """An interpreter of the machine, outside of a container."""

    def make(environ=None, **attributes):
        made = Interpreter({} if environ is None else environ)
        made.prefix = made.base_prefix = "/usr"
        made.path, made.containers = (), ()
        for name, value in attributes.items():
            setattr(made, name, value)
        return made

    return make


def found(root, interpreter):
    process = Running(root)
    judge(process, interpreter)
    return [finding.culprit for finding in process.found("TF204")], process.evidence.ruling(TF204).verdict


def test_fires_on_the_machines_own_python(root, interpreter):
    """
    No environment, no container.
    """
    assert found(root, interpreter())[0] == ["environment"]


def test_fires_on_packages_of_the_user(root, interpreter, tmp_path, monkeypatch):
    """
    They are on the path of this machine only.
    """
    monkeypatch.setattr("site.getusersitepackages", lambda: str(tmp_path))

    assert found(root, interpreter(path=(str(tmp_path),), containers=(tmp_path,)))[0] == ["user site"]


def test_fires_on_an_environment_that_lets_the_machine_in(root, interpreter, tmp_path):
    """
    As `python -m venv --system-site-packages` makes.
    """
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = true\n")

    assert found(root, interpreter(prefix=str(tmp_path)))[0] == ["system site-packages"]


def test_quiet_in_an_environment(root, interpreter, tmp_path):
    """
    The usual one.
    """
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")

    assert found(root, interpreter(prefix=str(tmp_path))) == ([], Verdict.PASS)


@pytest.mark.parametrize(
    "environ", [{"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {"DYNO": "web.1"}, {"container": "podman"}]
)
def test_quiet_in_a_container_without_an_environment(root, interpreter, environ):
    """
    The container is the isolation.
    """
    assert found(root, interpreter(environ))[1] == Verdict.PASS


def test_systemd_isolates_no_packages(root, interpreter):
    """
    The tempting platform.
    """
    assert found(root, interpreter({"INVOCATION_ID": "x"}))[0] == ["environment"]


def test_this_very_interpreter_can_be_looked_at(root):
    """
    Nothing of it is faked.
    """
    assert Interpreter({}).environment == (sys.prefix if sys.prefix != sys.base_prefix else "")
