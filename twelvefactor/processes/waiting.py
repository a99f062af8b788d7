"""
Hold a verdict back until the work that was in flight has ended, and the tasks that it started.

What is gone again by then lived as long as its work; what is still there is judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twelvefactor.processes.sightings import Sighting, still
from twelvefactor.processes.units import BARRIER, Unit, due_soon, live_tasks, work_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from twelvefactor._core.process import Process
    from twelvefactor.work import Work

_MOST_PENDING = 256
_TRIES = 8
_PATIENT = 3


@dataclass(slots=True)
class Pending:
    """A sighting that waits for the work and the tasks that ran when it was made."""

    seen: Sighting
    candidates: list[Unit]
    waiting: list[Work]
    tasks: list[Any]
    number: int
    since: float


class Waiting:
    """
    What was seen and cannot be judged yet.

    Args:
        process: Whose work it is.
        owns_task: Whether a task runs the app's code.
        judge: What judges a sighting that stayed, with the units that may have made it.
    """

    def __init__(
        self,
        process: Process,
        owns_task: Callable[[Any], bool],
        judge: Callable[[Sighting, list[Unit]], None],
    ) -> None:
        self.process = process
        self.pending: list[Pending] = []
        self._owns_task = owns_task
        self._judge = judge

    def __len__(self) -> int:
        return len(self.pending)

    def met(self, seen: Sighting, unit: Unit | None, candidates: list[Unit], number: int) -> None:
        """A place changed: judge it now where nothing is in flight, else when that has ended."""
        waits = next((each for each in self.pending if each.seen.path == seen.path), None)
        if waits is not None:
            waits.seen.absorb(seen)
            waits.candidates += [each for each in candidates if each not in waits.candidates]
            return
        waiting = [] if unit is None else self._in_flight(unit)
        tasks = [] if unit is None else self.children(unit)
        if not waiting and not tasks:
            self._judge(seen, candidates)
        elif len(self.pending) < _MOST_PENDING:
            now = self.process.clock.monotonic()
            self.pending.append(Pending(seen, candidates, waiting, tasks, number, now))

    def _in_flight(self, unit: Unit) -> list[Work]:
        now = self.process.clock.monotonic()
        return [
            work
            for work in self.process.in_flight
            if work is not unit.work and not work.closed and not work.streaming and now - work.started < BARRIER
        ]

    def children(self, unit: Unit) -> list[Any]:
        """The tasks that *unit* started and that still run."""
        tasks = live_tasks()
        if not tasks:
            return []
        if hasattr(tasks[0], "get_context"):
            return [task for task in tasks if work_of(task) is unit.work]
        return [task for task in tasks if id(task) not in unit.tasks and self._owns_task(task)]

    def holds(self, unit: Unit) -> bool:
        """Whether a verdict waits that may blame *unit*."""
        return any(unit in each.candidates for each in self.pending)

    def settle(self, unit: Unit | None, number: int, *, at_last: bool = False) -> None:
        """
        Judge what need not wait any longer.

        Args:
            unit: The unit that ends now, whose own work does not hold it back; None where none does.
            number: How many units were watched so far.
            at_last: Whether nobody will come any more.
        """
        pending, self.pending = self.pending, []
        now = self.process.clock.monotonic()
        for each in pending:
            over = now - each.since >= BARRIER or at_last
            if self._must_wait(each, unit, number) and not over:
                self.pending.append(each)
            elif still(each.seen) and not self._wait_again(each, unit, over=over):
                self._judge(each.seen, each.candidates)

    @staticmethod
    def _must_wait(each: Pending, unit: Unit | None, number: int) -> bool:
        if any(not work.closed and (unit is None or work is not unit.work) for work in each.waiting):
            return True
        fresh = number - each.number < _PATIENT
        return any(not task.done() and (fresh or due_soon(task)) for task in each.tasks)

    def _wait_again(self, each: Pending, unit: Unit | None, *, over: bool) -> bool:
        """
        Put the verdict off while others are at work, who may be the ones that hold it changed.

        A number that does not only rise is a gauge of what is in flight, and dropped.
        """
        waiting = [] if unit is None or over else self._in_flight(unit)
        if not waiting or each.seen.name is None or each.seen.tries >= _TRIES:
            return not each.seen.rises()
        each.seen.tries += 1
        each.waiting = waiting
        self.pending.append(each)
        return True
