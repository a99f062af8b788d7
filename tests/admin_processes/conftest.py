"""What the tests of factor XII share: a service on disk, and our command in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.codebase.conftest import root  # noqa: F401 - a fixture

collect_ignore = ["forked.py"]  # run by its fixture, not imported by tests
ROOT = Path(__file__).resolve().parents[2]

HEAD = """
import twelvefactor as tf

class Config(tf.Config):
    database_url: tf.URL | None = None
    api_token: tf.Secret | None = None

service = tf.Service("orders", Config)
if service.config.database_url is not None:
    service.attach(service.config.database_url)
"""


class Ended:
    """How a command ended: its status, its data, its events."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err
        self.events = [json.loads(line) for line in err.splitlines() if line.startswith("{")]

    def named(self, name):
        return [event for event in self.events if event["event"] == name]


@pytest.fixture(scope="session")
def forking():
    """The words that run our command in a process forked off one that has imported it already."""
    folder = Path(tempfile.mkdtemp(prefix="forked-"))  # short, as the path of a socket must be
    program, path = Path(__file__).with_name("forked.py"), folder / "s"
    with subprocess.Popen(
        [sys.executable, str(program), str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as server:
        assert server.stdout.readline() == b"ready\n"
        yield [sys.executable, "-I", "-S", str(program), "CLIENT", str(path)]
        server.kill()
    shutil.rmtree(folder)


@pytest.fixture
def project(tmp_path, forking):
    """Write a service; `project(source)(words…)` runs our command in it, `.start(words…)` leaves it running."""
    folder = tmp_path / "project"
    folder.mkdir()
    running = []

    class Project:
        path = folder

        def __init__(self, source):
            (folder / "admin_orders.py").write_text(HEAD + source)
            (folder / "pyproject.toml").write_text('[tool.twelvefactor]\nservice = "admin_orders:service"\n')

        def start(self, *words, **environ):
            base = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
            environ = {**base, "PYTHONPATH": str(ROOT), "LOG_FORMAT": "json", "GIT_SHA": "3f1c2ab", **environ}
            process = subprocess.Popen(
                [*forking, *words],
                cwd=folder,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            running.append(process)
            return process

        def __call__(self, *words, stdin="", **environ):
            process = self.start(*words, **environ)
            out, err = process.communicate(stdin, timeout=60)
            return Ended(process.returncode, out, err)

    yield Project
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
