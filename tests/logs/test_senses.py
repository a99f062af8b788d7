"""The rules of factor XI: each fires on a real violation, and stays quiet on the tempting look-alike."""

import asyncio
import logging
import logging.handlers
import os
import sys
import textwrap

import pytest

from twelvefactor._core.appcode import AppCode
from twelvefactor._core.clock import SYSTEM_CLOCK
from twelvefactor._core.secrets import SECRETS
from twelvefactor.factor import Evidence
from twelvefactor.logs import RULES, sensors, tap
from twelvefactor.logs.prints import PrintedLines
from twelvefactor.logs.rules import TF1101, TF1102, TF1103, TF1104, TF1105
from twelvefactor.work import InFlight


class App:
    """A process whose app is the code in *root*."""

    name = "orders"
    clock = SYSTEM_CLOCK
    config = deploy = None
    declaration = {}

    def __init__(self, root, stream, process_type="web"):
        self.root = root
        self.environ = {}
        self.evidence = Evidence()
        self.findings = self.evidence.findings
        self.app_code = AppCode(root)
        self.in_flight = InFlight()
        self.process_type = process_type
        self.stream = stream
        self.faults = []

    def event(self, level, event, **fields):
        self.stream.emit(level, event, fields)

    def fault(self, where, error):
        self.faults.append(error)

    def run(self, code, **names):
        """Run *code* as a module of the app."""
        path = self.root / "shop.py"
        path.write_text(textwrap.dedent(code))
        scope = {"__name__": "shop", "__file__": str(path), "log": self.stream.logger("shop"), **names}
        exec(compile(path.read_text(), str(path), "exec"), scope)
        return scope

    def verdict(self, rule):
        return self.evidence.ruling(rule).verdict.value

    def found(self, rule):
        return [(each.culprit, each.where, each.count) for each in self.findings.of(rule.id)]


@pytest.fixture
def watch(make, tmp_path):
    """Starts the sensors of an app; gives everything back after the test."""
    handlers = {logger: list(logger.handlers) for logger in tap.loggers()}
    ended = []

    def watch(process_type="web", *, before=lambda: None, install=True, stream=None):
        stream = stream or make()
        if install:
            stream.install()
        app = App(tmp_path, stream, process_type)
        before()
        watching = sensors(app)
        for each in watching:
            each.install()
            each.install()
        ended.append((app, watching))
        return app

    yield watch
    for app, watching in ended:
        for each in (*watching, *watching):
            each.remove()
        app.stream.uninstall()
        assert app.faults == []
    for logger in tap.loggers():
        for each in set(logger.handlers) - set(handlers.get(logger, ())):
            logger.removeHandler(each)
            each.close()


def test_a_quiet_app_passes(watch, log):
    """
    With sensors on and nothing wrong, every rule that was looked at passes.
    """
    app = watch()
    app.run("log.info('paid')")

    assert {rule.id: app.verdict(rule) for rule in RULES if rule is not TF1102} == {
        "TF1101": "pass", "TF1103": "pass", "TF1104": "pass", "TF1105": "pass",
    }  # fmt: skip


def test_nothing_is_decided_before_anybody_looks():
    """
    Unknown is never pass.
    """
    assert {Evidence().ruling(rule).verdict.value for rule in RULES} == {"unknown"}


FILES = {
    "file": lambda path: logging.FileHandler(path),
    "rotating": lambda path: logging.handlers.RotatingFileHandler(path, maxBytes=10),
    "timed": lambda path: logging.handlers.TimedRotatingFileHandler(path),
    "watched": lambda path: logging.handlers.WatchedFileHandler(path),
}


@pytest.mark.parametrize("handler", FILES.values(), ids=FILES)
def test_tf1101_fires_on_a_file_handler_that_was_there(watch, tmp_path, handler):
    """
    Of any sort, on any logger, hung on before the start.
    """
    path = str(tmp_path / "shop.txt")
    app = watch(before=lambda: logging.getLogger("shop.deep").addHandler(handler(path)))

    assert app.found(TF1101) == [(path, "", 1)]


def test_tf1101_fires_on_a_file_handler_that_comes_later(watch, tmp_path):
    """
    With the line of app code that hung it on; the file that it opens is the same finding.
    """
    app = watch()
    path = str(tmp_path / "shop.log")
    app.run("import logging\nlogging.getLogger('shop').addHandler(logging.FileHandler(path))\n", path=path)

    assert app.found(TF1101) == [(path, "shop.py:2", 2)]


def test_tf1101_fires_on_a_log_file_that_app_code_opens(watch, tmp_path):
    """
    By `open`, by `Path`, by `os.open`, and by a library on the app's behalf.
    """
    app = watch()
    app.run(
        """
        import os, pathlib
        open(root + "/a.log", "a").close()
        pathlib.Path(root, "b.log").write_text("x")
        os.close(os.open(root + "/c.log", os.O_WRONLY | os.O_CREAT))
        os.close(os.open(pathlib.Path(root, "d.log"), os.O_RDWR | os.O_CREAT))
        """,
        root=str(tmp_path),
    )

    assert app.found(TF1101) == [
        (str(tmp_path / f"{name}.log"), f"shop.py:{line}", 1) for name, line in zip("abcd", (3, 4, 5, 6))
    ]


