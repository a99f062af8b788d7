"""A server's own record of an exception that an adapter told already is left out, and no other record is."""

import io
import json
import logging

import pytest

from twelvefactor.logs import EventStream
from twelvefactor.logs.takeover import ERROR_LOGGERS


@pytest.fixture
def said():
    out = io.StringIO()
    stream = EventStream("shop", environ={}, stream=out)
    stream.install()
    yield lambda: [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    stream.close()


def error(*, told):
    made = ValueError("no")
    if told:
        made.__twelvefactor_told__ = True
    return made


@pytest.mark.parametrize("name", ERROR_LOGGERS)
def test_a_server_does_not_tell_again(said, name):
    """
    The adapter's event has the request's ids; the server's record would be a second traceback.
    """
    logging.getLogger(name).error("Exception in application", exc_info=error(told=True))
    logging.getLogger(name).error("something else", exc_info=error(told=False))
    logging.getLogger(name).error("plain")

    assert said() == ["something else", "plain"]


def test_a_handler_that_a_server_set_past_us_does_not_either(said):
    """
    hypercorn assigns its logger's handlers.
    """
    logger, out = logging.getLogger("hypercorn.error"), io.StringIO()
    before, logger.handlers = logger.handlers, [logging.StreamHandler(out)]
    try:
        logger.error("Error in ASGI Framework", exc_info=error(told=True))
    finally:
        logger.handlers = before

    assert out.getvalue() == ""
    assert said() == []


def test_a_traceback_that_is_told_as_text_is_known_by_the_adapters_own_frame(said):
    """
    granian's; one that did not go through an adapter is news.
    """
    from twelvefactor import integrations

    frame = f'Traceback (most recent call last):\n  File "{integrations.__path__[0]}/asgi.py", line 1, in __call__'
    logging.getLogger("_granian.utils").error(f"Application callable raised an exception\n{frame}\nValueError: no")
    logging.getLogger("_granian.utils").error("Traceback (most recent call last):\nValueError: no")

    assert said() == ["Traceback (most recent call last):\nValueError: no"]


def test_what_the_app_itself_says_of_such_an_exception_is_said(said):
    """
    Its own words are news.
    """
    logging.getLogger("shop").error("order failed", exc_info=error(told=True))

    assert said() == ["order failed"]


def test_without_the_stream_a_server_tells_everything():
    """
    Nothing of ours stays on its logger.
    """
    stream = EventStream("shop", environ={}, stream=io.StringIO())
    stream.install()
    stream.close()

    assert [logging.getLogger(name).filters for name in ERROR_LOGGERS] == [[]] * len(ERROR_LOGGERS)
