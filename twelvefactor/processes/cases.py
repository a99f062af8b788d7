"""
From changes to a verdict: what happened at one path over many units of work.

A path is a leak where one change carries data of exactly one unit, or where it changes again and again once the routes
are warm. What changed once, or only in the first unit of its route, is lazy initialisation; what also changes while
nothing runs, or by code that runs for nobody, is a background refresher.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twelvefactor.factor import Finding
    from twelvefactor.processes.sightings import Sighting
    from twelvefactor.processes.units import Unit
    from twelvefactor.processes.writers import Match

ENOUGH = 3
"""A change without evidence counts from the third unit on, two of them past the first of their route."""
MOST_WORKS = 8


class Case:
    """
    What is known of one path; holds no value.

    Attributes:
        path: The dotted path.
        seen: In how many units it changed.
        counted: In how many of them the route was warm.
        grew: In how many it grew.
        inside: Whether what it holds of a unit is inside its entries.
        background: How often it changed while nobody was at work, or by code that ran for nobody.
        certain: Whether the code that writes is known to run for units of work.
        works: The ids of the units that are to blame.
        lines: Lines that were seen to make the change, with how often.
        whole: The path of the outermost object of other people's that it is part of; its own where there is none.
        evidence: Why it is a leak, in a few words; empty while it is none.
    """

    __slots__ = (
        "_last",
        "after",
        "armed",
        "background",
        "before",
        "blamed",
        "certain",
        "counted",
        "entry",
        "evidence",
        "finding",
        "foreign",
        "grew",
        "inside",
        "lines",
        "matches",
        "passes",
        "patched",
        "path",
        "probed",
        "refused",
        "reported",
        "role",
        "seen",
        "whole",
        "works",
    )

    def __init__(self, seen: Sighting) -> None:
        self.path = seen.path
        self.whole = seen.node.whole
        self.role = seen.node.role
        self.foreign = seen.node.foreign
        self.before = seen.before
        self.after = seen.after
        self.entry = seen.name is None
        self.finding: Finding | None = None
        self.seen = 0
        self.counted = 0
        self.grew = 0
        self.inside = False
        self.background = 0
        self.blamed = 0
        self.certain = False
        self.patched = False
        self.refused = 0
        self.reported = False
        self.armed = False
        self.passes = 0
        self.probed = 0
        self.evidence = ""
        self.works: list[str] = []
        self.lines: Counter[tuple[str, int]] = Counter()
        self.matches: list[Match] | None = None
        self._last = -1

    def add(self, seen: Sighting, units: list[Unit], number: int) -> None:
        """The path changed while *units* were at work; *number* is that of the latest."""
        if number != self._last:
            self._last = number
            self.seen += 1
            self.counted += not any(unit.warm for unit in units)
        self.grew += seen.grew
        self.patched = self.patched or seen.patched

    def blame(self, units: list[Unit]) -> None:
        """These units made the change, for certain."""
        for unit in units:
            if unit.id not in self.works and len(self.works) < MOST_WORKS:
                self.works.append(unit.id)

    def start_again(self) -> None:
        """It was only suspected so far; what counts is what is seen from now on."""
        self.seen = self.counted = self.grew = self.background = 0
        self.certain = False
        self.works.clear()
        self.lines.clear()

    def refuse(self) -> None:
        """No line of the app can have made the change; ask again when it has changed twice as often."""
        self.reported = False
        self.refused = 2 * self.seen

    @property
    def enough(self) -> bool:
        """Whether it changed often enough to be a leak without further evidence."""
        return self.seen >= max(ENOUGH, self.refused) and self.counted >= ENOUGH - 1

    @property
    def growing(self) -> bool:
        """Whether it mostly gains entries."""
        return self.grew > 0 and self.grew * 2 >= self.seen
