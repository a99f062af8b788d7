"""The word that the process stops, for threads and tasks."""

import asyncio
import threading

from tests.disposability.conftest import SOON
from twelvefactor.disposability.stopping import Stopping


def test_a_waiting_thread_is_woken():
    """
    `wait` returns True once it is set.
    """
    stopping, woken = Stopping(), []
    thread = threading.Thread(target=lambda: woken.append(stopping.wait(SOON)))
    thread.start()
    stopping.set()
    thread.join(SOON)

    assert woken == [True]


def test_a_waiting_task_is_woken_from_another_thread():
    """
    `wait_async` returns True when a thread sets it.
    """
    stopping = Stopping()

    async def wait():
        waiting = asyncio.ensure_future(stopping.wait_async(SOON))
        await asyncio.sleep(0)
        threading.Thread(target=stopping.set).start()
        return await waiting

    assert asyncio.run(wait()) is True


def test_waiting_ends_at_its_timeout():
    """
    Nobody waits longer than was asked.
    """
    stopping = Stopping()

    assert stopping.wait(0.001) is False
    assert asyncio.run(stopping.wait_async(0.001)) is False


def test_a_waiter_whose_loop_has_gone_is_passed_over():
    """
    A loop that ended without its waiter does not break the stop.
    """
    stopping = Stopping()
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(stopping.wait_async())
    loop.run_until_complete(asyncio.sleep(0))
    stopping._waiters, kept = set(), stopping._waiters
    waiting.cancel()
    loop.run_until_complete(asyncio.gather(waiting, return_exceptions=True))
    loop.close()
    stopping._waiters = set(kept)
    stopping.set()

    assert stopping.is_set()
