"""II. Explicitly declare and isolate dependencies: declared, installed and imported are the same list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.dependencies.rules import RULES

if TYPE_CHECKING:
    from twelvefactor._core.process import Process, Sensor

__all__ = ["RULES", "sensors"]


def sensors(process: Process) -> tuple[Sensor, ...]:
    """What watches the rules of this room while *process* runs."""
    from twelvefactor.dependencies.comparing import Compared
    from twelvefactor.dependencies.isolation import Isolated
    from twelvefactor.dependencies.tools import Present, Started

    return (Isolated(process), Compared(process), Present(process), Started(process))
