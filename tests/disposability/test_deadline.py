"""The hard deadline: the process ends by itself before the platform kills it."""

import threading
from signal import SIGTERM

import pytest

from tests.disposability.conftest import SOON, eventually
from twelvefactor._core.clock import SYSTEM_CLOCK


@pytest.fixture
def clock():
    """Deadlines are real here, and short."""
    return SYSTEM_CLOCK


@pytest.fixture
def service(new_service, signals):
    signals.handlers[SIGTERM] = lambda *_: None  # a server that never stops
    return new_service(TWELVEFACTOR_GRACE_PERIOD="300ms")


def test_a_server_that_never_finishes_is_finished_for(service, signals, said):
    """
    Work is cut, hooks run, and the process is ended when the grace period is over, as if SIGTERM had done it.
    """
    ran = threading.Event()
    service.on_shutdown(ran.set)
    service.start()
    service.ready()
    work = service.work("request", "/stuck")
    work.begin()
    signals.deliver()

    assert signals.over.wait(SOON)
    assert signals.ended == 143
    assert ran.wait(SOON)  # the hook's thread may be behind the one that ends the process
    assert [finding.culprit for finding in service.findings.of("TF903")] == ["request /stuck"]
    assert said.one("deadline")
    work.end()


def test_a_server_that_finishes_in_time_is_left_alone(new_service, signals):
    """
    Where the service was closed, nobody waits for the deadline any more, and nobody ends the process.
    """
    signals.handlers[SIGTERM] = lambda *_: None
    service = new_service(TWELVEFACTOR_GRACE_PERIOD="60s")
    service.start()
    service.ready()
    before = set(threading.enumerate())
    signals.deliver()
    assert eventually(service.stopping.is_set)
    (waits,) = [each for each in set(threading.enumerate()) - before if each.name == "twelvefactor drain"]
    service.close()
    waits.join(SOON)

    assert not waits.is_alive()
    assert not signals.over.is_set()


def test_what_breaks_at_the_deadline_does_not_keep_the_process(service, signals, said):
    """
    A fault of our own while the service finishes is told, and the process ends all the same.
    """
    service._shutdown.resources = object()  # cannot even be closed
    service.start()
    service.ready()
    work = service.work("request", "/stuck")
    work.begin()
    signals.deliver()

    assert signals.over.wait(SOON)
    assert said.one("fault", fault_in="finish")
    service._shutdown.resources = None
    work.end()


def test_evidence_is_written_before_the_process_is_ended(new_service, signals, tmp_path):
    """
    What was cut is in the evidence file.
    """
    signals.handlers[SIGTERM] = lambda *_: None
    service = new_service(TWELVEFACTOR_GRACE_PERIOD="200ms", TWELVEFACTOR_EVIDENCE=str(tmp_path / "evidence.json"))
    service.start()
    service.ready()
    work = service.work("job", "stuck")
    work.begin()
    signals.deliver()

    assert signals.over.wait(SOON)
    assert "job stuck" in (tmp_path / "evidence.json").read_text()
    work.end()
