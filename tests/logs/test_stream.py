"""One stream: structlog's loggers and the library's own events."""

import asyncio
import copy
import json
import os
import pickle

import pytest
import structlog
from structlog.testing import capture_logs

from twelvefactor.work import InFlight


class Clock:
    def time(self):
        return 1_700_000_000.25

    def monotonic(self):
        return 0.0


def test_an_event_has_the_fields_of_the_process_first(make, out):
    """
    Time, level, event, logger, service, release, process type, instance, then the caller's.
    """
    stream = make(clock=Clock())
    stream.bind(release="4f2c1a9", process_type="web")

    stream.logger("orders.api").info("paid", order=7)

    assert list(out.event.items()) == [
        ("timestamp", "2023-11-14T22:13:20.250000Z"),
        ("level", "info"),
        ("event", "paid"),
        ("logger", "orders.api"),
        ("service", "orders"),
        ("release", "4f2c1a9"),
        ("process_type", "web"),
        ("instance", f"web-1:{os.getpid()}"),
        ("order", 7),
    ]


def test_work_puts_its_ids_before_the_callers_fields(stream, log, out):
    """
    The ids of the work in hand come between the process's fields and the caller's.
    """
    with InFlight().work("request", "r", "w-1", request_id="r-1", trace_id="t", span_id="s"):
        log.info("paid", order=7)

    assert list(out.event)[-5:] == ["work_id", "request_id", "trace_id", "span_id", "order"]


def test_get_logger_is_on_the_configured_stream(stream, out):
    """
    After `configure`, structlog's own loggers say things on the stream, under the name they were asked for with.
    """
    stream.configure()

    structlog.get_logger("orders.db").warning("slow", ms=12)

    assert (out.event["logger"], out.event["level"], out.event["ms"]) == ("orders.db", "warning", 12)


def test_configuring_twice_changes_nothing(stream, out):
    """
    A second `configure` leaves one line per event, and `close` still finds the way back.
    """
    stream.configure()
    stream.configure()
    structlog.get_logger().info("once")
    stream.close()

    assert out.event["event"] == "once"
    assert not structlog.is_configured()


def test_close_restores_what_structlog_was_configured_with(make):
    """
    Somebody's own configuration comes back.
    """
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    before = structlog.get_config()
    stream = make()

    stream.configure()
    stream.close()

    assert structlog.get_config() == before


@pytest.mark.parametrize(
    ("method", "level"),
    [
        ("debug", "debug"),
        ("info", "info"),
        ("msg", "info"),
        ("warning", "warning"),
        ("warn", "warning"),
        ("error", "error"),
        ("critical", "critical"),
        ("fatal", "critical"),
        ("exception", "error"),
    ],
)
def test_every_method_has_its_level(make, out, method, level):
    """
    Each of structlog's methods, and its async twin, says its level.
    """
    log = make(LOG_LEVEL="debug").logger()

    getattr(log, method)("a")
    asyncio.run(getattr(log, f"a{method}")("b"))

    assert [each["level"] for each in out.events] == [level, level]


def test_log_takes_a_number(log, out):
    """
    `log(level, ...)` says the level by its number.
    """
    log.log(40, "failed %s", "twice")
    asyncio.run(log.alog(30, "late"))

    assert [(each["level"], each["event"]) for each in out.events] == [("error", "failed twice"), ("warning", "late")]


def test_positional_arguments_are_interpolated(log, out):
    """
    As a tuple and as a mapping.
    """
    log.info("order %s of %s", 1, 2)
    log.info("order %(number)s", {"number": 3})

    assert [each["event"] for each in out.events] == ["order 1 of 2", "order 3"]


def test_a_wrong_format_is_said_as_it_stands(log, out):
    """
    Arguments that do not fit are kept beside the event; nothing is raised.
    """
    log.info("order %s of %s", 1)  # noqa: PLE1206 - the mistake

    assert (out.event["event"], out.event["positional_args"]) == ("order %s of %s", [1])


def test_bound_fields_lose_to_those_of_the_call(log, out):
    """
    bind, unbind, try_unbind and new are structlog's own.
    """
    bound = log.bind(order=1, user="u")
    bound.info("a", order=2)
    bound.unbind("user").info("b")
    bound.try_unbind("nothing").info("c")
    bound.new(x=1).info("d")

    found = [{key: each.get(key) for key in ("order", "user", "x")} for each in out.events]
    assert found == [
        {"order": 2, "user": "u", "x": None},
        {"order": 1, "user": None, "x": None},
        {"order": 1, "user": "u", "x": None},
        {"order": None, "user": None, "x": 1},
    ]


def test_structlogs_contextvars_still_work(log, out):
    """
    What `bind_contextvars` bound is on every event of the context, and loses to the call's own.
    """
    with structlog.contextvars.bound_contextvars(user="ann", order=1):
        log.info("a", order=2)
    log.info("b")

    first, second = out.events
    assert (first["user"], first["order"]) == ("ann", 2)
    assert "user" not in second


def test_capture_logs_captures_everything(stream, log, out):
    """
    Under structlog's `capture_logs` loggers of every sort, and the library's own events, are captured, not written.
    """
    stream.configure()

    with capture_logs() as captured:
        log.info("a", x=1)
        structlog.get_logger().warning("b")
        stream.emit("info", "request", {"status": 200})
    log.info("after")

    assert captured == [
        {"event": "a", "x": 1, "log_level": "info"},
        {"event": "b", "log_level": "warning"},
        {"event": "request", "status": 200, "log_level": "info"},
    ]
    assert out.event["event"] == "after"


