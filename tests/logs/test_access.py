"""The event of a request takes a shorter way, and nothing of what a line promises is lost on it."""

import io
import json

import pytest
import structlog

from twelvefactor._core.secrets import SECRETS
from twelvefactor.logs import EventStream
from twelvefactor.work import InFlight

FIELDS = {"method": "GET", "path": "/orders/7", "route": None, "status": 200, "client": "10.0.0.1", "outcome": "ok"}


@pytest.fixture
def out():
    return io.StringIO()


@pytest.fixture
def stream(out):
    stream = EventStream("orders", environ={"LOG_FORMAT": "json"}, stream=out)
    stream.configure()
    yield stream
    stream.close()


def said(stream, out, **fields):
    """The event as the access way says it, and as the long way does."""
    lines = []
    with InFlight().work("request", "/", "w1", request_id="r1"):
        for way in (stream.access, stream.emit):
            way("info", "request", {**FIELDS, **fields})
            lines.append(json.loads(out.getvalue().splitlines()[-1]))
            lines[-1].pop("timestamp")
    return lines


def test_both_ways_say_the_same(stream, out):
    """
    Field for field, in the same order.
    """
    short, long = said(stream, out)

    assert list(short.items()) == list(long.items())
    assert short["request_id"] == "r1"


def test_a_secret_in_the_path_is_masked(stream, out):
    """
    A token that a client put there.
    """
    SECRETS.register("tok-0123456789abcdef")
    try:
        short, long = said(stream, out, path="/reset/tok-0123456789abcdef")
    finally:
        SECRETS.clear()

    assert short["path"] == long["path"] == "/reset/********"


def test_a_field_that_is_to_be_hidden_is_hidden(stream, out):
    """
    Also once lines were said before.
    """
    said(stream, out)
    stream.hide("client")

    short, long = said(stream, out)

    assert short["client"] == long["client"] != "10.0.0.1"


def test_what_structlog_binds_in_the_context_is_said(stream, out):
    """
    `structlog.contextvars` keeps working.
    """
    with structlog.contextvars.bound_contextvars(tenant="acme"):
        short, long = said(stream, out)

    assert short["tenant"] == long["tenant"] == "acme"


def test_capture_logs_captures_it(stream):
    """
    As every other event.
    """
    with structlog.testing.capture_logs() as captured:
        stream.access("info", "request", dict(FIELDS))

    assert captured[0]["event"] == "request"


def test_what_every_line_carries_may_change_and_be_a_field_of_the_event_too(stream, out):
    """
    Also once lines were said before: a process learns its type with its first request.
    """
    said(stream, out)
    for carried in ({"process_type": "web"}, {"client": "everywhere"}):
        stream.bind(**carried)
        short, long = said(stream, out)

        assert list(short.items()) == list(long.items())
        assert short["process_type"] == "web"
        assert short["client"] == "10.0.0.1"


def test_half_a_character_in_the_path_costs_no_line(stream, out):
    """
    JSON has no word for it; the line says what can be said.
    """
    short, long = said(stream, out, path="/\ud83d")

    assert short == long
    assert short["status"] == 200
