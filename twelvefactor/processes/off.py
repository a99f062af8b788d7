"""The detector, turned off: it says so, and that is all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.processes.rules import RULES

if TYPE_CHECKING:
    from twelvefactor._core.process import Process


class Off:
    """A sensor that does not look; its rules are unknown, never passed."""

    def __init__(self, process: Process) -> None:
        self.process = process

    def install(self) -> None:
        """Say that nobody looks."""
        for rule in RULES:
            self.process.evidence.could_not_look(rule, "TWELVEFACTOR_LEAKS=off; set it to report or thorough")

    def remove(self) -> None:
        """Nothing was done."""
