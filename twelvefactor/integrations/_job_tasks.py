"""The jobs that run on an event loop, each given back and cancelled when its time is over."""

from __future__ import annotations

import asyncio
import sys
from contextvars import Context
from typing import TYPE_CHECKING, Any

from twelvefactor._core import threads
from twelvefactor.logs.carry import for_work
from twelvefactor.work import work_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import FrameType

    from twelvefactor.integrations._job import Job
    from twelvefactor.service import Service

EARLY = 0.2  # seconds that giving back takes of the work's time
_WITHIN = 2.0  # seconds; a broker that does not answer must not hold the stop up


class JobTasks:
    """
    The open jobs of one queue, and the asyncio tasks that run them.

    Args:
        service: Whose jobs they are.
        give_back: Puts a job back into its queue; None where the queue does when the job's task is cancelled.
        early: Seconds of the work's time that giving back takes.
    """

    def __init__(
        self,
        service: Service[Any],
        give_back: Callable[[Job], Awaitable[None]] | None = None,
        *,
        early: float = EARLY,
    ) -> None:
        self._service = service
        self._give_back = give_back
        self._tasks: dict[Job, asyncio.Task[Any]] = {}
        self._over = False
        service.on_time_over(self._give_back_all, early=early)

    def add(self, job: Job) -> None:
        """*job* runs in the current task; it goes back at once where the time is over already."""
        task = asyncio.current_task()
        if task is None:
            return
        self._tasks[job] = task
        if self._over and self._service.stopping.is_set():
            late = task.get_loop().create_task(self._give_one_back(job, task))
            late.add_done_callback(lambda _: late.exception())

    def discard(self, job: Job) -> None:
        """*job* is over. Idempotent."""
        self._tasks.pop(job, None)

    def _give_back_all(self) -> None:
        """From a thread of ours: each job on its own loop."""
        self._over = True
        loops = {task.get_loop() for task in tuple(self._tasks.values())}
        for loop in loops:
            asyncio.run_coroutine_threadsafe(self._give_back_on(loop), loop).result(_WITHIN)

    async def _give_back_on(self, loop: asyncio.AbstractEventLoop) -> None:
        open_here = [(job, task) for job, task in tuple(self._tasks.items()) if task.get_loop() is loop]
        await asyncio.gather(*(self._give_one_back(job, task) for job, task in open_here))

    async def _give_one_back(self, job: Job, task: asyncio.Task[Any]) -> None:
        try:
            if self._give_back is not None:
                await self._give_back(job)
        except Exception as error:  # noqa: BLE001 - the next job must go back too
            self._service.fault("hand back", error)
        else:
            if not task.done():
                job.hand_back()
                _interrupt(job)  # after that, so that whoever waits for the job finds it given back
                task.cancel()


def _interrupt(job: Job) -> None:
    """Stop the pool's thread that runs *job*, where a sync function does: cancelling the task does not."""
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the only way to see what another thread does
        if any(_runs(each, job) for each in _stack(frame)):
            threads.interrupt(ident)


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _runs(frame: FrameType, job: Job) -> bool:
    """Whether a thread of a `ThreadPoolExecutor`, or of anyio's, is in *job* here."""
    if frame.f_code is for_work.__code__:
        return frame.f_locals["work"] is job
    context = frame.f_locals.get("context") if frame.f_code.co_qualname == "WorkerThread.run" else None
    return isinstance(context, Context) and work_of(context) is job
