"""What the tests of config share."""

import importlib
import os
import sys
from pathlib import Path

import pytest

from twelvefactor._core.appcode import AppCode
from twelvefactor._core.clock import SYSTEM_CLOCK
from twelvefactor._core.secrets import SECRETS
from twelvefactor.config import exposure, sensors
from twelvefactor.factor import Evidence
from twelvefactor.work import InFlight


@pytest.fixture(autouse=True)
def _nothing_remembered():
    """Each test begins and ends with no known secret and no warning given."""
    SECRETS.clear()
    exposure._warned.clear()
    yield
    SECRETS.clear()


class Running:
    """A process that config judges, without the service."""

    name = "orders"
    clock = SYSTEM_CLOCK
    process_type = "web"
    declaration = {}

    def __init__(self, root, config=None, environ=None, deploy=None):
        self.app_code = AppCode(root)
        self.config = config
        self.environ = os.environ if environ is None else environ
        self.deploy = deploy
        self.evidence = Evidence()
        self.findings = self.evidence.findings
        self.in_flight = InFlight()
        self.faults = []

    def event(self, level, event, **fields):
        pass

    def fault(self, where, error):
        self.faults.append((where, error))

    def found(self, rule_id):
        return list(self.findings.of(rule_id))


@pytest.fixture
def codebase(tmp_path, monkeypatch):
    """A codebase to which a test writes modules; what it imports is forgotten afterwards."""
    root = tmp_path / "codebase"
    root.mkdir()
    monkeypatch.syspath_prepend(str(root))
    before = set(sys.modules)

    def write(name, text):
        file = root / (name.replace(".", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    write.root = root
    yield write
    for name in sorted(set(sys.modules) - before, reverse=True):  # a folder asks its parent where it is
        module = sys.modules[name]
        file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)  # a bare folder
        if file and Path(file).is_relative_to(root):
            del sys.modules[name]


@pytest.fixture
def watching(codebase):
    """Watch a process of that codebase with every sensor of config, until the test ends."""
    installed = []

    def watch(config=None, **kwargs):
        process = Running(codebase.root, config, **kwargs)
        for sensor in sensors(process):
            sensor.install()
            installed.append(sensor)
        process.stop = stop
        return process

    def stop():
        while installed:
            installed.pop().remove()

    yield watch
    stop()
