"""Construction and start are two moments, and what start takes it gives back."""

import asyncio
import atexit
import logging
import os
import signal
import subprocess
import sys
import threading
import warnings

import pytest

import twelvefactor as tf
from tests.service.conftest import Signals, wait_for_drain_threads
from twelvefactor import ConfigError, FactorViolation, Severity
from twelvefactor._core import audit
from twelvefactor.exceptions import PhaseError, UsageError
from twelvefactor.factor import Finding, Moment, Rule

RULE = Rule("TF401", "an app reached out", Severity.ERROR, (Moment.START,), "Attach it.")


def belongings():
    """What a library could have taken from the process."""
    return {
        "root handlers": list(logging.getLogger().handlers),
        "root level": logging.getLogger().level,
        "excepthook": sys.excepthook,
        "threading excepthook": threading.excepthook,
        "unraisablehook": sys.unraisablehook,
        "showwarning": warnings.showwarning,
        "stdout": sys.stdout,
        "stderr": sys.stderr,
        "SIGTERM": signal.getsignal(signal.SIGTERM),
        "SIGINT": signal.getsignal(signal.SIGINT),
        "environ": type(os.environ),
        "audit": dict(audit._listeners),
        "threads": set(threading.enumerate()) - _of_others,
    }


_of_others = set()


@pytest.fixture(autouse=True)
def threads_of_other_tests():
    """One that an earlier test gave up on may end in the middle of this one."""
    _of_others.update(threading.enumerate())
    yield
    _of_others.clear()


def test_construction_takes_nothing_of_the_process(make):
    """
    Importing a service in a test or in a migration tool hijacks nothing.
    """
    before = belongings()

    make(signals=None)

    assert belongings() == before


def test_close_gives_back_what_start_took(make):
    """
    Everything patched or hooked is undone.
    """
    before = belongings()
    service = make(signals=None)

    service.start()
    service.ready()
    assert belongings() != before
    service.close()

    wait_for_drain_threads()
    assert belongings() == before


def test_starting_twice_is_starting_once(make, stream):
    """
    Adapters call it themselves, so several do.
    """
    service = make()

    service.start()
    service.start()
    service.ready()
    service.ready()

    assert len(stream.named("twelvefactor.starting")) == 1
    assert len(stream.named("twelvefactor.ready")) == 1


def test_the_first_unit_of_work_starts_it(make, stream):
    """
    A script needs no adapter.
    """
    service = make()

    with service.work("job", "send_receipt"):
        assert service.started

    assert stream.named("job")[0]["outcome"] == "ok"


def test_it_can_start_again_after_it_was_closed(make, stream):
    """
    As a test client does that is entered twice.
    """
    service = make()
    for _ in range(2):
        service.start()
        service.ready()
        service.close()

    assert len(stream.named("twelvefactor.ready")) == 2
    assert len(stream.named("twelvefactor.stopped")) == 2


@pytest.mark.parametrize("how", ["close", "aclose"])
def test_what_was_attached_is_closed_without_a_start_too(make, how):
    """
    A script attaches, asks and closes; nothing of it ever served.
    """
    closed = []

    class Client:
        def close(self):
            closed.append(self)

    service = make()
    client = service.attach(tf.HTTPURL("http://127.0.0.1:1"), client=lambda url: Client())
    for _ in range(2):
        asyncio.run(service.aclose()) if how == "aclose" else service.close()

    assert closed == [client]
    assert not service.started


def test_mode_off_starts_nothing(make, stream):
    """
    Off beats everything else.
    """
    before = belongings()
    service = make(environ={"TWELVEFACTOR_MODE": "off", "TWELVEFACTOR_ENFORCE": "all"}, signals=None)

    service.start()
    with service.work("job", "x"):
        pass

    assert not service.started
    assert belongings() == before


def test_an_unknown_mode_is_named_with_the_words_it_may_be(make):
    """
    A spelling mistake must not silently turn everything on or off.
    """
    with pytest.raises(ConfigError, match="TWELVEFACTOR_MODE: .*report or off"):
        make(environ={"TWELVEFACTOR_MODE": "of"})


def test_a_config_and_its_class_are_told_apart():
    """
    Given as the other, each is named with what to write.
    """

    class Wanted(tf.Config):
        pass

    with pytest.raises(UsageError, match=r"write Service\('shop', Wanted\)"):
        tf.Service("shop", config=Wanted, environ={})
    with pytest.raises(UsageError, match=r"give what is valid already as Service\('shop', config=…\)"):
        tf.Service("shop", Wanted.load({}), environ={})


