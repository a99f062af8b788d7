"""Waiting in threads and coroutines: pauses with jitter, threads that hold up nobody's end."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from twelvefactor._core import threads

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


def pauses() -> Iterator[float]:
    """Exponential with full jitter, so that a fleet does not knock in step."""
    longest = _FIRST_PAUSE
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311 - jitter
        longest = min(longest * 2, _LONGEST_PAUSE)


def thread(target: Callable[..., Any], *args: Any) -> threading.Thread:
    """
    *target* in a daemon thread, started.

    Raises:
        RuntimeError: The interpreter is shutting down (Python 3.12 on).
    """
    return threads.start(target, *args, name=f"twelvefactor-{target.__name__.strip('_')}")


async def awaited(call: Callable[..., Any], *args: Any) -> Any:
    """*call* in a daemon thread of its own: one that hangs must not hold up the loop's end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def run() -> None:
        result, failed = None, None
        try:
            result = call(*args)
        except BaseException as error:  # noqa: BLE001 - handed to the waiting coroutine
            failed = error
        try:
            loop.call_soon_threadsafe(settle, result, failed)
        except RuntimeError:
            pass  # the loop is closed: nobody waits

    thread(run)
    return await done


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop of this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def is_elsewhere(loop: asyncio.AbstractEventLoop | None) -> bool:
    """Whether *loop* runs, in another thread than this one."""
    return loop is not None and loop.is_running() and running_loop() is not loop
