"""What is not said by structlog: records, warnings, crashes, prints."""

import asyncio
import gc
import io
import json
import logging
import logging.config
import logging.handlers
import sys
import textwrap
import threading
import warnings

import pytest

import twelvefactor
from twelvefactor.logs import JsonFormatter, tap
from twelvefactor.logs.records import EventHandler
from twelvefactor.work import InFlight


@pytest.fixture
def installed(make, out, monkeypatch):
    """A stream that took over, with stdout replaced by a place that shows what escapes."""
    stream = make()
    stream.install()
    yield stream
    stream.uninstall()


@pytest.fixture(autouse=True)
def loggers_as_they_were():
    before = {
        logger: (list(logger.handlers), logger.level, logger.propagate, logger.disabled) for logger in tap.loggers()
    }
    yield
    for logger in tap.loggers():
        handlers, level, propagate, disabled = before.get(logger, ([], 0, True, False))
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate, logger.disabled = propagate, disabled


def state():
    """All of the process that a stream takes over."""
    return {
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning),
        "stdout": sys.stdout,
        "methods": (logging.Logger.addHandler, logging.Logger.removeHandler, threading.Thread.start),
        "pool": __import__("concurrent.futures").futures.ThreadPoolExecutor.submit,
        "loggers": {
            logger.name: (tuple(logger.handlers), logger.level, logger.propagate, tuple(logger.filters))
            for logger in tap.loggers()
        },
    }


def test_a_record_is_an_event(installed, out):
    """
    Name, level, message, extras and the ids of the work, as for any event.
    """
    with InFlight().work("request", "r", "w-1", request_id="r-1"):
        logging.getLogger("sqlalchemy.engine").warning("SELECT %s", 1, extra={"rows": 3, "password": "p"})

    event = out.event
    assert (event["logger"], event["level"], event["event"]) == ("sqlalchemy.engine", "warning", "SELECT 1")
    assert (event["rows"], event["password"], event["request_id"]) == (3, "********", "r-1")
    assert list(event)[:5] == ["timestamp", "level", "event", "logger", "service"]


def test_a_record_of_a_dict_gives_its_fields(installed, out):
    """
    A dict as message is fields, its `event` or `message` the event.
    """
    logging.getLogger("a").warning({"event": "paid", "order": 7})
    logging.getLogger("a").warning({"message": "paid", "order": 8})

    assert [(each["event"], each["order"]) for each in out.events] == [("paid", 7), ("paid", 8)]


def test_a_record_with_a_wrong_format(installed, out):
    """
    Arguments that do not fit are kept; nothing goes to stderr, nothing is lost.
    """
    logger = logging.getLogger("out of pytest's sight")
    logger.handle = EventHandler(installed).handle
    logger.warning("%s and %s", 1)  # noqa: PLE1206 - the mistake
    logger.warning(ValueError("object"))

    assert [each["event"] for each in out.events] == ["%s and %s", "object"]
    assert out.events[0]["positional_args"] == [1]


def test_a_record_with_an_exception(installed, out):
    """
    The traceback stays inside the line; a stack too.
    """
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("a").exception("failed", stack_info=True)

    event = out.event
    assert event["exception"].startswith("Traceback (most recent call last):\n")
    assert (event["exception_type"], event["exception_message"]) == ("ValueError", "no")
    assert "test_records.py" in event["stack"]


def test_levels_of_their_own_are_named(installed, out):
    """
    A level that somebody added keeps its name; a bare number takes the next lower one.
    """
    logging.addLevelName(25, "NOTICE")
    try:
        logging.getLogger("a").log(25, "x")
        logging.getLogger("a").log(33, "y")
    finally:
        logging._levelToName.pop(25)
        logging._nameToLevel.pop("NOTICE")

    assert [each["level"] for each in out.events] == ["notice", "warning"]


def test_console_handlers_neither_double_nor_keep_a_line(make, out, capfd):
    """
    A server's own handlers on stdout and stderr, with propagation off, have stand-ins; a record is one line.
    """
    server = logging.getLogger("server")
    server.addHandler(logging.StreamHandler(sys.stderr))
    server.propagate = False
    logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
    logging.getLogger("server.child").addHandler(logging.StreamHandler(sys.stdout))
    stream = make()
    stream.install()

    server.warning("a")
    logging.getLogger("server.child").warning("b")
    logging.getLogger("other").warning("c")
    stream.uninstall()

    assert [each["event"] for each in out.events] == ["a", "b", "c"]
    assert capfd.readouterr() == ("", "")


