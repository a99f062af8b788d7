"""Where a command finds its service."""

import os
import sys

import click
import pytest
from click.testing import CliRunner

from twelvefactor.cli import main
from twelvefactor.cli.service import load_service, with_service
from twelvefactor.exceptions import UsageError


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a pyproject and a package with a service in it; nothing of it stays imported."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    package = tmp_path / "shop_for_tests"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "service.py").write_text(
        "import os\nservice = 'the shop'\nphase = os.environ.get('TWELVEFACTOR_PHASE')\n"
    )
    (package / "broken.py").write_text("import a_module_that_is_not_there\n")
    (tmp_path / "pyproject.toml").write_text('[tool.twelvefactor]\nservice = "shop_for_tests.service:service"\n')
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_pyproject_names_it(project):
    """
    The nearest pyproject upward says where the service is, and its folder is importable.
    """
    deep = project / "a" / "b"
    deep.mkdir(parents=True)

    assert load_service(start=deep) == "the shop"
    assert sys.path[0] == str(project)


def test_a_reference_beats_pyproject(project):
    """
    What the command line names is taken.
    """
    (project / "other.py").write_text("it = 2\n")

    assert load_service("other:it", start=project) == 2


def test_the_phase_is_set_before_the_import(project, monkeypatch):
    """
    A command that only describes imports the service in its phase.
    """
    monkeypatch.setenv("TWELVEFACTOR_PHASE", "serve")

    assert load_service("shop_for_tests.service:phase", start=project, phase="describe") == "describe"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("shop_for_tests", "expected module:attribute"),
        ("shop_for_tests.servce:service", "no module named 'shop_for_tests.servce'"),
        ("shop_for_tests.service:servce", "did you mean shop_for_tests.service:service?"),
    ],
)
def test_a_wrong_reference_is_explained(project, reference, said):
    """
    The message says which part is wrong.
    """
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        load_service(reference, start=project)


def test_a_module_that_fails_to_import_keeps_its_own_error(project):
    """
    The service's own mistake is not reported as a wrong reference.
    """
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        load_service("shop_for_tests.broken:service", start=project)


def test_nothing_named_says_what_to_write(project):
    """
    Without a reference the message shows the two lines to add.
    """
    (project / "pyproject.toml").write_text("[project]\nname = 'x'\n")

    with pytest.raises(UsageError, match=r"\[tool.twelvefactor\]"):
        load_service(start=project)


def test_a_broken_pyproject_says_where(project):
    """
    A TOML mistake is told with the file and the line.
    """
    (project / "pyproject.toml").write_text("[tool\n")

    with pytest.raises(UsageError, match=r"pyproject.toml: not valid TOML: .*line 1"):
        load_service(start=project)


@pytest.mark.parametrize("args", [["--service", "other:it", "show"], ["show", "--service", "other:it"]])
def test_a_command_gets_the_service(project, monkeypatch, args):
    """
    The option works before and after the command's name.
    """
    (project / "other.py").write_text("it = 'me'\n")

    @click.command()
    @with_service()
    def show(service):
        click.echo(service)

    monkeypatch.chdir(project)
    monkeypatch.setitem(main.commands, "show", show)

    assert CliRunner().invoke(main, args).output == "me\n"
    assert os.getcwd() == str(project)