def test_tf1101_fires_on_loguru_writing_a_file(watch, tmp_path):
    """
    Another library's sink is a log file as well.
    """
    pytest.importorskip("loguru")
    app = watch()
    scope = app.run("import loguru\nsink = loguru.logger.add(path)\n", path=str(tmp_path / "guru.log"))
    scope["loguru"].logger.remove(scope["sink"])

    assert app.found(TF1101) == [(str(tmp_path / "guru.log"), "shop.py:2", 1)]


def test_tf1101_is_quiet_about_look_alikes(watch, tmp_path):
    """
    Reading a log, writing another file, /dev/stdout, a null handler, and what nobody of the app opens.
    """
    (tmp_path / "old.log").write_text("x")
    app = watch()
    app.run(
        """
        import logging
        open(root + "/old.log").read()
        open(root + "/report.csv", "w").close()
        open(root + "/catalog", "w").close()
        logging.getLogger("shop").addHandler(logging.NullHandler())
        handler = logging.FileHandler("/dev/stdout", delay=True)
        logging.getLogger("shop").addHandler(handler)
        """,
        root=str(tmp_path),
    )
    open(tmp_path / "of-the-test.log", "w").close()

    assert app.verdict(TF1101) == "pass"


def test_tf1102_fires_where_app_code_prints(watch, stream, monkeypatch):
    """
    The printing function of app code is named once, with a count; so is app code that prints through click.
    """
    monkeypatch.setattr(sys, "stdout", PrintedLines(sys.stdout, stream))
    app = watch(stream=stream)
    scope = app.run("import click\ndef greet():\n    print('hello')\ndef echo():\n    click.echo('hi')\n")

    scope["greet"]()
    scope["greet"]()
    scope["echo"]()

    assert app.found(TF1102) == [("shop.greet", "shop.py:3", 2), ("shop.echo", "shop.py:5", 1)]


def test_tf1102_is_quiet_about_look_alikes(events_of):
    """
    A library that prints, an event that is printed, stderr, a blank line, and admin processes.
    """
    events = events_of(
        """
        import os, sys, tempfile, json, pathlib
        from twelvefactor.logs import EventStream, sensors
        from twelvefactor.logs.rules import TF1102
        from tests.logs.test_senses import App
        root = pathlib.Path(tempfile.mkdtemp())
        stream = EventStream("orders", environ=os.environ)
        stream.install()
        app = App(root, stream)
        for each in sensors(app): each.install()
        def library(): print("a library's banner")
        app.run('''
        import sys
        library()
        print('{"event": "mine"}')
        print("x", file=sys.stderr)
        print()
        ''', library=library)
        stream.logger().info("result", quiet=app.verdict(TF1102), found=app.found(TF1102))
        app.run("print('loud')")
        stream.logger().info("result", quiet=app.verdict(TF1102), found=app.found(TF1102))
        """,
        cwd=os.getcwd(),
    )

    first, second = (each for each in events if each["event"] == "result")
    assert (first["quiet"], first["found"]) == ("pass", [])
    assert second["found"] == [["shop.<module>", "shop.py:1", 1]]


def test_tf1102_does_not_apply_to_admin_processes(watch):
    """
    Their stdout is the command's own data.
    """
    assert watch("admin").verdict(TF1102) == "not applicable"


def test_tf1102_is_unknown_where_stdout_is_somebody_elses(watch):
    """
    Unknown, with what would let it look.
    """
    app = watch(install=False)

    assert app.verdict(TF1102) == "unknown"
    assert "without replacing" in app.evidence.ruling(TF1102).because


ROUTES = {
    "syslog": lambda: logging.handlers.SysLogHandler(),
    "http": lambda: logging.handlers.HTTPHandler("localhost", "/"),
    "smtp": lambda: logging.handlers.SMTPHandler("localhost", "a@b", "c@d", "s"),
    "socket": lambda: logging.handlers.SocketHandler("localhost", 1),
    "datagram": lambda: logging.handlers.DatagramHandler("localhost", 1),
    "memory": lambda: logging.handlers.MemoryHandler(10),
    "a subclass": lambda: type("Mine", (logging.handlers.SysLogHandler,), {})(),
}


@pytest.mark.parametrize("handler", ROUTES.values(), ids=ROUTES)
def test_tf1103_fires_on_a_handler_that_routes(watch, handler):
    """
    Whatever carries records to somewhere else, there before or hung on later.
    """
    app = watch(before=lambda: logging.getLogger("early").addHandler(handler()))
    logging.getLogger("late").addHandler(handler())

    assert [culprit.partition(":")[0] for culprit, _, _ in app.found(TF1103)] == ["early", "late"]