def test_a_handler_that_comes_later_has_a_stand_in_too(installed, out, capfd):
    """
    basicConfig, dictConfig and uvicorn's own set-up after the start change nothing.
    """
    from uvicorn.config import LOGGING_CONFIG

    logging.basicConfig(force=True, stream=sys.stdout)
    logging.config.dictConfig(LOGGING_CONFIG)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": "twelvefactor.logs.JsonFormatter"}},
            "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}},
            "root": {"handlers": ["out"], "level": "INFO"},
        }
    )
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("uvicorn.access").info("GET /")
    logging.getLogger("app").info("x")

    assert [each["event"] for each in out.events] == ["started", "x"]
    assert capfd.readouterr() == ("", "")


def test_a_stand_in_keeps_level_and_filters(make, out):
    """
    What the handler would not have shown is not shown by its stand-in.
    """
    logger = logging.getLogger("quiet")
    logger.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.ERROR)
    handler.addFilter(lambda record: "health" not in record.msg)
    logger.addHandler(handler)
    make().install()

    logger.warning("a")
    logger.error("health")
    logger.error("b")

    assert [each["event"] for each in out.events] == ["b"]


def test_a_handler_can_be_removed_by_whoever_added_it(installed, out):
    """
    removeHandler of a handler that has a stand-in removes the stand-in.
    """
    logger = logging.getLogger("own")
    logger.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    logger.addHandler(handler)
    logger.removeHandler(handler)

    logger.error("x")

    assert not out.events
    assert not logger.handlers


def test_other_handlers_are_left_alone(installed, caplog):
    """
    A handler that is no console, as pytest's, gets its records as before.
    """
    memory = io.StringIO()
    handler = logging.StreamHandler(memory)
    logging.getLogger("a").addHandler(handler)

    logging.getLogger("a").warning("x")

    assert memory.getvalue() == "x\n"
    assert [record.message for record in caplog.records] == ["x"]


@pytest.mark.parametrize(
    "name", ["uvicorn.access", "gunicorn.access", "hypercorn.access", "granian.access", "django.server"]
)
def test_the_servers_own_access_log_is_off(installed, out, name):
    """
    The event `request` replaces it, and the server is told early that nobody listens.
    """
    logger = logging.getLogger(name)
    logger.addHandler(logging.StreamHandler(sys.stdout))
    logger.error("GET / 200")

    assert not out.events
    assert not logger.propagate
    assert {type(each).__name__ for each in logger.handlers} <= {"LogCaptureHandler"}  # pytest's own


def test_werkzeug_keeps_what_is_no_access_line(installed, out):
    """
    One logger says both there.
    """
    from werkzeug.serving import WSGIRequestHandler

    logging.getLogger("werkzeug").setLevel("INFO")
    handler = WSGIRequestHandler.__new__(WSGIRequestHandler)
    handler.environ, handler.client_address, handler.requestline = {}, ("127.0.0.1", 1), "GET / HTTP/1.1"
    handler.log_request(200, 3)
    logging.getLogger("werkzeug").info("Running on %s", "http://127.0.0.1")

    assert out.event["event"] == "Running on http://127.0.0.1"


def test_a_servers_word_on_an_exception_that_was_told_is_no_second_one(installed, out):
    """
    What an adapter told with the request's ids is not repeated by the server; the app's own word is kept.
    """
    error = ValueError("no")
    error.__twelvefactor_told__ = True

    logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=error)
    logging.getLogger("app").error("mine", exc_info=error)
    logging.getLogger("uvicorn.error").error("another", exc_info=ValueError("x"))

    assert [each["event"] for each in out.events] == ["mine", "another"]


