"""Work in flight: finished, or cut and named."""

import asyncio
import contextvars
import os
import threading
from signal import SIGTERM

import pytest

from tests.disposability.conftest import SOON, eventually
from twelvefactor.disposability.rules import TF903
from twelvefactor.factor import Verdict


def test_finish_waits_for_the_work_in_flight(service):
    """
    Hooks run when the last unit of work is over.
    """
    order = []
    service.on_shutdown(lambda: order.append("hook"))
    service.start()
    service.ready()
    work = service.work("job", "send")
    work.begin()
    finishing = threading.Thread(target=service.finish)
    finishing.start()

    assert eventually(service.stopping.is_set)
    assert order == []

    order.append("work")
    work.end()
    finishing.join(SOON)

    assert order == ["work", "hook"]


def test_work_that_is_over_in_time_passes(service):
    """
    A stop in which everything ended in time decides TF903.
    """
    service.start()
    service.ready()
    with service.work("job", "send"):
        pass
    service.finish()

    assert service.evidence.ruling(TF903).verdict is Verdict.PASS


def test_work_whose_time_is_over_is_cut_and_named(service, clock, said):
    """
    TF903 names each unit that still ran, by kind, name and id.
    """
    cut = []
    service.cutters.append(cut.append)
    service.start()
    service.ready()
    work = service.work("job", "export")
    work.begin()
    service._shutdown.drain()
    clock.advance(service.budget.grace)
    service.finish()

    assert cut == [work]
    (finding,) = service.findings.of("TF903")
    assert finding.culprit == "job export"
    assert finding.work == work.id
    assert said.one("finding", rule="TF903")["culprit"] == "job export"
    work.end()


def test_the_deadline_cuts_what_nobody_finishes(new_service, signals):
    """
    Where the server never finishes, the work is cut all the same when its time is over.
    """
    signals.handlers[SIGTERM] = lambda *_: None
    service = new_service(TWELVEFACTOR_GRACE_PERIOD="100ms")
    cut = threading.Event()
    service.cutters.append(lambda work: cut.set())
    service.start()
    service.ready()
    work = service.work("request", "/slow")
    work.begin()
    signals.deliver()

    assert cut.wait(SOON)
    work.end()


def test_a_task_that_ignores_its_cancellation_does_not_hold_the_stop(new_service, clock, said):
    """
    After the cut, the stop goes on whatever the work does.
    """
    service = new_service(TWELVEFACTOR_GRACE_PERIOD="1s")

    async def life():
        service.start()
        await service.aready()
        work = service.work("request", "/stubborn")
        work.begin()
        service._shutdown.drain()
        clock.advance(2)
        await service.aclose()
        work.end()

    asyncio.run(asyncio.wait_for(life(), SOON))

    assert "stopped" in said.names()  # what a sensor's last look finds is told after it
    assert [finding.culprit for finding in service.findings.of("TF903")] == ["request /stubborn"]


def test_a_cutter_that_breaks_does_not_save_the_next_work(service, clock, said):
    """
    Each unit of work is cut by itself.
    """
    service.cutters.append(lambda work: 1 / 0)
    service.start()
    service.ready()
    works = [service.work("job", name) for name in ("a", "b")]
    for work in works:
        work.begin()
    service._shutdown.drain()
    clock.advance(service.budget.grace)
    service.finish()

    assert {finding.culprit for finding in service.findings.of("TF903")} == {"job a", "job b"}
    for work in reversed(works):
        work.end()


def test_finish_is_idempotent(service, said):
    """
    Two who finish, one after the other or at once, run every hook once.
    """
    count = []
    service.on_shutdown(lambda: count.append(1))
    service.start()
    service.ready()
    threads = [threading.Thread(target=service.finish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    service.finish()
    asyncio.run(service.afinish())

    assert count == [1]
    assert said.names().count("stopped") == 1


def test_work_should_stop_once_the_process_stops(service):
    """
    A loop that watches `work.should_stop` is told, and so is who waits for `service.stopping`.
    """
    service.start()
    service.ready()
    with service.work("job", "loop") as work:
        assert not work.should_stop
        service._shutdown.drain()

        assert work.should_stop
        assert service.stopping.wait(0)
        assert asyncio.run(service.stopping.wait_async(0))


def test_a_second_life_in_one_process(service, signals, server, said):
    """
    A service that was closed starts anew, as a test client's does, and is told to stop anew.
    """
    service.start()
    service.ready()
    service.close()
    service.start()
    service.ready()

    assert service.readiness() == "ok"
    assert not service.stopping.is_set()

    signals.deliver()

    assert server.told.wait(SOON)
    assert said.names().count("draining") == 1


def test_each_life_has_its_own_hooks_run(service):
    """
    Hooks belong to the service, and run at the end of every life.
    """
    count = []
    service.on_shutdown(lambda: count.append(1))
    for _ in range(2):
        service.start()
        service.close()

    assert count == [1, 1]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # what the test is about
def test_a_forked_child_has_a_life_of_its_own(service, signals, server):
    """
    A child has none of its parent's work, is not started, and starts with its first unit of work.
    """
    service.start()
    service.ready()
    read, write = os.pipe()
    with service.work("request", "/fork"):
        child = os.fork()
        if child == 0:
            facts = f"{service.started} {len(service.in_flight)} {signals.handlers[15] == server.handle} "
            with service.work("job", "child"):
                facts += f"{service.started} {service.lifecycle.state.word}"
            os.write(write, facts.encode())
            os._exit(0)
    os.waitpid(child, 0)

    assert os.read(read, 100).decode() == "False 0 True True ready"
    assert service.started
    os.close(read)
    os.close(write)


def test_a_signal_during_a_drain_that_began_by_hand_reaches_the_server(service, server, signals):
    """
    A drain may begin without a signal; the signal that comes then still stops the server.
    """
    service.start()
    service.ready()
    service._shutdown.drain()
    signals.deliver()

    assert server.told.wait(SOON)


def test_ready_hooks_run_before_readiness(service):
    """
    What must be done before the first request is done while the process is not ready.
    """
    seen = []
    service.on_ready(lambda: seen.append(service.readiness()))
    service.start()
    service.ready()

    assert seen == ["starting"]
    assert service.readiness() == "ok"


def test_a_ready_hook_that_raises_stops_the_start(service):
    """
    A process that cannot be ready does not say that it is.
    """
    service.on_ready(lambda: 1 / 0)
    service.start()

    with pytest.raises(ZeroDivisionError):
        service.ready()
    assert service.readiness() == "starting"


def test_work_that_begins_while_other_work_ends_is_waited_for_where_no_server_does(service, signals):
    """
    A request read from a kept connection meanwhile: the process does not leave under it.
    """
    service.start()
    service.ready()
    first, second = service.work("request", "/first"), service.work("request", "/second")
    first.begin()
    signals.deliver(SIGTERM)
    assert eventually(service.stopping.is_set)
    contextvars.copy_context().run(second.begin)  # as in a thread of its own
    first.end()
    assert not signals.raised.wait(0.2)

    second.end()

    assert signals.raised.wait(SOON)
