"""TF504: app code that is written, reloaded or executed from a data directory."""

import importlib
import sys

import pytest

from twelvefactor import FactorViolation
from twelvefactor._core import audit
from twelvefactor.build_release_run import RULES
from twelvefactor.factor import Verdict

TF504 = RULES[3]


@pytest.fixture
def app(root, imports):
    """A module of the app that does what it should not, when told to."""
    imports(root)
    (root / "tf504_app.py").write_text(
        "import importlib, pathlib, runpy, os\n"
        "def run(path): return runpy.run_path(path)\n"
        "def execute(path): exec(compile(pathlib.Path(path).read_text(), path, 'exec'), {})\n"
        "def write(path):\n"
        "    with open(path, 'w') as file: file.write('x = 1')\n"
        "def move(a, b): os.replace(a, b)\n"
        "def reload(module): importlib.reload(module)\n"
    )
    return importlib.import_module("tf504_app")


def found(process):
    return [(finding.culprit, finding.where) for finding in process.found("TF504")]


def test_fires_when_code_is_written(judge, app, root):
    """
    With the line that did it.
    """
    process = judge(lambda process: app.write(str(root / "generated.py")))

    assert found(process) == [("generated.py", "tf504_app.py:5")]


def test_fires_when_code_is_put_in_place(judge, app, root):
    """
    Written beside and renamed.
    """
    (root / "new").write_text("x = 1")

    process = judge(lambda process: app.move(str(root / "new"), str(root / "generated.py")))

    assert found(process) == [("generated.py", "tf504_app.py:6")]


def test_fires_when_a_module_is_reloaded(judge, app, root):
    """
    The process is then no release at all.
    """
    (root / "tf504_other.py").write_text("")
    other = importlib.import_module("tf504_other")

    process = judge(lambda process: app.reload(other))

    assert found(process) == [("tf504_other.py", "tf504_app.py:7")]


@pytest.mark.parametrize("how", ["run", "execute"])
def test_fires_when_data_is_executed(judge, app, tmp_path, how):
    """
    A rule book in a data directory is code in no commit.
    """
    data = tmp_path / "data" / "rules.py"
    data.parent.mkdir()
    data.write_text("x = 1")

    process = judge(lambda process: getattr(app, how)(str(data)))

    assert [culprit for culprit, _ in found(process)] == [str(data)]


@pytest.mark.parametrize(
    "act",
    [
        lambda app, root: app.write(str(root / "data.txt")),  # data
        lambda app, root: app.write(str(root.parent / "export.py")),  # not the app's
        lambda app, root: (root / "tf504_app.py").read_text(),  # reading
        lambda app, root: importlib.import_module("tf504_lazy"),  # a first import
        lambda app, root: app.run(str(root / "tf504_lazy.py")),  # of the codebase
        lambda app, root: exec("x = 1", {}),  # text, as dataclasses do
        lambda app, root: exec(compile("x = 1", "<string>", "exec"), {}),
        lambda app, root: importlib.reload(sys.modules["colorsys"]),  # not the app's
    ],
)
def test_quiet(judge, app, root, act):
    """
    What looks like it and is not.
    """
    importlib.import_module("colorsys")
    (root / "tf504_lazy.py").write_text("y = 1")

    process = judge(lambda process: act(app, root))

    assert process.evidence.ruling(TF504).verdict == Verdict.PASS, found(process)


def test_an_enforced_one_is_stopped_before_it_happens(judge, app, root):
    """
    In the frame that tried.
    """

    def act(process):
        with pytest.raises(FactorViolation):
            app.write(str(root / "generated.py"))

    judge(act, environ={"TWELVEFACTOR_ENFORCE": "TF504"})

    assert not (root / "generated.py").exists()


def test_not_looked_at_under_a_server_that_reloads(judge):
    """
    There it is the point.
    """
    assert judge(environ={"RUN_MAIN": "true"}).evidence.ruling(TF504).verdict == Verdict.UNKNOWN


def test_nothing_listens_afterwards(judge):
    """
    The hook is inert.
    """
    before = dict(audit._listeners)
    judge()

    assert audit._listeners == before
