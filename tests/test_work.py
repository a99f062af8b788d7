"""A unit of work and the hands that hold it."""

import asyncio
import contextvars
import threading

import pytest

from twelvefactor.exceptions import WorkError
from twelvefactor.work import InFlight, current_work


class Clock:
    """Time that moves when told to."""

    now = 100.0

    def time(self):
        return self.now

    def monotonic(self):
        return self.now


@pytest.fixture
def hands():
    return InFlight(Clock())


def test_inside_it_is_the_current_work_and_outside_it_is_not(hands):
    """
    The context is restored.
    """
    with hands.work("job", "send_receipt") as work:
        assert current_work() is work

    assert current_work() is None


def test_nested_work_gives_the_outer_back(hands):
    """
    A job run inside a request does not end the request's context.
    """
    with hands.work("request", "/") as outer:
        with hands.work("job", "x"):
            pass
        assert current_work() is outer


def test_it_serves_async_code_too(hands):
    """
    `async with` is the same thing.
    """

    async def job():
        async with hands.work("job", "x") as work:
            await asyncio.sleep(0)
            return current_work() is work

    assert asyncio.run(job())


def test_it_is_in_flight_while_it_is_open(hands):
    """
    Also when it ends with an exception.
    """
    open_inside = []

    def broken():
        with hands.work("job", "x"):
            open_inside.append(len(hands))
            raise ValueError

    with pytest.raises(ValueError):
        broken()

    assert open_inside == [1]
    assert hands.idle


@pytest.mark.parametrize(
    ("error", "outcome"), [(None, "ok"), (ValueError(), "error"), (asyncio.CancelledError(), "cancelled")]
)
def test_its_outcome_tells_how_it_ended(hands, error, outcome):
    """
    Cancelled is not an error of the app.
    """
    work = hands.work("job", "x")
    work.begin()

    work.end(error)

    assert work.outcome == outcome


def test_its_duration_is_measured_on_the_clock(hands):
    """
    Monotonic seconds.
    """
    with hands.work("job", "x") as work:
        hands.clock.now += 2.5

    assert work.duration == 2.5


def test_entering_it_twice_is_an_error(hands):
    """
    The token lives on it.
    """
    work = hands.work("job", "x")
    with work, pytest.raises(WorkError, match="entered before"):
        work.begin()
    with pytest.raises(WorkError, match="entered before"):
        work.begin()


def test_closing_it_in_another_context_still_counts_it_down(hands):
    """
    As the finaliser of a generator does.
    """
    work = hands.work("request", "/")
    contextvars.copy_context().run(work.begin)

    work.end()

    assert hands.idle


def test_a_task_that_outlives_it_sees_it_closed(hands):
    """
    A stray task still has the id, and can tell.
    """

    async def main():
        async def stray():
            await ended.wait()
            return current_work()

        ended = asyncio.Event()
        with hands.work("request", "/") as work:
            task = asyncio.create_task(stray())
        ended.set()
        return await task, work

    seen, work = asyncio.run(main())
    assert seen is work
    assert seen.closed


def test_a_new_thread_starts_without_it(hands):
    """
    The context is not inherited by threads; `asyncio.to_thread` carries it.
    """
    seen = []
    with hands.work("request", "/"):
        thread = threading.Thread(target=lambda: seen.append(current_work()))
        thread.start()
        thread.join()

    assert seen == [None]


class Watching:
    """An observer that keeps what it was told."""

    def __init__(self, fault=None):
        self.told = []
        self.fault = fault

    def begin(self, work):
        self.told.append(("begin", current_work() is work))
        if self.fault:
            raise self.fault

    def end(self, work):
        self.told.append(("end", work.outcome))


def test_observers_are_told_inside_its_context(hands):
    """
    Begin and end, in this order.
    """
    watching = Watching()
    hands.observe(watching)
    hands.observe(watching)

    with hands.work("job", "x"):
        pass

    assert watching.told == [("begin", True), ("end", "ok")]


def test_an_observers_fault_is_reported_and_the_work_goes_on(hands):
    """
    The library never takes work down.
    """
    faults = []
    hands.on_fault = lambda where, error: faults.append(error)
    broken, fault = Watching(RuntimeError("ours")), None
    hands.observe(broken)

    with hands.work("job", "x") as work:
        fault = broken.fault

    assert faults == [fault]
    assert work.outcome == "ok"
    assert hands.idle


def test_an_observer_can_leave(hands):
    """
    `unobserve` undoes `observe`.
    """
    watching = Watching()
    hands.observe(watching)
    hands.unobserve(watching)

    with hands.work("job", "x"):
        pass

    assert watching.told == []


def test_waiting_for_idle_hands_ends_when_the_last_work_does(hands):
    """
    Across threads, without polling.
    """
    work = hands.work("job", "x")
    contextvars.copy_context().run(work.begin)  # and not in that of the next test
    assert not hands.wait_idle(0)

    ended = threading.Thread(target=work.end)
    ended.start()

    assert hands.wait_idle(10)
    ended.join()


def test_its_deadline_and_the_end_of_the_process_tell_it_to_stop():
    """
    `should_stop` is one question for both.
    """
    stopping = []
    hands = InFlight(Clock(), lambda: bool(stopping))
    work = hands.work("job", "x", deadline=105.0)

    assert not work.should_stop
    hands.clock.now = 105.0
    assert work.should_stop
    assert not hands.work("job", "y").should_stop
    stopping.append(True)
    assert hands.work("job", "y").should_stop


def test_what_events_say_inside_it_carries_its_ids(hands):
    """
    Request and trace only where there is one.
    """
    assert hands.work("job", "x", "7").context == {"work_id": "7"}
    context = hands.work("job", "x", "7", request_id="r", trace_id="t", span_id="s").context
    assert context == {"work_id": "7", "request_id": "r", "trace_id": "t", "span_id": "s"}


def test_many_threads_leave_idle_hands(hands):
    """
    Counting is thread-safe.
    """

    def jobs():
        for _ in range(200):
            with hands.work("job", "x"):
                pass

    threads = [threading.Thread(target=jobs) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert hands.idle
