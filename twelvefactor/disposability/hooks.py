"""What the app wants done at a moment of its life, each by itself."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twelvefactor._core import threads

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_LIMIT = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Hook:
    """A callable without arguments, sync or async, its name and how many seconds it may take."""

    run: Callable[[], Any]
    name: str
    limit: float

    @classmethod
    def of(cls, function: Callable[[], Any], limit: float = DEFAULT_LIMIT) -> Hook:
        """*function* under its own dotted name."""
        name = getattr(function, "__qualname__", None) or type(function).__qualname__
        return cls(function, f"{getattr(function, '__module__', '') or ''}.{name}".lstrip("."), limit)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a hook ended: ``error`` is None where all went well."""

    hook: Hook
    seconds: float
    error: BaseException | None = None

    @property
    def timed_out(self) -> bool:
        """Whether the hook was given up at its limit."""
        return isinstance(self.error, TimeoutError) and self.error.args == (_GAVE_UP,)


_GAVE_UP = "the hook's limit"


def run(hook: Hook, limit: float) -> Outcome:
    """
    Run *hook* from code without an event loop, for up to *limit* seconds; what it raises is its outcome.

    It runs in a thread of its own, the only way to give up on one that hangs. While the interpreter shuts down there
    are no new threads; it runs in this one then, without a limit but the platform's.
    """
    began = time.monotonic()
    ended: list[BaseException | None] = []

    def call() -> None:
        ended.append(_call(hook))

    try:
        thread = threads.start(contextvars.copy_context().run, call, name=f"twelvefactor {hook.name}")
    except RuntimeError:  # Python 3.12 on: can't create new thread at interpreter shutdown
        call()
    else:
        thread.join(max(0.0, limit))
    error = ended[0] if ended else TimeoutError(_GAVE_UP)
    return Outcome(hook, time.monotonic() - began, error)


def _call(hook: Hook) -> BaseException | None:
    try:
        result = hook.run()
        if inspect.isawaitable(result):
            asyncio.run(_awaited(result))
    except BaseException as error:  # noqa: BLE001 - a hook that exits must not keep the next from running
        return error
    return None


async def _awaited(result: Any) -> None:
    await result


async def run_async(hook: Hook, limit: float) -> Outcome:
    """Run *hook* from the event loop: an async one on it, a sync one in a thread, for up to *limit* seconds."""
    began = time.monotonic()
    if inspect.iscoroutinefunction(hook.run):
        error = await _call_async(hook, limit)
    else:
        error = await _in_thread(hook, limit)
    return Outcome(hook, time.monotonic() - began, error)


async def _call_async(hook: Hook, limit: float) -> BaseException | None:
    try:
        async with asyncio.timeout(limit) as timeout:
            await hook.run()
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise  # we are cancelled, not the hook
        return TimeoutError(_GAVE_UP) if isinstance(error, TimeoutError) and timeout.expired() else error
    return None


async def _in_thread(hook: Hook, limit: float) -> BaseException | None:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[BaseException | None] = loop.create_future()

    def call() -> None:
        error = _call(hook)
        try:
            loop.call_soon_threadsafe(_settle, done, error)
        except RuntimeError:
            pass  # the loop has gone: nobody waits any more

    # Not the loop's executor: its shutdown would wait for a hook that hangs.
    threads.start(contextvars.copy_context().run, call, name=f"twelvefactor {hook.name}")
    try:
        async with asyncio.timeout(limit):
            return await done
    except TimeoutError:
        return TimeoutError(_GAVE_UP)


def _settle(done: asyncio.Future[BaseException | None], error: BaseException | None) -> None:
    if not done.done():
        done.set_result(error)
