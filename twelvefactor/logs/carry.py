"""The work goes along: what an executor or a thread does for a unit of work carries its ids."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from twelvefactor.work import _current, threads_of_work

if TYPE_CHECKING:
    from collections.abc import Callable

    from twelvefactor.work import Work

CARRIED: ContextVar[bool] = ContextVar("twelvefactor.carried", default=False)
"""Whether this thread has its work from the one that started it; such a thread may outlive it."""


class Carry:
    """Hands the work in hand to the threads and the pools that the app uses; asyncio does so by itself."""

    def __init__(self) -> None:
        self._before: tuple[Any, Any] | None = None
        self._ours: tuple[Any, Any] | None = None

    def install(self) -> None:
        """Carry from now on."""
        self._before = (ThreadPoolExecutor.submit, threading.Thread.start)
        self._ours = (_submit(self._before[0]), _start(self._before[1]))
        ThreadPoolExecutor.submit, threading.Thread.start = self._ours  # type: ignore[method-assign]  # patched, and given back

    def remove(self) -> None:
        """Carry no more, unless somebody patched after us."""
        if self._before is None or self._ours is None:
            return
        if ThreadPoolExecutor.submit is self._ours[0]:
            ThreadPoolExecutor.submit = self._before[0]  # type: ignore[method-assign]  # patched, and given back
        if threading.Thread.start is self._ours[1]:
            threading.Thread.start = self._before[1]  # type: ignore[method-assign]  # patched, and given back
        self._before = self._ours = None


def _submit(original: Callable[..., Any]) -> Callable[..., Any]:
    def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        work = _current.get()
        if work is None:
            return original(self, _without_work, fn, *args, **kwargs)
        return original(self, for_work, work, fn, *args, **kwargs)

    return submit


def for_work(work: Work, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    token, carried = _current.set(work), CARRIED.set(False)  # it is this work's own, however long it takes
    try:
        return fn(*args, **kwargs)
    finally:
        CARRIED.reset(carried)
        _current.reset(token)


def _without_work(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Run *fn* in a pool's thread that may have been born in somebody's work."""
    token = _current.set(None)
    try:
        return fn(*args, **kwargs)
    finally:
        _current.reset(token)


def _start(original: Callable[..., Any]) -> Callable[..., Any]:
    def start(self: threading.Thread) -> None:
        work = _current.get()
        if work is not None:
            threads_of_work.add(self)
            run = self.run

            def runfor_work() -> None:
                del self.run  # the class has its own
                _current.set(work)
                CARRIED.set(True)
                run()

            self.run = runfor_work  # type: ignore[method-assign]  # patched, and given back
        original(self)

    return start
