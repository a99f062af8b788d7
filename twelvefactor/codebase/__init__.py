"""I. One codebase tracked in revision control, many deploys: say which commit is running."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.codebase.commit import Commit, otel_attribute, running_commit
from twelvefactor.codebase.rules import RULES

if TYPE_CHECKING:
    from twelvefactor._core.process import Process, Sensor

__all__ = ["RULES", "Commit", "otel_attribute", "running_commit", "sensors"]


def sensors(process: Process) -> tuple[Sensor, ...]:
    """What watches the rules of this room while *process* runs."""
    from twelvefactor.codebase.senses import Built, Outside, Vendored, Which

    return (Which(process), Built(process), Outside(process), Vendored(process))
