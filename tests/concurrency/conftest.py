"""What the tests of process types share."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from twelvefactor.service import Service

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def new_service():
    """Makes a service of this environment, whose code is this folder's; it is closed at the end."""
    made = []

    def new(**environ):
        made.append(Service("orders", environ=environ, stream=io.StringIO()))
        return made[-1]

    yield new
    for service in made:
        service.close()


@pytest.fixture
def run_app(tmp_path):
    """Runs an app in a process of its own; gives what its evidence file says of each rule, and its events."""

    def run(code, *, arguments=(), procfile=None, timeout=30, **environ):
        (tmp_path / "pyproject.toml").write_text('[tool.twelvefactor]\nservice = "orders:service"\n')
        (tmp_path / "orders.py").write_text(code)
        if procfile is not None:
            (tmp_path / "Procfile").write_text(procfile)
        evidence = tmp_path / "evidence"
        evidence.mkdir(exist_ok=True)
        told = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "TWELVEFACTOR_EVIDENCE": str(evidence), **environ}
        done = subprocess.run(
            [sys.executable, *(arguments or ("orders.py",))],
            cwd=tmp_path,
            env=told,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        files = [json.loads(each.read_text()) for each in sorted(evidence.glob("*.json"))]
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return Ran(done.returncode, events, [each["rules"] for each in files], done.stderr)

    return run


class Ran:
    """What a process left behind."""

    def __init__(self, status, events, evidence, stderr):
        self.status = status
        self.events = events
        self.evidence = evidence
        self.stderr = stderr

    def found(self, rule):
        return [event for event in self.events if event["event"] == "twelvefactor.finding" and event["rule"] == rule]

    def faults(self):
        return [event for event in self.events if event["event"] == "twelvefactor.fault"]
