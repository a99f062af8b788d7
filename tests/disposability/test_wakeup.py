"""The descriptor in front of a loop's own."""

import os
import signal
import socket

import pytest

from tests.disposability.conftest import SOON, eventually
from twelvefactor._core.signals import ProcessSignals
from twelvefactor.disposability.sigterm import is_a_loops
from twelvefactor.disposability.wakeup import Wakeup


@pytest.fixture
def loops():
    """A loop's wakeup descriptor: written to by us, read by the test."""
    reader, writer = socket.socketpair()
    reader.settimeout(SOON)
    with reader, writer:
        yield reader, writer


@pytest.fixture
def wakeup(signals):
    made = Wakeup(signals, lambda signum: signum == signal.SIGTERM)
    yield made
    made.remove()


def test_bytes_are_passed_on_but_for_those_that_are_kept(signals, wakeup, loops):
    """
    What the C handler writes reaches the loop, without SIGTERM.
    """
    reader, writer = loops
    signals.wakeup = writer.fileno()
    wakeup.install()
    os.write(signals.wakeup, bytes((signal.SIGTERM, signal.SIGCHLD)))

    assert reader.recv(10) == bytes((signal.SIGCHLD,))


def test_it_goes_in_front_again_where_a_loop_took_its_place(signals, wakeup, loops):
    """
    A loop that sets its descriptor anew is stood in front of anew.
    """
    reader, writer = loops
    wakeup.install()
    ours = signals.wakeup
    signals.wakeup = writer.fileno()
    wakeup.install()
    os.write(signals.wakeup, bytes((signal.SIGUSR1,)))

    assert signals.wakeup == ours
    assert reader.recv(10) == bytes((signal.SIGUSR1,))


def test_remove_puts_back_what_was_there(signals, wakeup, loops):
    """
    Undone, the loop has its signals to itself, and no descriptor is left open.
    """
    _, writer = loops
    signals.wakeup = writer.fileno()
    wakeup.install()
    ours = signals.wakeup
    wakeup.remove()

    assert signals.wakeup == writer.fileno()
    assert eventually(lambda: not os.path.exists(f"/proc/self/fd/{ours}"))


def test_remove_leaves_who_stands_over_us(signals, wakeup, loops):
    """
    Somebody else's descriptor is not thrown away.
    """
    _, writer = loops
    wakeup.install()
    signals.wakeup = writer.fileno()
    wakeup.remove()

    assert signals.wakeup == writer.fileno()


def test_a_loop_that_has_gone_does_not_break_the_thread(signals, loops):
    """
    A byte that nobody takes is dropped, and the next one is still seen.
    """
    _, writer = loops
    seen = []
    wakeup = Wakeup(signals, lambda signum: bool(seen.append(signum)))
    signals.wakeup = writer.fileno()
    wakeup.install()
    writer.close()
    ours = signals.wakeup
    os.write(ours, bytes((signal.SIGUSR1,)))
    assert eventually(lambda: seen == [signal.SIGUSR1])
    os.write(ours, bytes((signal.SIGUSR2,)))

    assert eventually(lambda: seen == [signal.SIGUSR1, signal.SIGUSR2])
    wakeup.remove()


def test_remove_puts_nothing_back_where_the_loop_has_gone(wakeup, loops):
    """
    A descriptor that was closed meanwhile cannot be put back, and is not.
    """
    _, writer = loops
    writer.setblocking(False)
    wakeup._signals = ProcessSignals()
    before = signal.set_wakeup_fd(writer.fileno())
    wakeup.install()
    writer.close()
    wakeup.remove()

    assert signal.set_wakeup_fd(before) == -1


def test_who_owns_a_handler_is_told_by_its_module():
    """
    asyncio's and uvloop's handlers are a loop's; a server's, the default and a function are not.
    """
    from asyncio import unix_events

    def servers(signum, frame):
        pass

    assert is_a_loops(unix_events._sighandler_noop)
    assert not is_a_loops(servers)
    assert not is_a_loops(signal.SIG_DFL)
    assert not is_a_loops(None)
