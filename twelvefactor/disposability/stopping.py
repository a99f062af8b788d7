"""Tell streams, sockets and loops that the process is stopping."""

from __future__ import annotations

import asyncio
import threading


class Stopping:
    """
    An event for threads and tasks alike: set once the process stops. Thread-safe; also set from a signal handler.

    >>> stopping = Stopping()
    >>> stopping.is_set(), stopping.wait(0)
    (False, False)
    """

    def __init__(self) -> None:
        self._flag = False
        self._event = threading.Event()
        self._waiters: set[asyncio.Future[None]] = set()
        self._lock = threading.Lock()

    def is_set(self) -> bool:
        """Whether the process is stopping; one attribute test."""
        return self._flag

    def set(self) -> None:
        """Say it; idempotent. Not for use in a signal handler, which may have interrupted a waiter's lock."""
        self._flag = True
        self._event.set()
        with self._lock:
            waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            try:
                waiter.get_loop().call_soon_threadsafe(_wake, waiter)
            except RuntimeError:
                pass  # its loop has gone, and the waiter with it

    def clear(self) -> None:
        """Begin anew, for a process that starts twice."""
        self._flag = False
        self._event.clear()

    def wait(self, timeout: float | None = None) -> bool:
        """Block this thread for up to *timeout* seconds; True once the process stops."""
        return self._event.wait(timeout)

    async def wait_async(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - mirrors `wait`
        """Wait in this task for up to *timeout* seconds; True once the process stops."""
        waiter = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._flag:
                return True
            self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError:
            return self._flag
        finally:
            with self._lock:
                self._waiters.discard(waiter)
        return True

    def __repr__(self) -> str:
        return f"<Stopping {'set' if self._flag else 'not set'}>"


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