def test_tf1103_is_quiet_about_look_alikes(watch):
    """
    A queue that feeds the stream, a framework's mail handler that has nobody to write to, and a handler of the test's.
    """
    import queue

    from django.utils.log import AdminEmailHandler

    app = watch()
    for handler in (
        logging.handlers.QueueHandler(queue.Queue()),
        AdminEmailHandler(reporter_class="logging.Handler"),
        logging.StreamHandler(),
        logging.Handler(),
    ):
        logging.getLogger("shop").addHandler(handler)

    assert app.verdict(TF1103) == "pass"


def test_tf1103_fires_on_a_mail_handler_that_has_readers(watch, monkeypatch):
    """
    With ADMINS set, Django mails its errors.
    """
    import django.conf
    from django.utils.log import AdminEmailHandler

    monkeypatch.setattr(django.conf, "settings", type("Settings", (), {"ADMINS": ["a@b.example"]}))
    app = watch()
    logging.getLogger("django").addHandler(AdminEmailHandler(reporter_class="logging.Handler"))

    assert app.verdict(TF1103) == "fail"


class Holding:
    """A stdout that somebody put there and that keeps lines back."""

    encoding = "utf-8"
    line_buffering = False
    write_through = False

    def write(self, text):
        return len(text)

    def flush(self):
        pass


def test_tf1104_fires_where_stdout_holds_lines_back(watch, monkeypatch):
    """
    A replacement that cannot be told otherwise.
    """
    monkeypatch.setattr(sys, "stdout", Holding())

    app = watch(install=False)

    assert [culprit for culprit, _, _ in app.found(TF1104)] == ["sys.stdout"]


@pytest.mark.parametrize("flags", [(), ("-u",)], ids=["buffered", "-u"])
def test_tf1104_is_quiet_where_python_can_be_told(events_of, flags):
    """
    A plain stdout is made line-buffered at start, so that it passes with and without -u.
    """
    events = events_of(
        """
        import os, pathlib, sys
        from twelvefactor.logs import EventStream, sensors
        from twelvefactor.logs.rules import TF1104
        from tests.logs.test_senses import App
        stream = EventStream("orders", environ=os.environ)
        stream.install()
        app = App(pathlib.Path("/nowhere"), stream)
        for each in sensors(app): each.install()
        stream.logger().info(app.verdict(TF1104))
        stream.uninstall()
        assert not sys.stdout.line_buffering
        """,
        *flags,
        cwd=os.getcwd(),
    )

    assert [each["event"] for each in events] == ["pass"]


def test_tf1105_names_the_line_that_said_a_secret(watch, out, secret):
    """
    By our logger, by the standard library's, from async code; masked, with the unit of work, and never in the finding.
    """
    app = watch()
    with app.in_flight.work("request", "r", "w-1"):
        scope = app.run(
            """
            import logging
            def direct():
                log.info("x", dsn=f"postgres://u:{secret}@h/")
            def standard():
                logging.getLogger("shop").warning("%s", secret)
            async def later():
                await log.ainfo(secret)
            """,
            secret=secret,
        )
        scope["direct"]()
        scope["direct"]()
        scope["standard"]()
        asyncio.run(scope["later"]())

    assert app.found(TF1105) == [
        ("shop.direct", "shop.py:4", 2),
        ("shop.standard", "shop.py:6", 1),
        ("shop.later", "shop.py:8", 1),
    ]
    assert {each.work for each in app.findings} == {"w-1"}
    assert secret not in str(list(app.findings))
    assert "Pä55" not in out.getvalue().decode()


def test_tf1105_names_the_app_where_an_adapter_tells_what_it_raised(watch, out, secret):
    """
    The exception came through the app's frame; who told it has left the app behind.
    """
    app = watch()
    scope = app.run("def charge():\n    raise LookupError(secret)", secret=secret)

    try:
        scope["charge"]()
    except LookupError as error:
        app.event("error", "request.failed", exc_info=error)

    assert {(culprit, where) for culprit, where, _ in app.found(TF1105)} == {("shop.charge", "shop.py:2")}
    assert secret not in out.getvalue().decode()


def test_tf1105_is_quiet_about_look_alikes(watch):
    """
    A value that is hidden by its key, one that only resembles the secret, and a masked repr.
    """
    SECRETS.register("sk_live_abcdefgh")
    app = watch()
    app.run("log.info('x', api_key='sk_live_abcdefgh', other='sk_live_abcdefg', third='********')")

    assert app.verdict(TF1105) == "pass"


def test_a_finding_that_is_an_event_does_not_find_itself(watch, secret):
    """
    A process that tells findings on the same stream does not go round in circles.
    """
    app = watch()
    app.findings._on_first = lambda finding: app.event("warning", "twelvefactor.finding", note=secret)
    app.run("log.info(secret)", secret=secret)

    assert len(app.found(TF1105)) == 1


def test_removed_sensors_see_nothing(watch, tmp_path, secret):
    """
    After `remove` the process is no longer judged.
    """
    app = watch()
    for each in sensors(app):
        each.install()
        each.remove()
    app.evidence = Evidence()
    app.findings = app.evidence.findings

    assert len(app.findings) == 0
