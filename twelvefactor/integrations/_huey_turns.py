"""The loops of a huey consumer say that they turn: its own, the scheduler's, and each worker's."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from huey.api import Task
    from huey.consumer import Consumer

    from twelvefactor.disposability.turns import Turns

_LATE = 30.0  # seconds that a round may take longer than the wait in it: a call that its client gives up at last
_READS = 10.0  # seconds; huey's longest wait where a storage says nothing else
_running: ContextVar[tuple[str, float] | None] = ContextVar("twelvefactor.huey", default=None)
"""The loop that runs here, a thread's or a greenlet's, and the seconds that a round of it takes at most."""


class Loops:
    """
    The loops of *consumer*, that was made and has not started.

    A worker may be silent for as long as its task may run. Where workers are processes, each tells its own; the
    consumer looks after those that end.

    Args:
        consumer: Stands before its `loop`, and those of the workers and schedulers that it makes.
        turns: Who is told.
    """

    def __init__(self, consumer: Consumer, turns: Turns) -> None:
        self._turns = turns
        self._made = 0
        self._reads = float(getattr(consumer.huey.storage, "read_timeout", None) or _READS)
        consumer.loop = self._told(consumer.loop, "huey's consumer", _LATE)
        plain_worker, plain_scheduler = consumer._create_worker, consumer._create_scheduler  # noqa: SLF001 - huey's own way to other ones

        def create_worker() -> Any:
            return self._worker(plain_worker())

        def create_scheduler() -> Any:
            return self._scheduler(plain_scheduler())

        consumer._create_worker, consumer._create_scheduler = create_worker, create_scheduler  # noqa: SLF001 - as above
        for worker, _ in consumer.worker_threads:
            self._worker(worker)
        consumer.scheduler = consumer._create_process(create_scheduler(), "Scheduler")  # noqa: SLF001 - the first was not kept

    def _told(self, plain: Callable[..., Any], loop: str, within: float) -> Callable[..., Any]:
        def turn(*args: Any) -> Any:
            _running.set((loop, within))
            self._turns.turned(loop, within)
            return plain(*args)

        return turn

    def _scheduler(self, scheduler: Any) -> Any:
        scheduler.loop = self._told(scheduler.loop, "huey's scheduler", scheduler.interval + _LATE)
        return scheduler

    def _worker(self, worker: Any) -> Any:
        self._made += 1
        loop = f"huey's worker {self._made}"
        worker.loop = self._told(worker.loop, loop, max(self._reads, worker.max_delay) + _LATE)
        plain = worker.shutdown

        def shutdown() -> None:
            self._turns.ended(loop)
            plain()

        worker.shutdown = shutdown
        return worker


@contextmanager
def in_task(turns: Turns, task: Task) -> Iterator[None]:
    """The loop that runs here may be silent for as long as *task* may run."""
    running = _running.get()
    if running is None:
        yield
        return
    loop, within = running
    turns.turned(loop, None if not task.timeout else task.timeout + within)
    try:
        yield
    finally:
        turns.turned(loop, within)
