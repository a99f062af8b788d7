"""Who has SIGTERM, and when."""

import os
import signal
import threading

import pytest

from tests.disposability.conftest import SOON
from twelvefactor.disposability.lifecycle import State


def test_the_servers_handler_gets_the_signal_after_the_drain(service, server, signals):
    """
    The first SIGTERM drains; then the handler that was there has it.
    """
    service.start()
    service.ready()
    signals.deliver()

    assert server.told.wait(SOON)
    assert server.saw == ["stopping"]


def test_the_server_is_held_back_for_the_drain_delay(new_service, signals, server):
    """
    While the delay lasts, the process drains and the server knows nothing; readiness is withdrawn, liveness is not.
    """
    service = new_service(TWELVEFACTOR_DRAIN_DELAY="1h", TWELVEFACTOR_GRACE_PERIOD="2h")
    service.start()
    service.ready()
    signals.deliver()

    assert service.lifecycle.state is State.DRAINING
    assert service.readiness() == "draining"
    assert service.startup() == "ok"
    assert not service.stopping.is_set()
    assert not server.told.is_set()

    service._shutdown.force()

    assert server.told.wait(SOON)
    assert service.stopping.is_set()


def test_a_repeated_sigterm_changes_nothing(new_service, signals, server, said):
    """
    Heroku sends it several times: neither the delay nor anything after it is cut short.
    """
    service = new_service(TWELVEFACTOR_DRAIN_DELAY="1h", TWELVEFACTOR_GRACE_PERIOD="2h")
    service.start()
    service.ready()
    for _ in range(3):
        signals.deliver()

    assert not server.told.is_set()

    service._shutdown.force()
    assert server.told.wait(SOON)
    server.told.clear()
    signals.deliver()

    assert not server.told.is_set()
    assert said.names().count("draining") == 1


def test_without_a_server_the_main_thread_leaves_as_if_terminated(service, signals):
    """
    Over the default action, the drain ends in `SystemExit(143)`, so that `finally` and exit hooks run.
    """
    service.start()
    service.ready()
    signals.deliver()

    assert signals.raised.wait(SOON)
    assert signals.left.code == 143


def test_sigterm_before_the_first_request_drains(service, server, signals, said):
    """
    A process that was told to stop before it was ready is never ready.
    """
    service.start()
    signals.deliver()
    assert server.told.wait(SOON)
    service.ready()

    assert service.readiness() == "stopping"
    assert "ready" not in said.names()


def test_an_ignored_sigterm_stays_ignored(service, signals, said):
    """
    Somebody decided that this process ignores SIGTERM, as `nohup` does for SIGHUP: that is told, not undone.
    """
    signals.handlers[signal.SIGTERM] = signal.SIG_IGN
    service.start()

    assert signals.handlers[signal.SIGTERM] == signal.SIG_IGN
    assert "ignored" in said.one("sigterm.not_caught")["because"]


def test_a_start_outside_the_main_thread_says_that_sigterm_is_not_caught(service, said):
    """
    Signals belong to the main thread; elsewhere the start goes on and says so.
    """
    thread = threading.Thread(target=service.start)
    thread.start()
    thread.join(SOON)

    assert service.started
    assert "main thread" in said.one("sigterm.not_caught")["because"]


def test_close_puts_the_handler_back(service, server, signals):
    """
    What start took over is given back.
    """
    service.start()
    assert signals.handlers[signal.SIGTERM] != server.handle
    service.close()

    assert signals.handlers[signal.SIGTERM] == server.handle


def test_close_leaves_a_handler_that_came_later(service, signals):
    """
    Where somebody stands over us, theirs is not thrown away.
    """

    def later(signum, frame):
        pass

    service.start()
    signals.handlers[signal.SIGTERM] = later
    service.close()

    assert signals.handlers[signal.SIGTERM] is later


def test_a_drain_that_breaks_still_hands_the_signal_over(service, server, signals, said, monkeypatch):
    """
    Whatever fails in the drain, the server is told to stop.
    """
    service.start()
    service.ready()
    monkeypatch.setattr(service._shutdown, "drain", lambda: 1 / 0)
    signals.deliver()

    assert server.told.wait(SOON)
    assert said.one("fault", fault_in="drain")


@pytest.mark.parametrize(
    ("wish", "platform", "readiness"),
    [
        ("fail", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "draining"),
        ("keep", {}, "ok"),
        ("auto", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "ok"),
        ("auto", {"DYNO": "web.1"}, "draining"),
    ],
)
def test_readiness_while_draining_is_the_platforms_or_ours_to_say(
    new_service, signals, server, wish, platform, readiness
):
    """
    On Kubernetes the endpoint is withdrawn already, so readiness stays green unless told otherwise.
    """
    service = new_service(
        **platform,
        TWELVEFACTOR_READINESS_ON_DRAIN=wish,
        TWELVEFACTOR_DRAIN_DELAY="1h",
        TWELVEFACTOR_GRACE_PERIOD="2h",
    )
    service.start()
    service.ready()
    signals.deliver()

    assert service.readiness() == readiness
    service._shutdown.force()
    assert server.told.wait(SOON)


def test_who_put_a_handler_over_ours_and_keeps_the_signal_gets_it_once(new_service, signals, clock):
    """
    Celery sets its own after a service has started, and stops at the first signal; it is not told again and again.
    """
    got = []
    service = new_service(TWELVEFACTOR_GRACE_PERIOD="1s")
    service.start()
    service.ready()
    signals.handlers[signal.SIGTERM] = lambda signum, frame: got.append(signum)
    os.write(signals.wakeup, bytes((signal.SIGTERM,)))  # as the interpreter's own handler does
    signals.deliver()

    assert service._shutdown.let_go.wait(SOON)
    clock.advance(3600.0)
    assert signals.over.wait(SOON)  # nobody ended it in time: the deadline still holds
    assert got == [signal.SIGTERM]


def test_who_put_a_handler_over_ours_and_passes_the_signal_on_is_waited_for(service, server, signals):
    """
    A handler that calls the one that it found is between the kernel and us: it has the signal once more, at the end.
    """
    got = []
    service.start()
    service.ready()
    ours = signals.handlers[signal.SIGTERM]

    def between(signum, frame):
        got.append(signum)
        ours(signum, frame)

    signals.handlers[signal.SIGTERM] = between
    signals.deliver()

    assert server.told.wait(SOON)
    assert len(got) == 2
