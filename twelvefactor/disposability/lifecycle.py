"""The states a process goes through, one event each."""

from __future__ import annotations

import enum
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from twelvefactor._core.clock import Clock


class State(enum.IntEnum):
    """Where in its life a process is; it only ever moves on."""

    STARTING = 0
    READY = 1
    DRAINING = 2
    STOPPING = 3
    STOPPED = 4

    @property
    def word(self) -> str:
        """The state as events spell it."""
        return self.name.lower()


class Lifecycle:
    """
    ``starting → ready → draining → stopping → stopped``, each change one event with its durations. Thread-safe.

    Args:
        clock: Measures the durations.
        say: Called with (event, fields) after a change; may be slow, so it runs outside the lock.
    """

    def __init__(self, clock: Clock, say: Callable[[str, dict[str, Any]], None]) -> None:
        self._clock = clock
        self._say = say
        self._lock = threading.Lock()
        self.state = State.STARTING
        self.leaving = False  # what every answer asks, without comparing enums
        self.born = self.since = self._before = clock.monotonic()

    def move(self, state: State, **fields: Any) -> bool:
        """Move on to *state* and say so; False where the process is there already or past it."""
        if not self.set(state):
            return False
        self.tell(state, **fields)
        return True

    def set(self, state: State) -> bool:
        """Move on without a word, as a signal handler must; `tell` says it later."""
        if self.state >= state:  # lock-free: a signal handler may have interrupted the holder
            return False
        self.state, self._before, self.since = state, self.since, self._clock.monotonic()
        self.leaving = state >= State.DRAINING
        return True

    def tell(self, state: State, **fields: Any) -> None:
        """Say that the process is in *state*: how long it lives, and how long it was in the last one."""
        durations = {
            "seconds": round(self.since - self.born, 3),
            "seconds_in_last_state": round(self.since - self._before, 3),
        }
        self._say(f"twelvefactor.{state.word}", {**durations, **fields})

    def __repr__(self) -> str:
        return f"<Lifecycle {self.state.word}>"