def test_warnings_are_events(installed, out):
    """
    With category and place; an explicit file gets its text as before.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    event = out.event
    assert (event["event"], event["category"], event["logger"]) == ("old", "DeprecationWarning", "py.warnings")
    assert "test_records.py:" in event["where"]


def test_an_exception_that_ends_a_thread_is_an_event(installed, out):
    """
    With the thread's name; a thread that leaves by SystemExit says nothing.
    """
    for action in (lambda: 1 / 0, sys.exit):
        thread = threading.Thread(target=action, name="worker-1")
        thread.start()
        thread.join()

    event = out.event
    assert (event["event"], event["where"], event["thread"]) == ("twelvefactor.uncaught", "thread", "worker-1")
    assert event["exception_type"] == "ZeroDivisionError"


def test_an_exception_in_a_finaliser_is_an_event(installed, out):
    """
    What Python cannot raise is told.
    """

    class Loud:
        def __del__(self):
            raise ValueError("late")

    Loud()
    gc.collect()

    assert (out.event["event"], out.event["exception_message"]) == ("twelvefactor.unraisable", "late")


def test_what_ends_the_process_is_an_event(events_of, python):
    """
    The last line of a process that crashes says why, and stderr stays empty; the exit status is Python's own.
    """
    done = python(
        """
        import os
        from twelvefactor.logs import EventStream
        EventStream("orders", environ=os.environ).install()
        raise ValueError("crash")
        """,
        check=False,
    )

    event = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, b"")
    assert (event["level"], event["event"], event["exception_message"]) == (
        "critical",
        "twelvefactor.uncaught",
        "crash",
    )


def test_ctrl_c_is_no_crash(python):
    """
    KeyboardInterrupt keeps Python's own way.
    """
    done = python(
        """
        import os
        from twelvefactor.logs import EventStream
        EventStream("orders", environ=os.environ).install()
        raise KeyboardInterrupt
        """,
        check=False,
    )

    assert done.stdout == b""
    assert b"KeyboardInterrupt" in done.stderr


def test_an_exception_hook_of_somebody_else_is_called_too(make, out, monkeypatch):
    """
    An error reporter that hooked in before us still gets its exceptions.
    """
    seen = []
    monkeypatch.setattr(sys, "excepthook", lambda *what: seen.append(what[1]))
    stream = make()
    stream.install()
    error = ValueError("x")

    sys.excepthook(ValueError, error, None)
    stream.uninstall()

    assert seen == [error]
    assert out.event["event"] == "twelvefactor.uncaught"


def test_asyncio_tells_a_task_that_nobody_awaited(installed, out):
    """
    A lost exception of a task is an event of the logger `asyncio`.
    """

    async def fail():
        raise ValueError("lost")

    async def main():
        task = asyncio.create_task(fail())
        await asyncio.wait([task])

    asyncio.run(main())
    gc.collect()

    assert (out.event["logger"], out.event["exception_message"]) == ("asyncio", "lost")


def test_what_is_printed_is_an_event(events_of):
    """
    Each line one event, pieces put together, blank lines dropped, bytes too; an event that is printed stays one.
    """
    events = events_of(
        """
        import json, os, sys
        from twelvefactor.logs import EventStream
        stream = EventStream("orders", environ=os.environ)
        stream.install()
        print("one", 1, {"a": 2})
        print("t", end="", flush=True); print("wo")
        print()
        print("three\\nfour")
        sys.stdout.buffer.write(b"five\\xff\\n")
        print(json.dumps({"event": "mine", "password": "p"}))
        print("{no event}")
        sys.stdout.writelines(["six\\n", "sev", "en\\n"])
        print("rest", end="")
        stream.close()
        """
    )

    said = [each["event"] for each in events]
    assert said == [
        "one 1 {'a': 2}", "two", "three", "four", "five\\xff", "mine", "{no event}", "six", "seven", "rest",
    ]  # fmt: skip
    assert events[0]["logger"] == "stdout"
    assert events[5] == {"event": "mine", "password": "********"}


def test_threads_print_whole_lines(events_of):
    """
    Pieces printed by several threads at once do not mix.
    """
    events = events_of(
        """
        import os, threading
        from twelvefactor.logs import EventStream
        EventStream("orders", environ=os.environ).install()
        def speak(name):
            for _ in range(200): print(name, name, name, sep=" ")
        threads = [threading.Thread(target=speak, args=(name,)) for name in "abcd"]
        for each in threads: each.start()
        for each in threads: each.join()
        """
    )

    assert sorted(each["event"] for each in events) == sorted(
        f"{name} {name} {name}" for name in "abcd" for _ in range(200)
    )


def test_stdout_keeps_its_other_sides(python):
    """
    fileno, encoding, isatty and a child process's stdout are the original's.
    """
    done = python(
        """
        import os, subprocess, sys
        from twelvefactor.logs import EventStream
        EventStream("orders", environ=os.environ).install()
        assert sys.stdout.fileno() == 1 and not sys.stdout.isatty() and sys.stdout.encoding.lower() == "utf-8"
        assert sys.stdout.writable() and not sys.stdout.closed
        subprocess.run(["echo", "child"], stdout=sys.stdout, check=True)
        """
    )

    assert done.stdout == b"child\n"


@pytest.mark.parametrize("kind", ["admin", "shell"])
@pytest.mark.parametrize("late", [False, True])
def test_admin_processes_keep_stdout_for_their_data(python, kind, late):
    """
    There print is the command's own output, and events go to stderr; also where that turns out after the start.
    """
    done = python(
        f"""
        import os, sys
        from twelvefactor.logs import EventStream
        stream = EventStream("orders", environ=os.environ)
        if {late}: stream.configure(); stream.install()
        stream.bind(process_type="{kind}")
        if not {late}: stream.configure(); stream.install()
        print("id,name")
        sys.stdout.flush()
        sys.stdout.buffer.write(b"1,a\\n")
        stream.logger().info("said")
        """
    )

    assert done.stdout == b"id,name\n1,a\n"
    assert json.loads(done.stderr)["event"] == "said"


def test_events_follow_a_redirected_stdout(python):
    """
    Where sys.stdout is somebody else's, events go there as it is at that moment, and back.
    """
    done = python(
        """
        import contextlib, io, json, os
        from twelvefactor.logs import EventStream
        stream = EventStream("orders", environ=os.environ)
        log = stream.logger()
        log.info("a")
        with contextlib.redirect_stdout(io.StringIO()) as kept: log.info("b")
        stream.install()
        with contextlib.redirect_stdout(io.StringIO()) as kept_too: log.info("c"); print("raw")
        log.info("d")
        assert json.loads(kept.getvalue())["event"] == "b"
        first, second = kept_too.getvalue().splitlines()
        assert json.loads(first)["event"] == "c" and second == "raw"
        """
    )

    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == ["a", "d"]


def test_pytest_captures_events(capsys):
    """
    In a test, events are what the test captured.
    """
    from twelvefactor.logs import EventStream

    EventStream("orders", environ={}).logger().info("x")

    assert json.loads(capsys.readouterr().out)["event"] == "x"


def test_everything_is_given_back(make):
    """
    After `uninstall` the process is as it was, however often either was called.
    """
    logging.getLogger("s").addHandler(logging.StreamHandler(sys.stderr))
    logging.getLogger("uvicorn.access").addHandler(logging.StreamHandler(sys.stdout))
    for between in (logging.NullHandler(), logging.StreamHandler(sys.stderr), logging.NullHandler()):
        logging.getLogger("s.several").addHandler(between)  # the console's is in the middle, and stays there
    logging.getLogger("werkzeug")
    for name in (
        "gunicorn.access",
        "hypercorn.access",
        "granian.access",
        "aiohttp.access",
        "django.server",
        "orders.db",
    ):
        logging.getLogger(name)
    stream = make(LOG_LEVEL="debug,orders.db=error")
    before = state()

    for _ in range(2):
        stream.install()
        stream.install()
        assert state() != before
        stream.uninstall()
        stream.uninstall()

        assert state() == before


def test_the_first_stream_keeps_what_it_took(make, out):
    """
    Of two services in one process the first that starts takes over; a record is one line.
    """
    first, second = make("first"), make("second")
    first.install()
    second.install()
    logging.getLogger("a").warning("x")
    second.uninstall()
    logging.getLogger("a").warning("y")
    first.uninstall()

    assert [(each["event"], each["service"]) for each in out.events] == [("x", "first"), ("y", "first")]


def test_the_formatter_alone(make):
    """
    Without a service it gives the same fields, and takes its name and schema as arguments.
    """
    record = logging.makeLogRecord(
        {"msg": "paid %s", "args": (7,), "levelno": 20, "levelname": "INFO", "name": "a", "x": 1}
    )

    event = json.loads(JsonFormatter(service="orders").format(record))
    ecs = json.loads(JsonFormatter(service="orders", schema="ecs").format(record))

    assert list(event) == ["timestamp", "level", "event", "logger", "service", "instance", "x"]
    assert (event["event"], event["x"]) == ("paid 7", 1)
    assert ecs["message"] == "paid 7"


def test_the_formatter_by_its_public_name():
    """
    `tf.logs.JsonFormatter` needs no import of its own.
    """
    assert twelvefactor.logs.JsonFormatter is JsonFormatter


def test_the_formatter_in_an_ini_file(tmp_path, python):
    """
    As gunicorn's `--log-config` reads it, with a format that plays no role.
    """
    (tmp_path / "log.ini").write_text(
        textwrap.dedent("""
            [loggers]
            keys=root
            [handlers]
            keys=out
            [formatters]
            keys=json
            [logger_root]
            level=INFO
            handlers=out
            [handler_out]
            class=StreamHandler
            args=(sys.stdout,)
            formatter=json
            [formatter_json]
            class=twelvefactor.logs.JsonFormatter
            format=%(asctime)s %(message)s
        """)
    )

    done = python(
        f"""
        import logging, logging.config
        logging.config.fileConfig({str(tmp_path / "log.ini")!r})
        logging.getLogger("a").info("paid %s", 7, extra={{"x": 1}})
        """
    )

    event = json.loads(done.stdout)
    assert (event["event"], event["x"], event["logger"]) == ("paid 7", 1, "a")
    assert "asctime" not in event


def test_the_formatter_takes_python_json_loggers_arguments():
    """
    Renamed, static and default fields, and a prefix, work as there.
    """
    formatter = JsonFormatter(
        service="orders",
        rename_fields={"level": "severity"},
        static_fields={"team": "a"},
        defaults={"x": 0},
        prefix="! ",
    )

    line = formatter.format(logging.makeLogRecord({"msg": "m", "levelno": 20, "levelname": "INFO", "name": "a"}))

    event = json.loads(line.removeprefix("! "))
    assert line.startswith("! ")
    assert (event["severity"], event["team"], event["x"]) == ("info", "a", 0)
    assert "level" not in event


def test_the_formatter_can_be_derived_from():
    """
    A class of one's own adds fields as with python-json-logger's; what it adds is hidden and masked as well.
    """

    class Mine(JsonFormatter):
        def add_fields(self, log_data, record, message_dict):
            super().add_fields(log_data, record, message_dict)
            log_data["team"] = {"name": "a", "token": "t"}

        def process_log_record(self, log_data):
            return {**log_data, "processed": True}

    for schema in ("default", "otel"):
        line = Mine(service="orders", schema=schema, rename_fields={"level": "severity"}).format(
            logging.makeLogRecord({"msg": "m"})
        )
        event = json.loads(line)
        assert event["team"] == {"name": "a", "token": "********"}
        assert event["processed"]
        assert event["severity" if schema == "default" else "SeverityText"]


def test_the_formatter_gives_json_beside_a_console(make):
    """
    Where the stream speaks to a person, a handler with the formatter still writes JSON.
    """
    make(LOG_FORMAT="console").configure()

    assert json.loads(JsonFormatter().format(logging.makeLogRecord({"msg": "m"})))["event"] == "m"


def test_the_formatter_in_a_service_adds_the_services_fields(make):
    """
    Its fields are then those of the stream that was configured.
    """
    stream = make()
    stream.configure()
    stream.bind(release="4f2c1a9")

    event = json.loads(JsonFormatter().format(logging.makeLogRecord({"msg": "m"})))

    assert (event["service"], event["release"], event["level"]) == ("orders", "4f2c1a9", "debug")


def test_levels_by_logger(make, out):
    """
    LOG_LEVEL names a level for all and one for a logger and what is below it, for both worlds.
    """
    stream = make(LOG_LEVEL="warning,orders.db=debug")
    stream.install()

    for name in ("orders", "orders.db", "orders.db.pool"):
        stream.logger(name).info(name)
        logging.getLogger(name).info(f"std {name}")
    stream.uninstall()

    assert [each["event"] for each in out.events] == [
        "orders.db", "std orders.db", "orders.db.pool", "std orders.db.pool",
    ]  # fmt: skip


def test_the_level_changes_while_the_process_runs(make, out):
    """
    For loggers that exist already, of both worlds, and back.
    """
    stream = make()
    stream.install()
    log, std = stream.logger("a"), logging.getLogger("a")
    for level in ("debug", "error", "info"):
        stream.set_level(level)
        log.debug(f"debug at {level}")
        std.info(f"info at {level}")
    stream.set_level("debug", "a")
    log.debug("own")
    stream.uninstall()

    assert [each["event"] for each in out.events] == ["debug at debug", "info at debug", "info at info", "own"]


def test_a_level_that_does_not_exist(make, out):
    """
    In the environment it is told and the default holds; in a call it is an error that names the levels.
    """
    stream = make(LOG_LEVEL="loud", LOG_SCHEMA="esc", LOG_MAX_BYTES="3", LOG_NONBLOCKING="maybe")
    stream.install()
    stream.uninstall()

    assert [each["problem"].partition(":")[0] for each in out.events] == [
        "LOG_LEVEL", "LOG_SCHEMA", "LOG_NONBLOCKING", "LOG_MAX_BYTES",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="'loud' is no level; use one of debug, info, warning, error, critical"):
        stream.set_level("loud")
