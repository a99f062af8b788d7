"""
Report mode: what changed in a slice is only suspected, and looked at closely for the next 64 units, with lines armed.

A place that is suspected again and again without a verdict is looked at ever more rarely.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twelvefactor.processes.blocks import Block
    from twelvefactor.processes.cases import Case
    from twelvefactor.processes.sightings import Sighting
    from twelvefactor.processes.watch import StateWatch

WINDOW = 64
_MOST = 16


class Suspects:
    """
    The places that are suspected.

    Attributes:
        window: For how many more units they are looked at closely; 0 while nothing is.
    """

    def __init__(self, watch: StateWatch) -> None:
        self.watch = watch
        self.window = 0
        self._seen: dict[str, Sighting] = {}

    def add(self, case: Case, seen: Sighting) -> None:
        """*seen* changed in a slice."""
        if case.reported or len(self._seen) >= _MOST:
            return
        case.passes += 1
        if case.passes & (case.passes - 1) == 0:
            self._seen[case.path] = seen
            seen.old, seen.values = [], []

    def open_window(self) -> bool:
        """Whether a window opens now, for what is suspected."""
        if not self._seen or self.window or self.watch.thorough:
            return False
        self.window = WINDOW
        return True

    def start(self) -> None:
        """Look at each from here on."""
        judge = self.watch.judge
        for path, seen in self._seen.items():
            case = judge.cases.get(path)
            if case is not None and seen.node.block is not None:
                self.watch.graph.look(seen.node.block)
                case.start_again()
                self.watch.arming.probe(case, seen, judge.sites_of(case, seen))

    def blocks(self) -> list[Block]:
        """Where they are kept."""
        return list({seen.node.block for seen in self._seen.values() if seen.node.block is not None})

    def count(self) -> bool:
        """One unit is over that was looked at closely; whether the window is over with it."""
        if not self.window:
            return False  # it began in the window and outlived it
        self.window -= 1
        if self.window:
            return False
        self._seen.clear()
        return True

    def clear(self) -> None:
        """Suspect nothing."""
        self._seen.clear()
        self.window = 0
