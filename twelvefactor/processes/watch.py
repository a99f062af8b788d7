"""
Watch the units of work and the app's long-lived objects, and bring the two together.

*Thorough* looks at everything after every unit. *Report* looks at slices, after one unit in 128, paid from a credit of
half a percent of the process's time; what changed there is only a suspect, and is then looked at after each of the next
64 units, with lines armed where Python can do that. Either way nothing is reported before the work that was in flight
has ended and the change is still there.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from twelvefactor.processes import marks
from twelvefactor.processes.arming import Arming
from twelvefactor.processes.backends import Backends
from twelvefactor.processes.contexts import Contexts
from twelvefactor.processes.disk import Disk
from twelvefactor.processes.graph import Graph
from twelvefactor.processes.judge import Judge
from twelvefactor.processes.left import LeftBehind
from twelvefactor.processes.lines import LINES
from twelvefactor.processes.patches import Patches
from twelvefactor.processes.rules import TF601, TF602, TF607
from twelvefactor.processes.settings import Settings
from twelvefactor.processes.sightings import sightings
from twelvefactor.processes.suspects import Suspects
from twelvefactor.processes.units import Unit, live_tasks, route_of
from twelvefactor.processes.waiting import Waiting
from twelvefactor.processes.writers import Writers
from twelvefactor.work import nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twelvefactor._core.process import Process
    from twelvefactor.processes.blocks import Block
    from twelvefactor.processes.companions import Companion
    from twelvefactor.processes.sightings import Sighting
    from twelvefactor.work import Work

SAMPLE = 128
SHARE = 0.005
_MOST_ROUTES = 1_000
_FIRST_CREDIT = 0.005
_MOST_CREDIT = 0.05
_MORE = "TWELVEFACTOR_LEAKS=thorough looks at all of them, each time"


WATCHES: weakref.WeakSet[StateWatch] = weakref.WeakSet()
"""The watches of this process that were installed; several services may have one each."""


class StateWatch:
    """
    The state-leak detector of one process; a `WorkObserver` and a `Sensor`.

    Args:
        process: The process that is watched.
        mode: ``report`` or ``thorough``.
        sample: In report mode, one unit in so many is looked at.
        share: In report mode, the share of the process's time that looking may cost.
    """

    def __init__(self, process: Process, mode: str = "report", *, sample: int = SAMPLE, share: float = SHARE) -> None:
        self.process = process
        self.mode = mode
        self.thorough = mode == "thorough"
        self.sample = 1 if self.thorough else sample
        self.share = share
        self.graph = Graph(process.app_code.owns)
        self.patches = Patches(self.graph)
        self.writers = Writers()
        self.arming = Arming(self.graph.owns_code)
        self.judge = Judge(self)
        self.suspects = Suspects(self)
        self.disk = Disk(process)
        self.left = LeftBehind(self)
        self.contexts = Contexts(self)
        self.waiting = Waiting(process, self.left.owns_task, self.judge.judge)
        self.companions: tuple[Companion, ...] = (
            self.disk,
            Settings(self),
            self.left,
            self.contexts,
            Backends(process),
        )
        self.units: dict[Work, Unit] = {}
        self._routes: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._close_look = False
        self._attending = True
        self.begin: Callable[[Work], None] = nothing
        self.end: Callable[[Work], None] = nothing
        self.disk.on_noted = self._listen
        self._number = 0
        self._lock = threading.RLock()
        self._ready = False
        self._installed = False
        self._credit = _FIRST_CREDIT
        self._paid_until = 0.0
        self._next_block = 0
        self._said_left_out = False
        self._rounds = 0  # how often every object was looked at
        self._around = 0  # how often what surrounds work was

    # --- a sensor ----------------------------------------------------------------------------------------------

    def install(self) -> None:
        """Observe the work of the process. Idempotent."""
        if self._installed:
            return
        self._installed = True
        WATCHES.add(self)
        self.process.in_flight.observe(self)
        self._listen()
        if not self.thorough:
            self.process.in_flight.sample(self.sample, self._glance)
        for companion in self.companions:
            companion.install()
        for rule in (TF601, TF602, TF607):
            self.process.evidence.looked(rule, f"the app's long-lived objects, {self._how()}", self._not_all_objects)
        _forget_in_children(self)

    def _how(self) -> str:
        return "after every unit of work" if self.thorough else f"after one unit of work in {self.sample}"

    def _not_all_objects(self) -> str:
        return "" if self._rounds else f"not every object was looked at yet, {self._how()}; {_MORE}"

    def not_around(self) -> str:
        """Why what surrounds work was not looked at yet, or an empty string."""
        return "" if self._around else f"no unit of work was looked at yet, {self._how()}; {_MORE}"

    def remove(self) -> None:
        """Judge what is left, and observe no more. Idempotent."""
        if not self._installed:
            return
        self._installed = False
        self.process.in_flight.unobserve(self)
        if not self.thorough:
            self.process.in_flight.sample(0, nothing)
        self.guarded("settling", self.settle)
        for companion in self.companions:
            companion.remove()
        with self._lock:
            self.arming.disarm()
            self._forget()

    def ready(self) -> None:
        """Start-up is over: what exists now is where the watch starts from. Idempotent."""
        with self._lock:
            if self._ready:
                return
            self._ready = True
            self._paid_until = time.process_time()
        self.guarded("discovery", self._begin_watching)

    def _begin_watching(self) -> None:
        with self._lock:
            self.graph.discover()
            self.patches.discover()
            for companion in self.companions:
                companion.ready()
            self._close_look = self.thorough
            self._attending = self.thorough
            self._listen()
            if self.thorough:
                self.arming.arm()
        self._say_left_out()

    def _say_left_out(self) -> None:
        if self.graph.left_out and not self._said_left_out:
            self._said_left_out = True
            self.process.event(
                "warning",
                "twelvefactor.leaks.left_out",
                watched=len(self.graph),
                left_out=self.graph.left_out,
                hint="name the app with packages=, or the largest containers with twelvefactor.process_local",
            )

    def child(self) -> None:
        """A forked child starts anew, with its own objects and no work."""
        self._lock = threading.RLock()
        self.arming.disarm()
        self._forget()
        self._ready = False
        self._listen()

    def _forget(self) -> None:
        self.graph.clear()
        self.patches.clear()
        self.judge.clear()
        self.waiting.pending.clear()
        self.units.clear()
        self._routes.clear()
        self.suspects.clear()
        self._close_look = False
        self._attending = True

    def guarded(self, what: str, call: Any, *args: Any) -> None:
        """Call it; a fault of ours becomes one event."""
        try:
            call(*args)
        except Exception as error:  # noqa: BLE001 - our own faults never reach the app
            self.process.fault(f"processes: {what}", error)

    # --- a work observer ---------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """
        Have each moment of each unit told only while there is something to do in it.

        In report mode that is hardly ever, and a call that is not made is the cheapest.
        """
        begin = self._begin if self._attending else nothing
        end = self._end if self._close_look or self.units or self.disk.noted else nothing
        if (begin, end) != (self.begin, self.end):
            self.begin, self.end = begin, end
            self.process.in_flight.observe_anew()

    def _begin(self, work: Work) -> None:
        """*work* was opened."""
        if not self._ready:
            self.ready()
        if self._close_look:
            with self._lock:
                self._open(work)
        else:
            self._attending = False
            self.guarded("contexts", self.contexts.peek)
            self._listen()

    def _open(self, work: Work) -> None:
        idle = self._nobody_but(work)
        if idle:
            self._between()
        self._number += 1
        unit = self.units[work] = Unit(work, self._number)
        if self.thorough:
            work.copy_body()
        if self.armed:
            LINES.track(work)
        elif self.thorough:
            unit.tasks = frozenset(map(id, live_tasks()))
        for companion in self.companions:
            companion.begin(unit)

    def _nobody_but(self, work: Work) -> bool:
        return not any(each is not work and not each.closed for each in self.process.in_flight)

    def _between(self) -> None:
        """What changed while nobody was at work was changed by somebody else: a refresher, a test."""
        self.arming.flush(quiet=True)
        if self.arming.idle():
            return  # no line of the app ran since the last look
        if self.thorough:
            self._look(self.graph.blocks, None)
        elif self.suspects.window:
            self._look(self.suspects.blocks(), None)

    def _end(self, work: Work) -> None:
        """*work* was closed: look, where it is watched."""
        unit = self.units.get(work)
        if unit is not None:
            self._end_watched(unit, work)
        if work in self.disk.noted:
            self.disk.over(work)
        if not self._close_look:
            self._listen()

    def _glance(self, work: Work) -> None:
        """One unit in many, in report mode: a slice of the objects, or what else is cheap, if the credit pays it."""
        if self._close_look:
            return
        now = time.process_time()
        self._credit = min(_MOST_CREDIT, self._credit + (now - self._paid_until) * self.share)
        self._paid_until = now
        if self._credit <= 0:
            return
        with self._lock:
            started = time.thread_time()
            self._number += 1
            unit = self.units[work] = Unit(work, self._number)
            try:
                self._glance_at(unit)
            finally:
                self.units.pop(work, None)
                self._credit -= time.thread_time() - started
            self._next_suspects()

    def _glance_at(self, unit: Unit) -> None:
        if self._number & 1:
            self._look(self._slice(), unit)
        else:
            self._glance_around()
        if self.waiting:
            self.waiting.settle(unit, self._number)

    def _glance_around(self) -> None:
        self._around += 1
        for companion in self.companions:
            companion.glance()
        if self.contexts.waits():
            self._attending = True
            self._listen()

    def _end_watched(self, unit: Unit, work: Work) -> None:
        with self._lock:
            try:
                self._close(unit, work)
            finally:
                self.units.pop(work, None)

    def _close(self, unit: Unit, work: Work) -> None:
        self._know_route(unit, work)
        self.judge.tokens.add(unit.tokens)
        self.arming.flush(quiet=self._nobody_but(work))
        if self.thorough:
            self.graph.discover()
            self.patches.discover()
            self._look(self.graph.blocks, unit)
            self._rounds += 1
        else:
            self._look(self.suspects.blocks(), unit)
            self._count_window()
        self.arming.looked()
        self.arming.grow_impatient()
        self.waiting.settle(unit, self._number)
        self._around += 1
        for companion in self.companions:
            companion.end(unit)
        self._retire(unit)
        self._next_suspects()

    def _retire(self, unit: Unit) -> None:
        if not self.armed and self.waiting.children(unit):
            self.judge.lingering = unit
        unit.close(keep_lines=self.waiting.holds(unit))
        self.judge.recent.append(unit)

    def _next_suspects(self) -> None:
        """Look closely from now on, where there is something to look at."""
        if self.suspects.open_window():
            self._close_look = True
            self._attending = True
            self._listen()
            self.arming.arm()
            self.suspects.start()

    def _count_window(self) -> None:
        if self.suspects.count():
            self._close_look = False
            self._attending = False
            self.arming.disarm()

    def _know_route(self, unit: Unit, work: Work) -> None:
        route = route_of(work)
        unit.warm = self.thorough and route not in self._routes
        self._routes[route] = None
        if len(self._routes) > _MOST_ROUTES:
            self._routes.popitem(last=False)

    # --- looking -----------------------------------------------------------------------------------------------

    def _slice(self) -> Iterable[Block]:
        """The blocks that the credit pays for: a share of the process's time since the last look."""
        blocks = self.graph.blocks
        left = self._credit
        for _ in range(len(blocks)):
            started = time.thread_time()
            self._next_block = (self._next_block + 1) % len(blocks)
            if self._next_block == 0:
                self._rounds += 1
                self.graph.discover()
                blocks = self.graph.blocks
            yield blocks[self._next_block]
            left -= time.thread_time() - started
            if left <= 0:
                return

    def _look(self, blocks: Iterable[Block], unit: Unit | None) -> None:
        for block in list(blocks) if self.thorough else blocks:
            for delta in self.graph.look(block):
                for seen in sightings(delta, self.graph):
                    self._meet(seen, unit)

    def _meet(self, seen: Sighting, unit: Unit | None) -> None:
        """A place changed while *unit* ended, or while nobody was at work."""
        if marks.covers(seen):
            return
        if unit is None and self.thorough and self.judge.late(seen):
            return
        candidates = [] if unit is None else [*self.units.values()]
        self.waiting.met(seen, unit, candidates, self._number)

    def settle(self) -> None:
        """Look once more and judge what waits; for the end of a test or of the process. Thread-safe."""
        with self._lock:
            self.arming.flush(quiet=True)
            self.waiting.settle(None, self._number, at_last=True)
            self.judge.settle()
            for companion in self.companions:
                companion.settle()
        self.judge.join()

    # --- what others ask ---------------------------------------------------------------------------------------

    @property
    def only_suspects(self) -> bool:
        """Whether a change that is seen now is seen in passing."""
        return not self.thorough and not self.suspects.window

    def calls_of(self, patterns: Iterable[str]) -> list[tuple[str, int, int, str]]:
        """The (file, first line, last line, function) of the app's calls whose name ends with one of *patterns*."""
        return self.writers.calls(patterns, self.app_modules())

    def spawns_of(self, name: str) -> list[tuple[str, int]]:
        """The lines of the app that make a task of the coroutine function *name*."""
        return self.writers.spawns(name, self.app_modules())

    @property
    def armed(self) -> bool:
        """Whether the lines of the app are listened to."""
        return self.arming.armed

    def alone(self, unit: Unit) -> bool:
        """Whether no other unit is at work."""
        return unit.work is not None and self._nobody_but(unit.work)

    def app_modules(self) -> list[str]:
        """The names of the app's modules that were imported."""
        return [name for name in list(sys.modules) if self.graph.owns_module(name)]


def _forget_in_children(watch: StateWatch) -> None:
    """A child of a fork has its own objects and none of the parent's work."""
    alive = weakref.ref(watch)

    def forget() -> None:
        found = alive()
        if found is not None:
            found.child()

    os.register_at_fork(after_in_child=forget)
