import io
import json
import os
import subprocess
import sys
import textwrap

import pytest
import structlog

from twelvefactor._core.secrets import SECRETS
from twelvefactor.logs import EventStream


class Out(io.BytesIO):
    """What a stream wrote, as events."""

    @property
    def events(self):
        return [json.loads(line) for line in self.getvalue().splitlines()]

    @property
    def event(self):
        (event,) = self.events
        return event


@pytest.fixture
def out():
    return Out()


@pytest.fixture
def make(out):
    """Makes streams that write to `out`, and closes them."""
    made = []

    def make(service="orders", *, clock=None, stream=out, **environ):
        made.append(EventStream(service, environ={"HOSTNAME": "web-1", **environ}, stream=stream, clock=clock))
        return made[-1]

    yield make
    for stream in reversed(made):
        stream.close()


@pytest.fixture
def stream(make):
    return make()


@pytest.fixture
def log(stream):
    return stream.logger("orders.api")


@pytest.fixture(autouse=True)
def clean():
    yield
    structlog.contextvars.clear_contextvars()
    structlog.contextvars._CONTEXT_VARS.clear()
    SECRETS.clear()
    structlog.reset_defaults()


@pytest.fixture
def secret():
    """A secret that the process knows."""
    value = "s3cr3t/Pä55+w0rd=!"
    SECRETS.register(value)
    return value


def run(code, *flags, environ=None, check=True, **options):
    """Run *code* in a Python of its own."""
    return subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONUNBUFFERED": "", "LOG_FORMAT": "json", **(environ or {})},
        capture_output="stdout" not in options,
        timeout=60,
        check=check,
        **options,
    )


@pytest.fixture
def python():
    return run


@pytest.fixture
def events_of():
    """The events on the stdout of *code*; fails where a line is none."""

    def events_of(code, *flags, **options):
        done = run(code, *flags, **options)
        return [json.loads(line) for line in done.stdout.decode().splitlines()]

    return events_of
