"""VII. Export services via port binding: `PORT` is bound, and what is bound is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.port_binding.listeners import Listener, listeners, waiting
from twelvefactor.port_binding.rules import RULES, TF701, TF702, TF703, TF704

if TYPE_CHECKING:
    from twelvefactor._core.process import Process, Sensor

__all__ = ["RULES", "TF701", "TF702", "TF703", "TF704", "Listener", "listeners", "sensors", "waiting"]


def sensors(process: Process) -> tuple[Sensor, ...]:
    """What watches the rules of this room while *process* runs."""
    from twelvefactor.port_binding.watch import EmbeddedSensor, PortSensor

    return (PortSensor(process), EmbeddedSensor(process))
