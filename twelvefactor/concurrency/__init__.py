"""VIII. Scale out via the process model: process types and their formation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.concurrency.rules import RULES, TF801, TF802, TF803, TF804, TF805, TF806

if TYPE_CHECKING:
    from twelvefactor._core.process import Process, Sensor

__all__ = ["RULES", "TF801", "TF802", "TF803", "TF804", "TF805", "TF806", "sensors"]


def sensors(process: Process) -> tuple[Sensor, ...]:
    """What watches the rules of this room while *process* runs."""
    from twelvefactor.concurrency.consumers import Companions
    from twelvefactor.concurrency.daemons import Daemons, PidFiles
    from twelvefactor.concurrency.declared import Declared
    from twelvefactor.concurrency.forks import Forks
    from twelvefactor.concurrency.lag import LoopLag

    return (
        Declared(process),
        Daemons(process),
        PidFiles(process),
        Companions(process),
        LoopLag(process),
        Forks(process),
    )
