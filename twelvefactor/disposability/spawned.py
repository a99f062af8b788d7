"""Tasks and threads that work spawned and left running: no server waits for them."""

from __future__ import annotations

import asyncio
import sys
import sysconfig
import threading
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

from twelvefactor.work import threads_of_work, work_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from twelvefactor._core.appcode import AppCode

    Task = asyncio.Task[Any]

_DEEPEST = 50
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})


class Left(NamedTuple):
    """Tasks that run on after the work that began them: those of the app, and those of the libraries it uses."""

    by_the_app: set[Task]
    by_libraries: set[Task]


class Spawned:
    """
    Tells the tasks that work has spawned from those that were there before, such as a consumer begun at start-up.

    A task is the app's where it waits in any code of the app, or in nothing but the standard library's. A library's,
    such as the reader of a connection that a request opened, may never end.
    """

    def __init__(self, app_code: AppCode) -> None:
        self._app_code = app_code
        self._there_before: WeakSet[Task] = WeakSet()

    def ready_on_loop(self) -> None:
        """The tasks of the running loop that run now were spawned by no work."""
        self._there_before = WeakSet(asyncio.all_tasks())

    def threads_left(self) -> list[threading.Thread]:
        """
        The threads that work began and that run code of the app, daemons too: what a server's thread starts is one.

        A pool's idle thread, a driver's or the library's runs none.
        """
        frames = sys._current_frames()  # noqa: SLF001 - the only way to see what another thread does
        return [
            thread
            for thread in threading.enumerate()
            if thread in threads_of_work
            and thread is not threading.current_thread()
            and thread.ident in frames
            and self._runs_the_app(frames[thread.ident])
        ]

    def _runs_the_app(self, frame: FrameType | None) -> bool:
        while frame is not None:
            if self._app_code.owns(frame.f_code.co_filename):
                return True
            frame = frame.f_back
        return False

    def left(self) -> Left:
        """The tasks of the running loop that work has spawned and that still run."""
        left = Left(set(), set())
        for task in asyncio.all_tasks():
            if task not in self._there_before and task is not asyncio.current_task() and self._is_of_work(task):
                (left.by_libraries if self._is_a_librarys(task) else left.by_the_app).add(task)
        return left

    def _is_of_work(self, task: Task) -> bool:
        """
        Whether *task* was created in a unit of work.

        Before Python 3.12 a task does not tell its context, so it may be where it waits in the app's own code: the
        `asyncio.wait_for` of whoever waits for the stop is a task too then, and would be waited for in turn.
        """
        get_context = getattr(task, "get_context", None)
        return self._is_the_apps(task) if get_context is None else work_of(get_context()) is not None

    def _is_the_apps(self, task: Task) -> bool:
        return any(self._app_code.owns(code.co_filename) for code in _awaited(task.get_coro()))

    def _is_a_librarys(self, task: Task) -> bool:
        files = (code.co_filename for code in _awaited(task.get_coro()))
        return not self._is_the_apps(task) and any(file.startswith(_LIBRARIES) for file in files)


def name_of(task: Task) -> str:
    """The dotted name of the coroutine that *task* runs."""
    code = task.get_coro()
    return str(getattr(code, "__qualname__", None) or type(code).__qualname__)


def _awaited(coroutine: Any) -> Iterator[Any]:
    """The code of *coroutine*, of what it awaits, and so on."""
    for _ in range(_DEEPEST):
        code = getattr(coroutine, "cr_code", None)
        if code is None:
            return
        yield code
        coroutine = coroutine.cr_await