def test_nothing_serves_while_the_image_is_built(make):
    """
    The build phase has no real config.
    """
    service = make(environ={"TWELVEFACTOR_PHASE": "build"})

    with pytest.raises(PhaseError, match="TWELVEFACTOR_PHASE is 'build'"):
        service.start()
    assert not service.started


def test_included_modules_are_imported_at_start_and_not_before(make, tmp_path, monkeypatch):
    """
    They import the service themselves, so construction would be too early.
    """
    (tmp_path / "orders_tasks_for_test.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    service = make()
    service.include("orders_tasks_for_test")
    assert "orders_tasks_for_test" not in sys.modules

    service.start()

    assert sys.modules.pop("orders_tasks_for_test")


def test_two_services_in_one_process_is_one_event_and_both_log(make, stream):
    """
    The second says so; neither breaks the other.
    """
    first, second = make(), make()
    first.start()
    second.start()

    first.log.info("one")
    second.log.info("two")

    (told,) = stream.named("twelvefactor.second_service")
    assert told["others"] == ["orders"]
    assert [event["event"] for event in stream.events][-2:] == ["one", "two"]


def test_a_broken_room_is_one_event_and_the_rest_looks(make, stream, monkeypatch):
    """
    The library's own fault never takes the service down.
    """
    import twelvefactor.codebase

    monkeypatch.setattr(twelvefactor.codebase, "sensors", lambda process: 1 / 0)
    service = make()

    service.start()

    (fault,) = [event for event in stream.named("twelvefactor.fault") if event["fault_in"] == "codebase"]
    assert "ZeroDivisionError" in fault["exception"]
    assert service.started


class TestFindings:
    """What is found is said once, counted, and may refuse the start where that is asked for."""

    def found(self, service):
        return service.evidence.report(Finding(RULE, "something was reached", "shop.client", where="shop.py:3"))

    def test_the_first_sight_is_one_event_at_warning(self, make, stream):
        """
        With rule, culprit, place and fix.
        """
        service = make()

        self.found(service)
        self.found(service)

        (event,) = stream.named("twelvefactor.finding")
        assert event["level"] == "warning"
        assert {name: event[name] for name in ("rule", "culprit", "where", "hint")} == {
            "rule": "TF401",
            "culprit": "shop.client",
            "where": "shop.py:3",
            "hint": "Attach it.",
        }

    def test_service_findings_are_iterable_findings(self, make):
        """
        Fixed names, so that users' tests can be written against them.
        """
        service = make()
        self.found(service)
        self.found(service)

        (finding,) = service.findings
        assert (finding.rule.id, finding.culprit, finding.where, finding.count) == (
            "TF401",
            "shop.client",
            "shop.py:3",
            2,
        )

    @pytest.mark.parametrize("enforce", ["", "TF9", "TF402"])
    def test_nothing_is_enforced_that_was_not_asked_for(self, make, enforce):
        """
        A rollback to an older image still starts.
        """
        service = make(environ={"TWELVEFACTOR_ENFORCE": enforce})
        self.found(service)

        service.start()

        assert service.started

    @pytest.mark.parametrize("enforce", ["TF401", "TF4", "TF9, TF4", "all"])
    def test_an_enforced_start_rule_refuses_to_start(self, make, enforce):
        """
        With the status that tells the platform why: an unavailable service is 69.
        """
        service = make(environ={"TWELVEFACTOR_ENFORCE": enforce, "GIT_SHA": "a", "TWELVEFACTOR_RELEASE": "v1"})
        self.found(service)

        with pytest.raises(FactorViolation, match="TF401 something was reached") as caught:
            service.start()
        assert caught.value.exit_code == 69
        assert caught.value.findings[0].culprit == "shop.client"


class TestFork:
    """A forked child took over neither its parent's work nor its signals."""

    def test_a_child_forked_after_construction_has_its_own_instance_and_no_work(self, make):
        """
        What a pre-forking server does.
        """
        before = signal.getsignal(signal.SIGTERM)
        service = make(signals=None)
        service.start()
        work = service.work("job", "x")
        work.begin()
        read, write = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # a fork in a process with threads
            child = os.fork()
        if child == 0:
            told = f"{len(service.in_flight)} {service.started} {signal.getsignal(signal.SIGTERM) == before}"
            os.write(write, told.encode())
            os._exit(0)
        os.close(write)
        work.end()

        assert os.read(read, 100) == b"0 False True"
        assert os.waitpid(child, 0)[1] == 0
        os.close(read)

    def test_only_the_process_that_started_closes_at_exit(self, tmp_path):
        """
        A child that leaves by `sys.exit` runs none of the parent's hooks.
        """
        script = tmp_path / "script.py"
        script.write_text(
            "import os, sys, twelvefactor as tf\n"
            "service = tf.Service('orders')\n"
            "service.on_shutdown(lambda: os.write(1, b'closed %d\\n' % os.getpid()))\n"
            "service.start(); service.ready()\n"
            "child = os.fork()\n"
            "if child == 0: sys.exit(0)\n"
            "os.waitpid(child, 0)\n"
        )

        ended = subprocess.run(
            [sys.executable, "-W", "ignore", str(script)],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )

        closed = [line for line in ended.stdout.splitlines() if line.startswith("closed")]
        assert len(closed) == 1, ended.stderr


class TestSigterm:
    """A started script without a server ends as the platform expects."""

    def test_a_script_ends_with_143_and_runs_finally_and_exit_hooks(self, tmp_path):
        """
        The default action would skip them.
        """
        script = tmp_path / "script.py"
        script.write_text(
            "import atexit, os, time, twelvefactor as tf\n"
            "atexit.register(lambda: os.write(1, b'atexit\\n'))\n"
            "service = tf.Service('orders')\n"
            "service.on_shutdown(lambda: os.write(1, b'hook\\n'))\n"
            "try:\n"
            "    with service.work('job', 'wait'):\n"
            "        os.write(1, b'waiting\\n')\n"
            "        time.sleep(60)\n"
            "finally:\n"
            "    os.write(1, b'finally\\n')\n"
        )
        process = subprocess.Popen(
            [sys.executable, str(script)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.getcwd()}
        )
        said = []
        for line in process.stdout:
            said.append(line)
            if line == b"waiting\n":
                process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
        process.stdout.close()

        ours = [line for line in said if not line.startswith(b"{")]
        assert ours == [b"waiting\n", b"finally\n", b"hook\n", b"atexit\n"]

    def test_where_the_handler_cannot_be_set_it_is_said(self, make, stream):
        """
        In another thread than the main one nothing fails.
        """
        service = make(signals=None)
        thread = threading.Thread(target=service.start)

        thread.start()
        thread.join()

        assert "main thread" in stream.named("twelvefactor.sigterm.not_caught")[0]["because"]

    def test_an_ignored_sigterm_stays_ignored(self, make, stream):
        """
        `nohup`-like wrappers mean it.
        """
        service = make(signals=Signals(signal.SIG_IGN))

        service.start()

        assert "ignored" in stream.named("twelvefactor.sigterm.not_caught")[0]["because"]


def test_ready_hooks_run_in_order_before_readiness_turns_green(make):
    """
    Sync and async.
    """
    service, ran = make(), []

    @service.on_ready
    def first():
        ran.append(("first", service.readiness()))

    @service.on_ready(limit=5)
    async def second():
        ran.append(("second", service.readiness()))

    service.start()
    service.ready()

    assert ran == [("first", "starting"), ("second", "starting")]
    assert service.readiness() == "ok"


def test_a_ready_hook_that_raises_stops_the_start(make):
    """
    A process that is not ready must not say so.
    """
    service = make()

    @service.on_ready
    def broken():
        raise LookupError("no such table")

    service.start()
    with pytest.raises(LookupError, match="no such table"):
        service.ready()
    assert service.readiness() == "starting"


def test_the_exit_hook_is_taken_back(make, monkeypatch):
    """
    Ten thousand starts leave nothing at exit.
    """
    hooks = []
    monkeypatch.setattr(atexit, "register", hooks.append)
    monkeypatch.setattr(atexit, "unregister", hooks.remove)
    service = make()
    for _ in range(3):
        service.start()
        assert len(hooks) == 1
        service.close()

    assert hooks == []


def test_the_version_tells_the_release_and_no_config(make):
    """
    For the version endpoint.
    """
    service = make(environ={"GIT_SHA": "3f1c2ab99", "TWELVEFACTOR_RELEASE": "v42", "API_KEY": "hunter2hunter2"})

    told = service.version_json()

    assert b'"release":"v42"' in told
    assert b'"commit":"3f1c2ab99"' in told
    assert b"hunter2" not in told
