"""Tasks that requests leave behind: finished within the budget, or cut and named."""

import asyncio
import sys
import threading

import pytest

from tests.disposability.conftest import SOON, eventually


def run(life):
    return asyncio.run(asyncio.wait_for(life, SOON))


async def begin(service):
    service.start()
    await service.aready()
    service.serves()


async def spawn_in_work(service, coroutine):
    with service.work("request", "/spawn"):
        return asyncio.create_task(coroutine)


def test_a_spawned_task_is_waited_for_before_hooks_run(service):
    """
    Nobody else waits for `asyncio.create_task`; hooks and resources come after it.
    """
    order = []
    service.on_shutdown(lambda: order.append("hook"))

    async def later(go):
        await go.wait()
        order.append("task")

    async def life():
        await begin(service)
        go = asyncio.Event()
        await spawn_in_work(service, later(go))
        closing = asyncio.create_task(service.aclose())
        await asyncio.sleep(0.02)
        assert order == []
        go.set()
        await closing

    run(life())

    assert order == ["task", "hook"]


def test_a_task_that_a_spawned_task_spawned_is_waited_for(service):
    """
    Work that goes on in steps is over when its last step is.
    """
    done = []

    async def step(left):
        if left:
            asyncio.create_task(step(left - 1))
        else:
            done.append("last")

    async def life():
        await begin(service)
        await spawn_in_work(service, step(3))
        await service.aclose()

    run(life())

    assert done == ["last"]


def test_a_spawned_task_whose_time_is_over_is_cut_and_named(new_service):
    """
    TF903 names the coroutine.
    """
    service = new_service(TWELVEFACTOR_GRACE_PERIOD="100ms")

    async def endless():
        await asyncio.Event().wait()

    async def life():
        service.clock = asyncio.get_running_loop()  # real time: the wait for a task is the loop's
        service.clock.monotonic = service.clock.time
        await begin(service)
        task = await spawn_in_work(service, endless())
        await service.aclose()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(life())

    (finding,) = service.findings.of("TF903")
    assert "endless" in finding.culprit


def test_a_task_that_start_up_began_is_not_waited_for(service):
    """
    A consumer that the app begins and ends itself is no work's.
    """

    async def consume():
        await asyncio.Event().wait()

    async def life():
        service.start()
        consumer = asyncio.create_task(consume())
        await service.aready()
        service.serves()
        await service.aclose()
        assert not consumer.done()
        consumer.cancel()

    run(life())

    assert not service.findings.of("TF903")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a task's context can be read from Python 3.12 on")
def test_a_task_that_no_work_spawned_is_not_waited_for(service):
    """
    What begins later, outside any unit of work, is not waited for either.
    """

    async def life():
        await begin(service)
        other = asyncio.create_task(asyncio.Event().wait())
        await service.aclose()
        assert not other.done()
        other.cancel()

    run(life())


@pytest.mark.parametrize("daemon", [True, False])
def test_a_thread_that_work_began_is_waited_for(service, daemon):
    """
    What a request does in a thread of its own ends before hooks run; in a server's thread it is a daemon by itself.
    """
    order = []
    service.on_shutdown(lambda: order.append("hook"))
    began, go = threading.Event(), threading.Event()

    def later():
        began.set()
        go.wait(SOON)
        order.append("thread")

    service.start()
    service.ready()
    with service.work("request", "/"):
        threading.Thread(target=later, daemon=daemon).start()
    assert began.wait(SOON)
    closing = threading.Thread(target=service.close)
    closing.start()
    assert eventually(service.stopping.is_set)
    assert order == []
    go.set()
    closing.join(SOON)

    assert order == ["thread", "hook"]


def test_a_thread_that_start_up_began_is_not_waited_for(service):
    """
    A consumer's thread ends by a hook, or with the process.
    """
    go = threading.Event()

    @service.on_ready
    def begin_consumer():
        threading.Thread(target=go.wait, args=(SOON,), daemon=True).start()

    threading.Thread(target=lambda: go.wait(SOON), daemon=True).start()
    service.start()
    service.ready()
    service.close()
    go.set()

    assert service.lifecycle.state.word == "stopped"


def test_a_librarys_task_is_not_waited_for_long(service, monkeypatch):
    """
    A reader that a driver began in a request may never end, and does not hold every stop for the whole budget.
    """
    monkeypatch.setattr("twelvefactor.disposability.shutdown._LIBRARIES_MAY", 0.05)
    anyio = pytest.importorskip("anyio")

    async def life():
        await begin(service)
        task = await spawn_in_work(service, anyio.sleep_forever())
        await asyncio.sleep(0)
        await service.aclose()
        assert not task.done()
        task.cancel()

    run(life())

    assert not service.findings.of("TF903")


def test_whoever_waits_for_the_stop_with_a_bound_is_not_waited_for(service):
    """
    Before Python 3.12 `asyncio.wait_for` waits in a task of its own, whose context nobody can see.
    """

    async def life():
        await begin(service)
        stopped = asyncio.Event()
        waiting = asyncio.create_task(asyncio.wait_for(stopped.wait(), SOON))
        await asyncio.sleep(0)
        await service.aclose()
        stopped.set()
        await waiting

    run(life())

    assert service.findings.of("TF903") == ()


def test_a_thread_that_no_work_began_is_not_waited_for(service):
    """
    A refresher that somebody starts once the process is ready would hold every stop for the whole budget.
    """
    go = threading.Event()
    service.start()
    service.ready()
    threading.Thread(target=go.wait, args=(SOON,), daemon=True).start()

    service.close()
    go.set()

    assert [finding for finding in service.findings if finding.rule.id == "TF903"] == []
    assert service.lifecycle.state.word == "stopped"
