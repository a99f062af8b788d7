"""What the tests of factor I share: a process that it judges, and repositories made with the real git."""

import subprocess
import sys

import pytest

from twelvefactor._core import distributions
from twelvefactor._core.appcode import AppCode
from twelvefactor._core.clock import SYSTEM_CLOCK
from twelvefactor.codebase import sensors
from twelvefactor.factor import Evidence
from twelvefactor.work import InFlight


class Running:
    """A process without the service."""

    name = "orders"
    clock = SYSTEM_CLOCK
    process_type = "web"
    config = None

    def __init__(self, root, *, environ=None, manifest=None, declaration=None, deploy=None, packages=None):
        self.app_code = AppCode(root, packages)
        self.environ = {} if environ is None else environ
        self.manifest = manifest or {}
        self.declaration = declaration or {}
        self.deploy = deploy
        self.evidence = Evidence()
        self.findings = self.evidence.findings
        self.in_flight = InFlight()
        self.faults = []
        self.events = []

    def event(self, level, event, **fields):
        self.events.append((event, fields))

    def fault(self, where, error):
        self.faults.append((where, error))

    def found(self, rule_id):
        return list(self.findings.of(rule_id))


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "app"
    root.mkdir()
    return root


@pytest.fixture
def git():
    """Run git in a folder, as nobody in particular."""

    def git(folder, *args):
        return subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main", *args],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            env={"HOME": "/nonexistent", "PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1"},
        ).stdout.strip()

    return git


@pytest.fixture
def commit(git):
    """A commit of everything in a folder, in a repository that is made for it; gives its id."""

    def commit(folder, message="a commit"):
        if not (folder / ".git").exists():
            git(folder, "init")
        git(folder, "add", "-A", ".")
        git(folder, "commit", "--allow-empty", "-m", message)
        return git(folder, "rev-parse", "HEAD")

    return commit


@pytest.fixture
def judge(root):
    """Install the sensors of the room, remove them, and give the process that they judged."""

    def judge(*, during=lambda: None, **options):
        process = Running(options.pop("root", root), **options)
        installed = sensors(process)
        for sensor in installed:
            sensor.install()
        try:
            during()
        finally:
            for sensor in reversed(installed):
                sensor.remove()
        assert process.faults == []
        return process

    return judge


@pytest.fixture
def imports(monkeypatch):
    """Put a folder on the path; what a test imports from it is forgotten afterwards."""
    before = set(sys.modules)
    yield lambda folder: monkeypatch.syspath_prepend(str(folder))
    for name in set(sys.modules) - before:
        sys.modules.pop(name, None)
    distributions.forget()
