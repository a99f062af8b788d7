"""sd_notify: what the service manager is told."""

import asyncio
import contextlib
import socket
import threading

import pytest

from tests.disposability.conftest import SOON
from twelvefactor.disposability.notify import Notifier


@pytest.fixture(params=["a path", "an abstract name"])
def manager(request, tmp_path):
    name = str(tmp_path / "notify") if request.param == "a path" else f"@twelvefactor-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(name.replace("@", "\0", 1))

        def told(within=SOON):
            channel.settimeout(within)
            return channel.recv(1000).decode().split("\n")

        yield name, told


def test_ready_and_stopping_are_told(new_service, manager):
    """
    A service says when it serves, and when it stops with how long that may take.
    """
    name, told = manager
    service = new_service(NOTIFY_SOCKET=name, TWELVEFACTOR_GRACE_PERIOD="20s")
    service.start()
    service.ready()
    assert told()[0] == "READY=1"

    service._shutdown.drain()

    assert told()[:2] == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=20000000"]


def test_the_watchdog_hears_that_the_process_is_alive(manager):
    """
    More often than it wants, until the process closes.
    """
    name, told = manager
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000"})
    notifier.ready()
    assert told()[0] == "READY=1"

    assert told() == ["WATCHDOG=1"]
    notifier.close()


def test_the_watchdog_hears_nothing_while_a_workers_own_loop_is_stuck(new_service, manager):
    """
    A loop that says itself that it turns, and does not.
    """
    name, told = manager
    service = new_service(NOTIFY_SOCKET=name, WATCHDOG_USEC="60000")
    notifier = service._shutdown.notifier
    service.beat(within=0)
    notifier.ready()
    assert told()[0] == "READY=1"
    with pytest.raises(TimeoutError):
        told(0.3)  # five times what the watchdog waits

    service.beat(within=60)
    assert told() == ["WATCHDOG=1"]
    notifier.close()


def test_the_watchdog_hears_nothing_while_the_loop_is_stuck(manager):
    """
    A thread of ours that runs on proves nothing about the loop; when it turns again, so does the watchdog hear again.
    """
    name, told = manager
    loop, stuck, free = asyncio.new_event_loop(), threading.Event(), threading.Event()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "60000"})
    notifier.watch(loop)
    notifier.ready()
    assert [told()[0], told()[0]] == ["READY=1", "WATCHDOG=1"]

    loop.call_soon_threadsafe(lambda: (stuck.set(), free.wait(SOON)))
    assert stuck.wait(SOON)
    with contextlib.suppress(BlockingIOError):
        while told(0):  # what was said before lies there still
            pass
    heard = 0
    with contextlib.suppress(TimeoutError):
        while heard < 3:  # what was asked for before may still be said
            told(0.3)  # five times what the watchdog waits
            heard += 1
    free.set()

    assert heard < 3
    assert told() == ["WATCHDOG=1"]
    notifier.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(SOON)
    loop.close()


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nowhere/at/all"}, {"NOTIFY_SOCKET": "relative"}])
def test_nobody_who_listens_is_no_fault(environ):
    """
    Without a manager, or with one that has gone, nothing is raised.
    """
    notifier = Notifier(environ)
    notifier.ready()
    notifier.stopping(1)

    assert not notifier.say("READY=1")
