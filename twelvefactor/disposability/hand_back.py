"""Give the jobs in hand back to their queue, when their time is over and before the process is killed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Act = Callable[[], object]


class HandBack:
    """
    What gives jobs back, each done once in a stop. Thread-safe.

    Args:
        fault: Called with where and what, where one of them raises: the others are done all the same.
    """

    def __init__(self, fault: Callable[[str, BaseException], None]) -> None:
        self._fault = fault
        self._acts: list[Act] = []
        self._lock = threading.Lock()
        self._done = False
        self.early = 0.0  # seconds before the end of the work's time, for queues that need some to give back

    def add(self, act: Act, early: float) -> None:
        """Do *act* too, so many seconds *early*."""
        self._acts.append(act)
        self.early = max(self.early, early)

    def do(self) -> bool:
        """Give back now; whether the process must end at once, since jobs run on that are given back. Idempotent."""
        with self._lock:
            if self._done:
                return False
            self._done = True
        answers = [self._one(act) for act in self._acts]
        return any(answers)

    def _one(self, act: Act) -> bool:
        try:
            return act() is True
        except Exception as error:  # noqa: BLE001 - the next queue's jobs must go back too
            self._fault("hand back", error)
            return False

    def renew(self) -> None:
        """Begin a new life of the process: there may be another stop."""
        self._lock = threading.Lock()
        self._done = False
