"""IX. Maximize robustness with fast startup and graceful shutdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.disposability.rules import RULES

if TYPE_CHECKING:
    from twelvefactor._core.process import Process, Sensor

__all__ = ["RULES", "sensors"]


def sensors(process: Process) -> tuple[Sensor, ...]:
    """What lives beside the work of *process*; the rules of this room are judged by those who start and stop it."""
    from twelvefactor.disposability.heartbeat import Heartbeat

    return (Heartbeat(process),)
