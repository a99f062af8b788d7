"""Judge start and stop by what they did: TF901, TF902, TF905."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twelvefactor.disposability.budget import seconds
from twelvefactor.disposability.rules import TF901, TF902, TF905
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twelvefactor.disposability.shutdown import Shutdown
    from twelvefactor.disposability.timeline import Timeline

_SHELLS = ("sh", "bash", "dash", "ash", "busybox", "zsh", "ksh")
START_BUDGET = 5.0  # seconds, where ``start-budget`` in the declaration says nothing else


class Judge:
    """Looks when the process is ready: how long it took, who has SIGTERM, whether the budget fits."""

    def __init__(self, shutdown: Shutdown, timeline: Timeline) -> None:
        self._shutdown = shutdown
        self._timeline = timeline
        self._process = shutdown.process

    def install(self) -> None:
        """Nothing to see before the process is ready, but for the budget."""
        budget, evidence = self._shutdown.budget, self._process.evidence
        if not budget.fits:
            message = (
                f"the drain delay of {budget.drain:g} s leaves no time for work in a grace period of {budget.grace:g} s"
            )
            evidence.report(Finding(TF905, message, "grace period"))
        elif budget.assumed:
            evidence.could_not_look(TF905, "nobody told the grace period; set TWELVEFACTOR_GRACE_PERIOD")
        else:
            evidence.looked(
                TF905, f"{budget.drain:g} s drain and {budget.work:g} s work in {budget.grace:g} s of grace"
            )

    def remove(self) -> None:
        """Nothing to undo."""

    def ready(self) -> None:
        """Look at the clock and at SIGTERM."""
        self._judge_time()
        self._judge_sigterm()

    def _judge_time(self) -> None:
        lifecycle, parts = self._shutdown.lifecycle, self._timeline.told()
        took = lifecycle.since - lifecycle.born + parts.get("import", 0.0)
        budget = start_budget(self._process.declaration)
        where = (
            ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts.items())
            or "no part of it to the millisecond"
        )
        if took > budget:
            message = f"start to ready took {took:.1f} s, more than {budget:g} s: {where}"
            self._process.evidence.report(Finding(TF901, message, "start", evidence={"timeline": parts}))
        else:
            self._process.evidence.looked(TF901, f"ready after {took:.2f} s: {where}")

    def _judge_sigterm(self) -> None:
        sigterm, evidence = self._shutdown.sigterm, self._process.evidence
        wrong = self._wrong()
        if wrong is not None:
            evidence.report(Finding(TF902, wrong, "SIGTERM"))
        elif not sigterm.installed:
            evidence.could_not_look(TF902, "this is not the process or thread that owns SIGTERM")
        else:
            owner = "the server's handler" if sigterm.owned_by_server else "the default action"
            evidence.looked(TF902, f"SIGTERM drains, then {owner} has it")

    def _wrong(self) -> str | None:
        sigterm = self._shutdown.sigterm
        if sigterm.ignored:
            return "SIGTERM is ignored by this process"
        if sigterm.blocked:
            return "SIGTERM is blocked by this process's signal mask"
        if sigterm.overwritten:
            return "SIGTERM is handled by something that was installed over the drain"
        shell = shell_in_front()
        return None if shell is None else f"process 1 is {shell}, which gets SIGTERM and does not pass it on"


def start_budget(declaration: Mapping[str, Any]) -> float:
    """
    Seconds from start to ready that the app declares: ``start-budget = "8s"``, or a number; 5 where it is no duration.

    >>> start_budget({"start-budget": "500ms"}), start_budget({})
    (0.5, 5.0)
    """
    declared = seconds(str(declaration.get("start-budget", "")))
    return START_BUDGET if declared is None else declared


def shell_in_front(proc: Path = Path("/proc"), parent: int | None = None) -> str | None:
    """The shell that is process 1 and our parent, as in a Dockerfile's shell form; None without one."""
    if (os.getppid() if parent is None else parent) != 1:
        return None
    try:
        name = (proc / "1" / "comm").read_text().strip()
    except OSError:
        return None
    return name if name in _SHELLS else None
