"""A service of a test's own: its environment, clock, stream and signals."""

import io
import json
import signal
import threading

import pytest

from twelvefactor import Service


class Clock:
    """Time that moves when told to."""

    now = 1000.0

    def time(self):
        return self.now

    def monotonic(self):
        return self.now


class Signals:
    """Signals of nobody's process."""

    def __init__(self, sigterm=signal.SIG_DFL):
        self.handlers = {signal.SIGTERM: sigterm}
        self.raised = []
        self.wakeup = -1

    def getsignal(self, signum):
        return self.handlers.get(signum, signal.SIG_DFL)

    def signal(self, signum, handler):
        before = self.getsignal(signum)
        self.handlers[signum] = handler
        return before

    def raise_signal(self, signum):
        self.raised.append(signum)

    def set_wakeup_fd(self, fd):
        before, self.wakeup = self.wakeup, fd
        return before


class Stream(io.StringIO):
    """Where events go; `events` reads them."""

    @property
    def events(self):
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def named(self, name):
        return [event for event in self.events if event["event"] == name]


@pytest.fixture
def stream():
    return Stream()


@pytest.fixture
def make(stream):
    """Make a service; it is closed, and all that it took is given back, when the test ends."""
    made, before = [], set(threading.enumerate())

    def make(config_class=None, *, environ=None, **options):
        environ = {"LOG_FORMAT": "json", "GIT_SHA": "3f1c2ab", "TWELVEFACTOR_RELEASE": "v1", **(environ or {})}
        options = {"stream": stream, "signals": Signals(), **options}
        service = Service("orders", config_class, environ=environ, **options)
        made.append(service)
        return service

    yield make
    for service in made:
        service.close()
    wait_for_drain_threads(before)


def wait_for_drain_threads(before=frozenset()):
    """They end once they are told; a test that counts threads must not meet one on its way out."""
    for thread in set(threading.enumerate()) - set(before):
        if thread.name in ("twelvefactor drain", "twelvefactor signals"):
            thread.join(2)
