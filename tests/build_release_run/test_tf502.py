"""TF502: the code on disk is no longer the code that started."""

import importlib
import os
import threading

import pytest

from tests.codebase.conftest import Running
from twelvefactor.build_release_run import RULES, sources
from twelvefactor.build_release_run.drift import Drift
from twelvefactor.factor import Verdict

TF502 = RULES[1]


@pytest.fixture
def code(root, imports):
    """A package of the app, imported; its file."""
    imports(root)
    package = root / "tf502_app"
    package.mkdir()
    (package / "__init__.py").write_text("x = 1\n")
    importlib.import_module("tf502_app")
    return package / "__init__.py"


@pytest.fixture
def drift(root):
    """The sensor, which looked once, and the process."""
    started = []

    def make(**options):
        process = Running(root, **{"environ": {"TWELVEFACTOR_ENFORCE": "TF502"}, **options})  # looks before it returns
        sensor = Drift(process)
        sensor.install()
        started.append(sensor)
        return process, sensor

    yield make
    for sensor in started:
        sensor.remove()


def test_fires_when_a_file_is_changed(code, drift):
    """
    A worker that starts a minute later runs another program.
    """
    process, sensor = drift()
    code.write_text("x = 22\n")

    sensor.look()

    (finding,) = process.found("TF502")
    assert finding.message == "tf502_app/__init__.py was changed on disk since the process started"


def test_fires_when_a_file_is_gone(code, drift):
    """
    Someone cleaned up.
    """
    process, sensor = drift()
    code.unlink()

    sensor.look()

    assert "is gone" in process.found("TF502")[0].message


def test_fires_at_the_end_too(code, drift):
    """
    A change just before the process stops is not lost.
    """
    process, sensor = drift()
    code.write_text("x = 22\n")

    sensor.remove()

    assert process.found("TF502")


def test_quiet_when_the_same_is_written_again(code, drift):
    """
    A touch, and a checkout of the same commit.
    """
    process, sensor = drift()
    os.utime(code, (1, 1))
    text = code.read_text()
    code.unlink()
    code.write_text(text)

    sensor.look()

    assert process.evidence.ruling(TF502).verdict == Verdict.PASS


def test_quiet_on_a_file_that_is_not_code(code, drift, root):
    """
    An upload is factor VI's matter.
    """
    process, sensor = drift()
    (root / "data.txt").write_text("x")

    sensor.look()

    assert process.found("TF502") == []


def test_fires_where_something_else_runs_than_was_built(code, drift, root):
    """
    The manifest's digest of the sources, made again at start.
    """
    manifest = {"commit": "a", "packages": ["tf502_app"], "source_digest": sources.digest([code.parent])}
    assert drift(manifest=manifest)[0].found("TF502") == []
    code.write_text("x = 'patched in the image'\n")

    process, _ = drift(manifest=manifest)

    assert "not the code that the build manifest" in process.found("TF502")[0].message


@pytest.mark.parametrize("variable", ["RUN_MAIN", "WERKZEUG_RUN_MAIN"])
def test_unknown_under_a_server_that_reloads(code, drift, variable):
    """
    There a change restarts the process.
    """
    process, _ = drift(environ={variable: "true"})

    assert process.evidence.ruling(TF502).verdict == Verdict.UNKNOWN


def test_it_looks_in_a_thread_that_ends(judge, code):
    """
    Never on the start, never on a request.
    """
    before = {thread.name for thread in threading.enumerate()}

    process = judge(lambda process: None)

    assert process.evidence.ruling(TF502).verdict == Verdict.PASS
    assert {thread.name for thread in threading.enumerate()} - before == set()
