"""VI. Execute the app as one or more stateless processes: find the state that outlives its work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.processes.rules import RULES

if TYPE_CHECKING:
    from twelvefactor._core.process import Process, Sensor

__all__ = ["RULES", "sensors"]

default_mode = "report"
"""Where TWELVEFACTOR_LEAKS says nothing; the pytest plugin sets ``thorough``."""

default_pace: tuple[int, float] | None = None
"""In report mode: one unit of work in so many is looked at, for that share of the time; None is the watch's own."""

_MODES = ("report", "thorough", "off")


def sensors(process: Process) -> tuple[Sensor, ...]:
    """
    What watches the rules of this room while *process* runs: the state-leak detector, as TWELVEFACTOR_LEAKS says.

    Raises:
        UsageError: Where TWELVEFACTOR_LEAKS is none of report, thorough, off.
    """
    mode = process.environ.get("TWELVEFACTOR_LEAKS", "").strip().lower() or default_mode
    if mode not in _MODES:
        from twelvefactor.exceptions import UsageError

        raise UsageError(f"TWELVEFACTOR_LEAKS: expected report, thorough or off, got {len(mode)} other characters")
    if mode == "off":
        from twelvefactor.processes.off import Off

        return (Off(process),)
    from twelvefactor.processes.watch import StateWatch

    if default_pace is None:
        return (StateWatch(process, mode),)
    return (StateWatch(process, mode, sample=default_pace[0], share=default_pace[1]),)
