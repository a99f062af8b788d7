"""What is said within a unit of work carries its ids, wherever it is said, and nothing after it does."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from twelvefactor.work import InFlight, current_work

HANDS = InFlight()


@pytest.fixture
def installed(stream):
    stream.install()
    yield stream
    stream.uninstall()


def ids(out):
    return [(each["event"], each.get("work_id")) for each in out.events]


def test_the_ids_are_bound_and_restored(log, out):
    """
    Nested work wins while it is open; the outer comes back; none is left.
    """
    with HANDS.work("request", "r", "w-1"):
        with HANDS.work("job", "j", "w-2"):
            log.info("inner")
        log.info("outer")
    log.info("none")

    assert ids(out) == [("inner", "w-2"), ("outer", "w-1"), ("none", None)]


def test_what_is_bound_to_the_work_is_on_each_line(log, out):
    """
    Fields in the work's context are shown, and hidden, as any others.
    """
    with HANDS.work("request", "r", "w-1") as work:
        work.context |= {"user": "ann", "token": "t", "tags": {"a"}}
        log.info("x")
        log.info("y", user="bob")

    first, second = out.events
    assert (first["user"], first["token"], first["tags"]) == ("ann", "********", ["a"])
    assert second["user"] == "bob"


def test_tasks_and_to_thread_carry_the_ids(log, out):
    """
    Concurrent requests on one loop never see each other's ids.
    """

    async def serve(number):
        async with HANDS.work("request", "r", f"w-{number}"):
            await asyncio.sleep(0)
            await asyncio.gather(asyncio.to_thread(log.info, f"{number}"), say(number))
            log.info(f"{number}")

    async def say(number):
        await asyncio.sleep(0)
        log.info(f"{number}")

    async def main():
        await asyncio.gather(*(serve(number) for number in range(20)))
        log.info("none")

    asyncio.run(main())

    assert all(work == (None if event == "none" else f"w-{event}") for event, work in ids(out))
    assert len(out.events) == 61


def test_async_methods_carry_the_ids(log, out):
    """
    `await log.ainfo(...)` is told in a thread, with the ids of its caller.
    """

    async def main():
        async with HANDS.work("request", "r", "w-1"):
            await log.ainfo("x")

    asyncio.run(main())

    assert ids(out) == [("x", "w-1")]


def test_executors_carry_the_ids(installed, log, out):
    """
    What is submitted belongs to whoever submits it, also in a pool whose threads were born in somebody's work.
    """
    with ThreadPoolExecutor(1) as pool:
        with HANDS.work("request", "r", "w-1"):
            pool.submit(log.info, "first").result()
        with HANDS.work("request", "r", "w-2"):
            pool.submit(log.info, "second").result()
            list(pool.map(log.info, ["third"]))
        pool.submit(log.info, "none").result()

    assert ids(out) == [("first", "w-1"), ("second", "w-2"), ("third", "w-2"), ("none", None)]


def test_run_in_executor_carries_the_ids(installed, log, out):
    """
    asyncio itself does not do that.
    """

    async def main():
        async with HANDS.work("request", "r", "w-1"):
            await asyncio.get_running_loop().run_in_executor(None, log.info, "x")
        await asyncio.get_running_loop().run_in_executor(None, log.info, "y")

    asyncio.run(main())

    assert ids(out) == [("x", "w-1"), ("y", None)]


def test_threads_carry_the_ids_until_the_work_ends(installed, log, out):
    """
    A thread that lives on, as a library's own may, does not speak for a request that is over.
    """
    go, said = threading.Event(), threading.Event()

    def live():
        log.info("during")
        said.set()
        assert go.wait(10)
        log.info("after")

    with HANDS.work("request", "r", "w-1"):
        thread = threading.Thread(target=live)
        thread.start()
        assert said.wait(10)
    go.set()
    thread.join()

    assert ids(out) == [("during", "w-1"), ("after", None)]


def test_what_was_submitted_keeps_its_ids_after_the_work(installed, log, out):
    """
    As a task does: it is this request's doing, in whomever's thread it runs.
    """
    go = threading.Event()

    def late():
        assert go.wait(10)
        log.info("late")

    with ThreadPoolExecutor(1) as pool:
        with HANDS.work("request", "r", "w-1"):
            pool.submit(log.info, "first").result()
        with HANDS.work("request", "r", "w-2"):
            future = pool.submit(late)
        go.set()
        future.result()

    assert ids(out) == [("first", "w-1"), ("late", "w-2")]


def test_subclasses_of_thread_and_their_faults_are_theirs(installed, log, out):
    """
    A thread class with a `run` of its own is run as ever, and only once.
    """

    class Own(threading.Thread):
        def run(self):
            assert current_work().id == "w-1"
            log.info("own")

    with HANDS.work("request", "r", "w-1"):
        thread = Own()
        thread.start()
        thread.join()

    assert ids(out) == [("own", "w-1")]
    assert "run" not in vars(thread)


def test_a_task_that_outlives_its_work_keeps_its_ids(log, out):
    """
    A background task of a request is told apart by them.
    """

    async def later(event):
        await event.wait()
        log.info("later")

    async def main():
        event = asyncio.Event()
        async with HANDS.work("request", "r", "w-1"):
            task = asyncio.create_task(later(event))
            await asyncio.sleep(0)
        event.set()
        await task

    asyncio.run(main())

    assert ids(out) == [("later", "w-1")]


def test_nothing_is_carried_after_uninstall(stream, log, out):
    """
    Executors are Python's own again.
    """
    stream.install()
    stream.uninstall()

    with HANDS.work("request", "r", "w-1"), ThreadPoolExecutor(1) as pool:
        pool.submit(log.info, "x").result()

    assert ids(out) == [("x", None)]
