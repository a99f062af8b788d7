"""
From a change that stayed to a verdict: who made it, whether it is a leak, and where.

What carries data of one unit only is judged at once; the rest when it has changed often enough. In report mode a change
that was seen in passing only makes a suspect.
"""

from __future__ import annotations

import gc
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any

from twelvefactor.processes import reporting
from twelvefactor.processes.blocks import MAPPING
from twelvefactor.processes.cases import Case
from twelvefactor.processes.lines import LINES
from twelvefactor.processes.looking import SCALARS
from twelvefactor.processes.probes import SOMEONE
from twelvefactor.processes.sightings import Sighting, still
from twelvefactor.processes.tokens import Tokens, held, is_carrier
from twelvefactor.processes.units import BARRIER, Unit
from twelvefactor.processes.writers import CERTAIN, Match

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    from twelvefactor.processes.watch import StateWatch
    from twelvefactor.processes.writers import Target

Lines = frozenset[tuple[str, int]]
_MOST_CASES = 1_000
_FITTING = 3
_BY_NAME = 2
_REMEMBERED = 64


class Judge:
    """
    The cases of one watch.

    Attributes:
        tokens: What recent units brought.
        recent: The units that are over, the latest last.
        lingering: The last unit whose tasks run on after it, where Python cannot say whose a task is.
    """

    def __init__(self, watch: StateWatch) -> None:
        self.watch = watch
        self.cases: OrderedDict[str, Case] = OrderedDict()
        self.tokens = Tokens()
        self.recent: deque[Unit] = deque(maxlen=_REMEMBERED)
        self.lingering: Unit | None = None
        self._held: dict[str, tuple[Case, Target, Lines]] = {}
        self._wholes: set[tuple[str, Any]] = set()
        self._attributing: list[threading.Thread] = []

    def clear(self) -> None:
        """Let go of everything."""
        self.cases.clear()
        self.tokens.clear()
        self.recent.clear()
        self.lingering = None
        self._held.clear()
        self._wholes.clear()

    def settle(self) -> None:
        """Report what has evidence and may never change again."""
        for path in sorted(self._held):
            if path in self._held:
                self._report_held(path)

    def join(self) -> None:
        """Wait for the threads that look for lines beside the app."""
        attributing, self._attributing = self._attributing, []
        for thread in attributing:
            thread.join(BARRIER)

    # --- one change --------------------------------------------------------------------------------------------

    def late(self, seen: Sighting) -> bool:
        """Whether a unit that is over changed it, whose task runs on after the response; then it is judged."""
        writers = ids_of(self.watch.arming.take(seen.path))
        units = [unit for unit in self.recent if unit.id in writers]
        if not units and self.lingering is not None and not self.watch.armed:
            units = [self.lingering]
        if not units:
            return False
        self.judge(seen, units)
        return True

    def judge(self, seen: Sighting, candidates: list[Unit]) -> None:
        """What was seen stayed, and *candidates* were at work."""
        if self.watch.graph.is_weak(seen.node) and not self._survives_collection(seen):
            return
        case = self._case(seen)
        self._weigh(case, seen, candidates)
        if self.watch.only_suspects and not case.evidence:
            self.watch.suspects.add(case, seen)
        elif case.reported:
            reporting.repeat(self.watch, case)
        elif self._subsumed(case):
            return
        elif case.enough or (case.evidence and (case.seen > 1 or self._sure(case, seen, candidates))):
            self._conclude(case, seen, candidates)
        else:
            self.watch.arming.probe(case, seen, self.sites_of(case, seen))
            self._hold(case, seen, candidates)

    def _case(self, seen: Sighting) -> Case:
        case = self.cases.get(seen.path)
        if case is None:
            case = self.cases[seen.path] = Case(seen)
            if len(self.cases) > _MOST_CASES:
                self.cases.popitem(last=False)
        return case

    def _survives_collection(self, seen: Sighting) -> bool:
        gc.collect()
        return still(seen)

    def _subsumed(self, case: Case) -> bool:
        """Whether it is an entry of something that is reported already, or is now."""
        holding = [path for path in self._held if case.path.startswith(f"{path}[")]
        for path in holding:
            held_case, _, _ = self._held[path]
            if held_case.seen == 1 and held_case.inside and set(case.works) - set(held_case.works):
                del self._held[path]  # made once, and changed by others since
            else:
                self._report_held(path)
        return self._inside_reported(case)

    def _inside_reported(self, case: Case) -> bool:
        return any(case.path.startswith(f"{each.path}[") for each in self.cases.values() if each.reported)

    def _sure(self, case: Case, seen: Sighting, candidates: list[Unit]) -> bool:
        """Whether the line is known after one change; else the next one will show it."""
        if _only_inside_entries(seen):
            return False  # the entry may be there for good, and what is put into it the leak
        matches = self._matches(case, seen.target())
        return not self.watch.armed or reporting.place(case, matches, _lines_of(candidates)).certainty == CERTAIN

    def _hold(self, case: Case, seen: Sighting, candidates: list[Unit]) -> None:
        """Keep what is needed to report a case that may never change again."""
        if case.evidence:
            case.after = seen.after
            self._held[case.path] = (case, seen.target(), _lines_of(candidates))

    def _report_held(self, path: str) -> None:
        case, target, ran = self._held.pop(path)
        if not case.reported and not self._inside_reported(case):
            case.reported = True
            self._report(case, target, ran)

    # --- who made it -------------------------------------------------------------------------------------------

    def _weigh(self, case: Case, seen: Sighting, candidates: list[Unit]) -> None:
        owner = self._owner_of_data(seen, candidates)
        if owner is not None:
            case.evidence = "it holds data of one unit of work only"
            case.inside = case.inside or _only_inside_entries(seen)
            case.add(seen, [owner], owner.number)
            case.blame([owner])
            self.watch.arming.take(case.path)
            return
        writers, known = self._writers(case, seen, candidates)
        if not writers and (known or not candidates):
            case.background += 1
            return
        case.certain = case.certain or known
        case.add(seen, writers or candidates[-1:], (writers or candidates)[-1].number)
        if writers and (known or len(candidates) == 1):
            case.blame(writers)

    def _writers(self, case: Case, seen: Sighting, candidates: list[Unit]) -> tuple[list[Unit], bool]:
        """(the units that made the change, whether that is known rather than supposed)."""
        works = self.watch.arming.take(case.path)
        if works:
            ids = ids_of(works)
            units = [unit for unit in (*candidates, *self.recent) if unit.id in ids]
            if units or SOMEONE not in works:
                return units, True
            return (candidates, False) if len(candidates) == 1 else ([], False)
        if len(candidates) == 1 and not case.background:
            return candidates, False
        if self.watch.armed and (matches := self._matches(case, seen.target())):
            return self._by_hits(matches, candidates)
        return (candidates, False) if len(candidates) == 1 else ([], False)

    def _by_hits(self, matches: list[Match], candidates: list[Unit]) -> tuple[list[Unit], bool]:
        sites = [match.site for match in matches if match.score >= _BY_NAME]
        units = [unit for unit in candidates if _ran(unit.ran, sites)]
        if units:
            return units, True
        if _ran(LINES.ran(None), sites):
            return [], True
        return (candidates, False) if len(candidates) == 1 else ([], False)

    def _owner_of_data(self, seen: Sighting, candidates: list[Unit]) -> Unit | None:
        """The one unit whose data is in what changed, or None."""
        if not seen.values or not candidates:
            return None
        for unit in candidates:
            if any(is_carrier(value, unit.carrier) for value in seen.values):
                return unit
        found = held(seen.values)
        if not found:
            return None
        owners = [unit for unit in (*candidates, *self.recent) if unit.tokens & found]
        own = {token for unit in owners for token in unit.tokens & found}
        if len({unit.number for unit in owners}) == 1 and any(map(self.tokens.rare, own)):
            return owners[0]
        return None

    # --- concluding --------------------------------------------------------------------------------------------

    def _matches(self, case: Case, target: Target) -> list[Match]:
        if case.matches is None:
            case.matches = self.watch.writers.find(target, self.watch.app_modules())
        return case.matches

    def sites_of(self, case: Case, seen: Sighting) -> Any:
        """A function that gives the lines that can make the change; it is asked where threads run at once."""
        target = seen.target()

        def sites() -> Lines:
            found = [match.site for match in self._matches(case, target)]
            return frozenset((site.file, line) for site in found for line in range(site.line, site.last + 1))

        return sites

    def _conclude(self, case: Case, seen: Sighting, candidates: list[Unit]) -> None:
        """It is a leak, unless nobody of the app can have made the change."""
        if not case.certain and not case.evidence and self._others_write(case, seen):
            return
        case.after = seen.after
        case.reported = True
        given = (case, seen.target(), _lines_of(candidates))
        if self.watch.thorough or self.watch.armed:
            self._report(*given)
        else:
            report = self.watch.guarded
            self._attributing.append(reporting.in_a_thread(report, "attribution", self._report, *given))

    def _others_write(self, case: Case, seen: Sighting) -> bool:
        """Whether threads or tasks of the app that belong to no unit can be the writers, as far as the source tells."""
        others = self.watch.left.others()
        if not others:
            return False
        if case.background:
            return True
        modules = self.watch.app_modules()
        reached = set().union(*(self.watch.writers.reachable(name, modules) for name in others))
        matches = self._matches(case, seen.target())
        writing = {match.site.function.rpartition(".")[2] for match in matches if match.score >= _FITTING}
        return bool(writing) and writing <= reached

    def _report(self, case: Case, target: Target, ran: Lines) -> None:
        matches = self._matches(case, target)
        if not reporting.plausible(case, matches, lines_known=self.watch.armed):
            case.refuse()
            return
        self.watch.arming.unprobe(case.path)
        place = reporting.place(case, matches, ran)
        if not self._told_already(case, place):
            reporting.report(self.watch, case, place)

    def _told_already(self, case: Case, place: reporting.Place) -> bool:
        """One call changes several things inside somebody else's object, which is told once."""
        told = (case.whole, place.lines[0] if place.lines else None)
        if not case.foreign:
            return False
        known = told in self._wholes
        self._wholes.add(told)
        return known


def _only_inside_entries(seen: Sighting) -> bool:
    """Whether entries of a dict hold data in what they hold, and not by their keys or themselves."""
    if seen.node.kind is not MAPPING:
        return False
    return not held([value for value in seen.values if type(value) in SCALARS or type(value) is tuple])


def _lines_of(units: Iterable[Unit]) -> Lines:
    """The lines that *units* ran, as far as that is known."""
    return frozenset(line for unit in units for line in unit.ran)


def ids_of(works: Iterable[Any]) -> set[str]:
    """The ids of the units among *works*."""
    return {work.id for work in works if work is not None and work is not SOMEONE}


def _ran(ran: Lines, sites: Iterable[Any]) -> bool:
    """Whether one of the lines that ran is one of *sites*."""
    return bool(ran) and any((site.file, line) in ran for site in sites for line in range(site.line, site.last + 1))
