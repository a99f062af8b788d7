"""Tracebacks stay inside the line."""

import json
import traceback

import pytest

from twelvefactor.logs.tracebacks import text_of


def caught(act):
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def fail():
    raise ValueError("no")


def cause():
    try:
        fail()
    except ValueError as error:
        raise KeyError("k") from error


def context():
    try:
        fail()
    except ValueError:
        raise KeyError("k")


def suppressed():
    try:
        fail()
    except ValueError:
        raise KeyError("k") from None


def noted():
    error = ValueError("no")
    error.add_note("first\nsecond")
    error.__notes__.append(7)
    raise error


def syntax():
    compile("a = (", "file.py", "exec")


def multiline():
    raise ValueError("one\ntwo")


def grouped():
    inner = ExceptionGroup("inner", [caught(noted), TypeError("t")])
    raise ExceptionGroup("many", [caught(fail), caught(cause), inner])


def grouped_cause():
    try:
        grouped()
    except ExceptionGroup as error:
        raise RuntimeError("outer") from error


def without_carets(text):
    """Python's own text, without the lines that hold only carets."""
    return "\n".join(line for line in text.splitlines() if set(line.strip(" |")) - set("^~") or not line.strip(" |"))


@pytest.mark.parametrize("act", [fail, cause, context, suppressed, noted, multiline, grouped, grouped_cause])
def test_the_text_is_pythons_own(act):
    """
    Causes, contexts, notes and groups read as in Python's tracebacks, carets aside.
    """
    error = caught(act)

    theirs = without_carets("".join(traceback.format_exception(error)))

    assert text_of(error).splitlines() == theirs.splitlines()


def test_a_syntax_error_names_its_place():
    """
    The file, the line and the source that could not be compiled.
    """
    text = text_of(caught(syntax))

    assert text.splitlines()[-3:] == ['  File "file.py", line 1', "    a = (", "SyntaxError: '(' was never closed"]


@pytest.mark.parametrize("how", ["exc_info=True", "instance", "tuple", "exception()"])
def test_every_way_to_hand_an_exception_over(log, out, how):
    """
    True, the exception itself, the triple, and `log.exception`.
    """
    try:
        fail()
    except ValueError as error:
        match how:
            case "exc_info=True":
                log.error("x", exc_info=True)
            case "instance":
                log.error("x", exc_info=error)
            case "tuple":
                log.error("x", exc_info=(type(error), error, error.__traceback__))
            case _:
                log.exception("x")

    event = out.event
    assert (event["exception_type"], event["exception_message"]) == ("ValueError", "no")
    assert event["exception"].endswith("ValueError: no")
    assert "exc_info" not in event


@pytest.mark.parametrize("nothing", [True, False, None, (None, None, None)])
def test_no_exception_in_hand_adds_nothing(log, out, nothing):
    """
    The event is said without a traceback.
    """
    log.error("x", exc_info=nothing)

    assert not {"exception", "exc_info"} & set(out.event)


def test_structured_frames(make, out):
    """
    LOG_TRACEBACKS=frames gives the chain as data, under structlog's own keys, groups included.
    """
    log = make(LOG_TRACEBACKS="frames").logger()

    log.error("x", exc_info=caught(cause))
    log.error("y", exc_info=caught(grouped))

    first, second = (each["exception"] for each in out.events)
    assert [(each["exc_type"], each["is_cause"]) for each in first] == [("KeyError", False), ("ValueError", True)]
    assert [each["name"] for each in first[0]["frames"]] == ["caught", "cause"]
    assert [each[0]["exc_type"] for each in second[0]["exceptions"]] == ["ValueError", "KeyError", "ExceptionGroup"]
    assert second[0]["is_group"]


@pytest.mark.parametrize("tracebacks", ["text", "frames"])
def test_locals_are_never_shown(make, out, tracebacks):
    """
    What a variable holds is nobody's business.
    """

    def hold():
        card_number = "4111" + "1111"
        raise ValueError(len(card_number))

    make(LOG_TRACEBACKS=tracebacks).logger().error("x", exc_info=caught(hold))

    assert "41111111" not in json.dumps(out.event)


def test_an_exception_whose_text_fails(log, out):
    """
    Its type is told all the same.
    """

    class Bad(Exception):
        def __str__(self):
            raise RuntimeError("no")

    log.error("x", exc_info=Bad())

    assert out.event["exception_message"] == "<str() of the exception failed>"


def test_a_circle_of_causes_ends(log, out):
    """
    Each exception of the chain is shown once.
    """
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first

    log.error("x", exc_info=first)

    assert out.event["exception"].count("ValueError: first") == 1


def test_endless_recursion_is_shortened(log, out):
    """
    The first and the last frames stay; how many there are between is told.
    """

    def again():
        again()

    log.error("x", exc_info=caught(again))

    text = out.event["exception"]
    assert "frames left out]" in text
    assert len(text) < 20_000


def test_a_large_group_is_shortened(log, out):
    """
    Fifteen of its exceptions are shown.
    """
    log.error("x", exc_info=ExceptionGroup("many", [ValueError(number) for number in range(100)]))

    assert "and 85 more exceptions" in out.event["exception"]


def test_stack_info_is_the_callers_stack(log, out):
    """
    The library's own frames are not in it.
    """
    log.info("x", stack_info=True)

    lines = out.event["stack"].splitlines()
    assert lines[0] == "Stack (most recent call last):"
    assert "log.info" in lines[-1]
    assert "twelvefactor/logs/" not in out.event["stack"]
