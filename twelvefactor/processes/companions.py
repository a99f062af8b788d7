"""What watches beside the heap: the disk, process-wide settings, what is left behind, contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twelvefactor.processes.units import Unit


class Companion:
    """A part of the watch that looks at one thing; every method does nothing unless it says otherwise."""

    def install(self) -> None:
        """Begin to listen. Idempotent."""

    def remove(self) -> None:
        """Undo `install`. Idempotent."""

    def ready(self) -> None:
        """Start-up is over."""

    def begin(self, unit: Unit) -> None:
        """A watched unit begins, in its own context."""

    def end(self, unit: Unit) -> None:
        """A watched unit ends, in its own context."""

    def glance(self) -> None:
        """In report mode, the end of one unit in many."""

    def settle(self) -> None:
        """Nobody will come any more: judge what waits."""
