"""Shutdown hooks: last in first out, each by itself."""

import asyncio
import os
import threading

import pytest

from tests.disposability.conftest import SOON


@pytest.fixture
def calls():
    return []


@pytest.fixture(params=["from a thread", "on the event loop"])
def finish(request, service):
    """Finishes the service, in both ways."""
    if request.param == "from a thread":
        return service.close
    return lambda: asyncio.run(service.aclose())


def test_the_last_one_in_is_the_first_one_out(service, finish, calls):
    """
    Hooks run in the reverse order of their registration, sync and async alike.
    """

    @service.on_shutdown
    def first():
        calls.append("first")

    @service.on_shutdown
    async def second():
        calls.append("second")

    @service.on_shutdown(limit=SOON)
    def third():
        calls.append("third")

    service.start()
    finish()

    assert calls == ["third", "second", "first"]


@pytest.mark.parametrize("fault", [RuntimeError("no"), SystemExit(3), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_hook_that_raises_or_exits_is_named_and_keeps_no_other_from_running(
    service, finish, calls, said, fault, asynchronous
):
    """
    What a hook raises, even to exit, is one event with its name.
    """
    service.on_shutdown(lambda: calls.append("other"))

    def breaks():
        raise fault

    async def breaks_too():
        raise fault

    service.on_shutdown(breaks_too if asynchronous else breaks)
    service.start()
    finish()

    assert calls == ["other"]
    failed = said.one("hook.failed")
    assert "breaks" in failed["hook"]
    assert type(fault).__name__ in str(failed)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_hook_that_hangs_is_given_up_at_its_limit(service, finish, calls, said, asynchronous):
    """
    A hook has its own limit; what comes after it still runs.
    """
    held = threading.Event()
    service.on_shutdown(lambda: calls.append("other"))

    def hangs():
        held.wait(SOON)

    async def hangs_too():
        await asyncio.Event().wait()

    service.on_shutdown(hangs_too if asynchronous else hangs, limit=0.05)
    service.start()
    finish()
    held.set()

    assert calls == ["other"]
    timed_out = said.one("hook.timeout")
    assert "hangs" in timed_out["hook"]
    assert timed_out["limit"] == 0.05


def test_a_hook_that_ignores_cancellation_is_given_up_too(service, calls, said):
    """
    On the event loop a hook that swallows its cancellation ends when it likes, and is told as timed out.
    """

    @service.on_shutdown(limit=0.05)
    async def stubborn():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            calls.append("cancelled")

    service.start()
    asyncio.run(service.aclose())

    assert calls == ["cancelled"]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # what the test is about
def test_a_hook_that_forks_stays_one_process(service, said):
    """
    The child of a hook that forks and exits stops nothing of the parent.
    """
    statuses = []

    @service.on_shutdown
    def forks():
        child = os.fork()
        if child == 0:
            os._exit(7)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    service.start()
    service.close()

    assert statuses == [7]
    assert said.names().count("stopped") == 1


def test_a_hook_runs_when_the_work_is_over_and_before_resources_close(service, finish, calls):
    """
    The order is work, hooks, resources.
    """

    class Resources:
        def close(self):
            calls.append("resources")

        async def aclose(self):
            calls.append("resources")

    service._shutdown.resources = Resources()
    service.on_shutdown(lambda: calls.append(f"hook, {len(service.in_flight)} in flight"))
    service.start()
    with service.work("job", "send"):
        pass
    finish()

    assert calls == ["hook, 0 in flight", "resources"]


def test_a_resource_that_cannot_close_is_told_and_the_process_stops(service, finish, said):
    """
    A fault while resources close is one event; the process still becomes stopped.
    """

    class Resources:
        def close(self):
            raise RuntimeError("broken")

        async def aclose(self):
            raise RuntimeError("broken")

    service._shutdown.resources = Resources()
    service.start()
    finish()

    assert said.one("fault", fault_in="closing resources")["exception_message"] == "broken"
    assert "stopped" in said.names()  # what a sensor's last look finds is told after it


def test_the_budget_bounds_every_hook(new_service, clock, said):
    """
    Where the grace period is over, a hook gets no time at all, whatever its own limit.
    """
    service = new_service(TWELVEFACTOR_GRACE_PERIOD="10s")
    held = threading.Event()
    service.on_shutdown(lambda: held.wait(SOON), limit=60)
    service.start()
    service._shutdown.drain()
    clock.advance(11)
    service.close()
    held.set()

    assert said.one("hook.timeout")["seconds"] < SOON / 2
