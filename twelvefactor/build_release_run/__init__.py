"""V. Strictly separate build and run stages: build + config = release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.build_release_run.names import Release, identify
from twelvefactor.build_release_run.rules import RULES

if TYPE_CHECKING:
    from twelvefactor._core.process import Process, Sensor

__all__ = ["RULES", "Release", "identify", "sensors"]


def sensors(process: Process) -> tuple[Sensor, ...]:
    """What watches the rules of this room while *process* runs."""
    from twelvefactor.build_release_run.drift import Drift
    from twelvefactor.build_release_run.generated import Generated
    from twelvefactor.build_release_run.migrations import Migrated
    from twelvefactor.build_release_run.presence import Presence
    from twelvefactor.build_release_run.recorder import Recorder
    from twelvefactor.build_release_run.senses import Named

    return (Named(process), Drift(process), Generated(process), Recorder(process), Presence(process), Migrated(process))
