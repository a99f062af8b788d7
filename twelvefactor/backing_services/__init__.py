"""IV. Treat backing services as attached resources: a URL in, an attached resource out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.backing_services.rules import RULES

if TYPE_CHECKING:
    from twelvefactor._core.process import Process, Sensor

__all__ = ["RULES", "sensors"]


def sensors(process: Process) -> tuple[Sensor, ...]:
    """What watches how the process uses its backing services."""
    from twelvefactor.backing_services.watch import sensors as all_sensors

    return all_sensors(process)
