"""Which lines of the app are listened to, and which places are looked at line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twelvefactor.processes.lines import LINES
from twelvefactor.processes.probes import MOST, Probe

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from twelvefactor.processes.cases import Case
    from twelvefactor.processes.sightings import Sighting
_PATIENCE = 4
_PATIENT = 4
_PERIODS = 4
"""What so many probes did not make a finding of is none, or none that is worth what each line pays for them."""


class Arming:
    """
    The lines and probes of one watch; where Python has no line events, nothing is ever armed.

    Args:
        owns: Whether code is the app's.

    Attributes:
        armed: Whether the lines of the app are listened to.
    """

    def __init__(self, owns: Callable[[CodeType], bool]) -> None:
        self.armed = False
        self._owns = owns
        self._probes: dict[str, Probe] = {}
        self._patience: dict[str, int] = {}
        self._outside = -1

    def arm(self) -> None:
        """Listen to the lines of the app, where that can be done. Idempotent."""
        if not self.armed and LINES.arm(self._owns):
            self.armed = True

    def disarm(self) -> None:
        """Listen no more and probe nothing. Idempotent."""
        if self.armed:
            self.armed = False
            LINES.disarm(self._owns)
        self._set({})

    def _set(self, probes: dict[str, Probe]) -> None:
        mine = set(self._probes.values())
        self._probes = probes
        self._patience = {path: self._patience.get(path, _PATIENCE) for path in probes}
        LINES.probes = (*(each for each in LINES.probes if each not in mine), *probes.values())

    # --- probes ---

    def probe(self, case: Case, seen: Sighting, sites: Callable[[], frozenset[tuple[str, int]]]) -> None:
        """Look at the place line by line from now on; *sites* gives the lines that can make the change."""
        room = case.path not in self._probes and len(self._probes) < MOST and case.probed < _PERIODS
        if self.armed and room and seen.node.block:
            case.probed += 1
            name = seen.name if seen.node.kind.name == "names" else None
            self._set({**self._probes, case.path: Probe(case, seen.node, name, sites)})
        if case.path in self._probes and case.seen:  # nobody's own change does not earn it more time
            self._patience[case.path] = _PATIENCE * (1 + min(case.seen, _PATIENT))

    def grow_impatient(self) -> None:
        """A unit is over: what has not changed for long is looked at no longer, since each line pays for it."""
        for path in list(self._probes):
            self._patience[path] -= 1
        gone = [path for path in self._probes if self._patience[path] <= 0]
        if gone:
            self._set({path: probe for path, probe in self._probes.items() if path not in gone})

    def unprobe(self, path: str) -> None:
        """Look at it no longer."""
        self._set({known: probe for known, probe in self._probes.items() if known != path})

    def take(self, path: str) -> list[Any]:
        """Who was seen to change the place, since this was last asked."""
        probe = self._probes.get(path)
        return [] if probe is None else probe.take()

    def flush(self, *, quiet: bool) -> None:
        """What moved since the last line was moved by that line. *quiet* means that nobody runs now."""
        for probe in self._probes.values():
            probe.flush(quiet=quiet)

    # --- whether anything ran ---

    def looked(self) -> None:
        """Everything that lines have changed so far was seen."""
        self._outside = LINES.outside

    def idle(self) -> bool:
        """Whether no line of the app ran outside of watched work since everything was seen."""
        return self.armed and LINES.outside == self._outside
