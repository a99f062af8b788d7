"""XII. Run admin/management tasks as one-off processes of the same release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.admin_processes.rules import RULES

if TYPE_CHECKING:
    from twelvefactor._core.process import Process, Sensor

__all__ = ["RULES", "sensors"]


def sensors(process: Process) -> tuple[Sensor, ...]:
    """What watches the rules of this room while *process* runs."""
    from twelvefactor.admin_processes.senses import Migrations, Typed

    return (Migrations(process), Typed(process))
