"""TF805: app code blocks the event loop."""

import asyncio
import functools
import hashlib
import socket
import sys
import threading
import time

import pytest

from twelvefactor.concurrency import TF805
from twelvefactor.concurrency.lag import LoopLag, Seen
from twelvefactor.factor import Verdict


@pytest.fixture
def serve(new_service):
    """Runs a coroutine function in a loop that serves; gives the service."""

    def run(act, factory=None):
        service = new_service()

        async def served():
            service.start()
            await service.aready()
            await act(service)
            await asyncio.sleep(0.15)
            await service.aclose()

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(served())
        return service

    return run


def wait_blocking(seen):
    """One wait after the other, until it was seen."""
    while not seen():
        threading.Event().wait(0.05)


def count(seen):
    """Work, until it was seen."""
    while not seen():
        hashlib.sha256(b"x" * 50_000).digest()


@pytest.mark.parametrize("block", [wait_blocking, count])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_it_fires_on_the_function_that_blocks(serve, block, loop):
    """
    It waits or it works; the sampled frame is the app's. For as long as a busy machine gives the watching thread no turn.
    """
    factory = pytest.importorskip("uvloop").new_event_loop if loop == "uvloop" else None

    async def act(service):
        ends = time.monotonic() + 20
        await asyncio.sleep(0.06)
        block(lambda: service.findings.of("TF805") or time.monotonic() > ends)

    service = serve(act, factory)

    (finding,) = service.findings.of("TF805")
    assert finding.culprit.endswith(f"test_tf805.{block.__name__}")
    assert finding.evidence["blocked_ms"] >= 100


def test_a_block_that_ends_before_it_is_judged_is_named_after_it(new_service):
    """
    A stall of a little more than 100 ms is over by the next look: the loop itself says how late it was.
    """
    service = new_service()
    lag = LoopLag(service)
    seen = Seen(1.0)
    lag._judge(seen, 0.11)
    assert service.findings.of("TF805") == ()
    seen.culprit = "app.quote", "app.py:7"
    lag._judge(seen, 0.09)
    assert service.findings.of("TF805") == ()
    lag._judge(seen, 0.11)
    lag._judge(seen, 0.2)
    (finding,) = service.findings.of("TF805")
    assert (finding.culprit, finding.where, finding.count) == ("app.quote", "app.py:7", 1)
    assert "for 110 ms or more" in finding.message


def test_it_is_quiet_on_waiting_and_on_threads(serve):
    """
    A coroutine that waits, and blocking work in a thread, leave the loop turning.
    """

    async def act(service):
        with service.work("request", "GET /"):
            await asyncio.sleep(0.3)
        await asyncio.to_thread(threading.Event().wait, 0.3)

    service = serve(act)

    assert service.evidence.ruling(TF805).verdict is Verdict.PASS, service.findings.of("TF805")


def test_it_is_quiet_where_the_lag_is_not_the_apps(serve):
    """
    What blocks is called by the loop itself: no frame of the app stands there but the one that runs the loop.
    """

    async def act(service):
        asyncio.get_running_loop().call_soon(threading.Event().wait, 0.4)
        await asyncio.sleep(0.1)

    service = serve(act)

    assert service.findings.of("TF805") == ()


def test_what_the_library_itself_blocks_is_not_the_apps(serve):
    """
    The app calls us, and it is we who take long: nobody of the app is to blame.
    """

    async def act(service):
        service.in_flight.now = functools.partial(threading.Event().wait, 0.4)
        with service.work("request", "GET /"):
            pass

    assert serve(act).findings.of("TF805") == ()


@pytest.mark.skipif(sys.version_info < (3, 13), reason="time.sleep is audited from 3.13 on; before, it is sampled")
def test_a_sleep_tells_how_long_it_is(serve):
    """
    `time.sleep` in the loop is heard at once, with the unit of work.
    """
    ids = []

    async def act(service):
        with service.work("request", "GET /") as work:
            ids.append(work.id)
            time.sleep(0.1)

    service = serve(act)

    (finding,) = service.findings.of("TF805")
    assert finding.work == ids[0]
    assert "in time.sleep for 100 ms" in finding.message


def test_a_short_sleep_is_not_told(new_service):
    """
    What it asks for counts, not how late a busy machine ends it.
    """
    service = new_service()
    lag = LoopLag(service)
    lag._ident = threading.get_ident()
    lag._sleeps(0.09)
    assert service.findings.of("TF805") == ()
    lag._sleeps(0.1)
    (finding,) = service.findings.of("TF805")
    assert finding.culprit.endswith("test_tf805.test_a_short_sleep_is_not_told")


def test_in_a_test_a_blocking_connection_counts_however_quick_it_was(serve):
    """
    As BlockBuster has it: a socket with a timeout blocks, one that the loop waits for does not.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()

        async def quiet(service):
            _, writer = await asyncio.open_connection(*address)
            writer.close()

        async def loud(service):
            connection = socket.socket()
            connection.settimeout(5)
            connection.connect(address)
            connection.close()

        assert serve(quiet).findings.of("TF805") == ()
        (finding,) = serve(loud).findings.of("TF805")

    assert "connects with a blocking socket" in finding.message


def test_it_does_not_apply_without_a_loop(new_service):
    """
    A WSGI process has none; where its first work runs in one after all, that one is watched.
    """
    service = new_service()
    service.start()
    service.ready()
    assert service.evidence.ruling(TF805).verdict is Verdict.NOT_APPLICABLE

    async def work():
        with service.work("job", "once"):
            pass

    asyncio.run(work())
    assert service.evidence.ruling(TF805).verdict is Verdict.PASS


def test_close_ends_the_thread_and_the_timer(serve):
    """
    Nothing is left in the process or in the loop.
    """

    watching = []

    async def act(service):
        watching.extend(each for each in threading.enumerate() if each.name == "twelvefactor loop")

    serve(act)

    (thread,) = watching
    thread.join(30)
    assert not thread.is_alive()
