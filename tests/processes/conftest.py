"""A process that is only what the room is told of one, and apps that are written for one test."""

import importlib.util
import itertools
import sys
import textwrap
from contextlib import contextmanager

import pytest

from twelvefactor._core.appcode import AppCode
from twelvefactor._core.clock import SYSTEM_CLOCK
from twelvefactor.factor import Evidence
from twelvefactor.processes.watch import StateWatch
from twelvefactor.work import InFlight

_numbers = itertools.count()


class FakeProcess:
    """A process without a service."""

    def __init__(self, root, declaration=None):
        self.name = "tested"
        self.environ = {}
        self.clock = SYSTEM_CLOCK
        self.evidence = Evidence()
        self.findings = self.evidence.findings
        self.app_code = AppCode(root)
        self.in_flight = InFlight()
        self.process_type = "web"
        self.declaration = declaration or {}
        self.deploy = None
        self.config = None
        self.events = []
        self.faults = []
        self.in_flight.on_fault = self.fault

    def event(self, level, event, **fields):
        self.events.append((level, event, fields))

    def fault(self, where, error):
        self.faults.append((where, error))


class App:
    """A module of an app, written to disk and imported, and a process that runs it."""

    def __init__(self, root):
        self.root = root
        self.modules = []
        self.process = FakeProcess(root)
        self.watch = None

    def write(self, source, name=None):
        """Write and import a module; its name is new in this process."""
        name = name or f"leakapp{next(_numbers)}"
        file = self.root / f"{name}.py"
        file.write_text(textwrap.dedent(source))
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        self.modules.append(name)
        spec.loader.exec_module(module)
        return module

    def start(self, mode="thorough", **options):
        """Watch the process in *mode*."""
        self.watch = StateWatch(self.process, mode, **options)
        self.watch.install()
        self.watch.ready()
        return self.watch

    @contextmanager
    def work(self, name="unit", kind="request", carrier=None, id=None):
        """One unit of work."""
        work = self.process.in_flight.work(kind, name, id)
        work.carrier = carrier
        with work:
            yield work

    def run(self, function, *args, times=1, **work):
        """Call *function* in *times* units of work; gives the units."""
        units = []
        for _ in range(times):
            with self.work(**work) as unit:
                function(*args)
            units.append(unit)
        return units

    @property
    def findings(self):
        """What was found so far; a fault of the detector fails the test."""
        assert not self.process.faults, self.process.faults
        return list(self.process.findings)

    def close(self):
        if self.watch is not None:
            self.watch.remove()
        for name in self.modules:
            sys.modules.pop(name, None)


@pytest.fixture
def app(tmp_path):
    """An app of one or more modules, and the process that runs it."""
    made = App(tmp_path)
    yield made
    made.close()
    assert not made.process.faults, made.process.faults