def test_a_users_processor_runs_before_the_line_is_made(stream, log, out):
    """
    A processor put before ours sees and changes every event, also of loggers that were used before.
    """
    stream.configure()
    log.info("before")

    def shout(logger, method, event_dict):
        return {**event_dict, "event": event_dict["event"].upper(), "method": method}

    processors = structlog.get_config()["processors"]
    processors.insert(0, shout)
    try:
        log.info("loud")
        structlog.get_logger("x").info("too", password="p")
    finally:
        processors.remove(shout)

    assert [each["event"] for each in out.events] == ["before", "LOUD", "TOO"]
    assert out.events[2] | {"method": "info", "password": "********"} == out.events[2]


def test_a_users_own_renderer_still_reaches_the_stream(stream, out):
    """
    With a chain that ends in another renderer, its text is the line.
    """
    stream.configure()
    structlog.configure(processors=[structlog.processors.JSONRenderer()])

    structlog.get_logger().info("mine", a=1)

    assert out.event == {"event": "mine", "a": 1}


def test_a_chain_that_ends_in_a_dict_is_rendered(stream, out):
    """
    A last processor that gives the fields leaves the line to us.
    """
    stream.configure()
    structlog.configure(processors=[structlog.processors.add_log_level])

    structlog.get_logger().error("mine", a=1)

    assert (out.event["event"], out.event["level"], out.event["a"]) == ("mine", "error", 1)


def test_loggers_can_be_pickled_and_copied(stream, log, out):
    """
    A pickled logger comes back on the stream of its process, with its fields.
    """
    stream.configure()
    bound = log.bind(order=1)

    pickle.loads(pickle.dumps(bound)).info("a")
    copy.deepcopy(bound).info("b")

    assert [(each["event"], each["order"], each["logger"]) for each in out.events] == [
        ("a", 1, "orders.api"),
        ("b", 1, "orders.api"),
    ]


def test_the_names_of_our_own_fields_cannot_be_taken(log, out):
    """
    A caller's `level`, `timestamp` or `service` is kept under another name, so that no line lies about itself.
    """
    log.info(
        "x", level="gold", timestamp="never", logger="me", service="stripe", instance="a", release=1, process_type="b"
    )

    assert out.event["level"] == "info"
    assert (out.event["level_"], out.event["timestamp_"], out.event["logger_"]) == ("gold", "never", "me")
    assert out.event["service"] == "orders"
    assert [out.event[f"{key}_"] for key in ("service", "instance", "release", "process_type")] == [
        "stripe",
        "a",
        1,
        "b",
    ]


def test_the_second_service_leaves_the_first_its_own_log(make, out):
    """
    Two services in one process: each one's log says its own name; `get_logger` follows the last.
    """
    first, second = make("first"), make("second")
    first.configure()
    second.configure()

    first.logger().info("a")
    second.logger().info("b")
    structlog.get_logger().info("c")

    assert [each["service"] for each in out.events] == ["first", "second", "second"]


def test_emit_says_what_the_adapters_say(stream, out):
    """
    `emit` is one event of the library, with the ids of the work and redaction.
    """
    with InFlight().work("request", "r", "w-1"):
        stream.emit("info", "request", {"status": 200, "token": "t"})

    assert (out.event["logger"], out.event["work_id"], out.event["token"]) == ("twelvefactor", "w-1", "********")


def test_emit_respects_the_level(make, out):
    """
    A level below the threshold is not said.
    """
    make(LOG_LEVEL="warning").emit("info", "request", {})

    assert not out.events


def test_emit_never_raises(stream, out):
    """
    Neither for a level that does not exist, nor for a user's processor that raises: the event is said all the same.
    """
    stream.configure()
    processors = structlog.get_config()["processors"]
    stream.emit("loud", "a", {})
    processors.insert(0, lambda *_: 1 / 0)
    try:
        stream.emit("info", "b", {})
    finally:
        del processors[0]

    assert [each["event"] for each in out.events] == ["a", "b"]


def test_bind_takes_a_field_away(stream, log, out):
    """
    None removes a field of the process.
    """
    stream.bind(release="1")
    stream.bind(release=None, instance=None)

    log.info("x")

    assert not {"release", "instance"} & set(out.event)


def test_written_counts_the_lines(stream, log):
    """
    Each line that went out is counted.
    """
    log.info("a")
    log.debug("b")
    log.error("c")

    assert (stream.written, stream.lost) == (2, 0)


def test_a_text_stream_that_is_ascii_gets_ascii_json(make, tmp_path):
    """
    What the stream's encoding cannot hold is escaped as JSON does it.
    """
    with open(tmp_path / "out", "w+", encoding="ascii") as file:
        make(stream=file).logger().info("größe 😀")
        file.seek(0)
        assert json.loads(file.read())["event"] == "größe 😀"


def test_a_closed_stream_is_a_loss_not_an_error(make, out):
    """
    Nothing is raised into the app; the loss is counted.
    """
    stream = make()
    out.close()

    stream.logger().info("x")

    assert (stream.written, stream.lost) == (0, 1)
