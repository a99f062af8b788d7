"""
Hear what a prefork pool's processes have accepted, before Celery forgets what they have not.

A stop (and a lost connection) lets the pool drop each task whose process has not yet said that it took it. The process
may have taken it all the same: nobody reads its result then, the message is left unacknowledged, so the task is done a
second time, and the process waits 30 s for a reader before it ends. With tasks of milliseconds that is no rare moment.
"""

# ruff: noqa: SLF001 - Celery's pool has no public way to see what was sent and not accepted

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twelvefactor.service import Service

_MAY = 5.0  # seconds, of which a process that runs needs a few thousandths
_POLL = 0.02  # seconds


def hear_first(service: Service[Any], pool: Any) -> None:
    """Let a prefork *pool* hear its processes each time before it is flushed; others are left alone. Idempotent."""
    forget = getattr(pool, "flush", None)
    handler = getattr(getattr(pool, "_pool", None), "_result_handler", None)
    if forget is None or isinstance(forget, _Heard) or not hasattr(handler, "_finish_partial_read"):
        return
    pool.flush = _Heard(service, pool._pool, forget)


class _Heard:
    """A prefork pool's ``flush``, with ears."""

    def __init__(self, service: Service[Any], processes: Any, forget: Any) -> None:
        self._service = service
        self._processes = processes
        self._forget = forget

    def __call__(self) -> None:
        try:
            hear(self._processes, time.monotonic() + _MAY)
        except Exception as error:  # noqa: BLE001 - a Celery that has changed must not cost the worker its stop
            self._service.fault("celery: unheard", error)
        self._forget()


def hear(processes: Any, ends: float) -> None:
    """Read what *processes* say until each task that went to one is accepted, or the clock says *ends*."""
    while (tasks := _unheard(processes)) and time.monotonic() < ends:
        for task in tasks:
            _finish_writing(processes, task)
            _read(processes, task._write_to)


def _unheard(processes: Any) -> list[Any]:
    """The tasks sent to a process that is free to take them; one that is queued behind another is not waited for."""
    sent = [task for task in tuple(processes._cache.values()) if task._write_to is not None]
    busy = {id(task._write_to) for task in sent if task._accepted}
    return [
        task for task in sent if not task._accepted and id(task._write_to) not in busy and task._write_to._is_alive()
    ]


def _finish_writing(processes: Any, task: Any) -> None:
    writer = task._writer() if task._writer is not None else None
    if writer is not None and writer in processes._active_writers:
        processes._flush_writer(task._write_to, writer)


def _read(processes: Any, process: Any) -> None:
    handler = processes._result_handler
    if process.outq._reader.poll(_POLL):
        handler._flush_outqueue(process.outqR_fd, _pass_over, handler.fileno_to_outq, handler.on_state_change)


def _pass_over(descriptor: int) -> None:
    """Of a process that has ended: Celery sees to it."""
