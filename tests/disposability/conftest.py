"""A service whose time and signals a test moves by hand."""

import io
import json
import threading
from signal import SIG_DFL, SIGTERM

import pytest

from twelvefactor.service import Service

collect_ignore = [
    "app.py",
    "drilled.py",
    "drilled_django.py",
    "loops.py",
    "runapp.py",
]  # run by servers, not imported by tests
SOON = 30.0  # seconds that a test waits for what happens at once


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def time(self):
        return 1_700_000_000.0 + self.now

    def advance(self, seconds):
        self.now += seconds


class Signals:
    """The handlers of a process, called by hand."""

    def __init__(self):
        self.handlers = {SIGTERM: SIG_DFL}
        self.wakeup = -1
        self.raised = threading.Event()
        self.left = None
        self.mask = set()
        self.ended = None
        self.over = threading.Event()

    def getsignal(self, signum):
        return self.handlers.get(signum, SIG_DFL)

    def signal(self, signum, handler):
        before, self.handlers[signum] = self.getsignal(signum), handler
        return before

    def set_wakeup_fd(self, fd):
        before, self.wakeup = self.wakeup, fd
        return before

    def blocked(self, signum):
        return signum in self.mask

    def end_process(self, status):
        self.ended = status
        self.over.set()

    def deliver(self, signum=SIGTERM):
        """As the kernel does; what the handler raises is kept, as a main thread would die of it."""
        try:
            self.handlers[signum](signum, None)
        except SystemExit as error:
            self.left = error

    def raise_signal(self, signum):
        self.deliver(signum)
        self.raised.set()


class Server:
    """The handler that a server had installed before us."""

    def __init__(self, service=None):
        self.told = threading.Event()
        self.saw = []
        self.service = service

    def handle(self, signum, frame):
        if self.service is not None:
            self.saw.append(self.service.lifecycle.state.word)
        self.told.set()


class Said:
    """The events on a stream, parsed."""

    def __init__(self):
        self.out = io.StringIO()

    def events(self, prefix="twelvefactor."):
        lines = [json.loads(line) for line in self.out.getvalue().splitlines()]
        return [line for line in lines if str(line.get("event", "")).startswith(prefix)]

    def names(self):
        return [line["event"].removeprefix("twelvefactor.") for line in self.events()]

    def one(self, name, **fields):
        """The one event of that *name* with those *fields*."""
        named = [line for line in self.events() if line["event"] == f"twelvefactor.{name}"]
        (found,) = [line for line in named if fields.items() <= line.items()]
        return found


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def signals():
    return Signals()


@pytest.fixture
def said():
    return Said()


@pytest.fixture
def new_service(clock, signals, said):
    """Makes a service that was not started; what it took over is given back at the end."""
    made = []

    def new(**environ):
        made.append(Service("orders", environ=environ, clock=clock, signals=signals, stream=said.out))
        return made[-1]

    yield new
    for each in made:
        each.close()


@pytest.fixture
def service(new_service):
    return new_service()


@pytest.fixture
def server(service, signals):
    """A server whose handler stands behind ours."""
    made = Server(service)
    signals.handlers[SIGTERM] = made.handle
    return made


def eventually(holds, soon=SOON):
    """Wait until *holds* does, with a bound; for what another thread does next."""
    ticks = threading.Event()
    for _ in range(int(soon / 0.005)):
        if holds():
            return True
        ticks.wait(0.005)
    return False
