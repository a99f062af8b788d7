"""
What a queue must be set to so that no job is lost when its worker dies: what we set, what the user set otherwise.

The adapter looks when a worker starts; one event tells what was set, and TF904 what would lose jobs all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twelvefactor.disposability.rules import TF904
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from twelvefactor.service import Service

TWICE = "A job that is given back begins again: let it be safe to run twice."


@dataclass(frozen=True, slots=True)
class Wrong:
    """
    A setting that would lose jobs.

    Attributes:
        setting: Its name, as the library spells it.
        wrong: What it does to a job, in one sentence.
        write: The exact line to write instead, or the flag or variable to set.
        twice: Whether a job can begin twice by it, so that it must be safe to run again.
    """

    setting: str
    wrong: str
    write: str
    twice: bool = True


@dataclass(slots=True)
class Settings:
    """
    The settings of one queue object, looked at together with our hooks.

    Args:
        library: The library's name, as its extra is called.
        made: What we set, where the user set nothing: name to value.
        wrongs: What would lose jobs.
        unknown: Why it cannot be known whether jobs are lost, or an empty string.
        notes: What else whoever runs it should know, such as flags that only a command line can set.
    """

    library: str
    made: dict[str, Any] = field(default_factory=dict)
    wrongs: list[Wrong] = field(default_factory=list)
    unknown: str = ""
    notes: list[str] = field(default_factory=list)

    def wrong(self, setting: str, wrong: str, write: str, *, twice: bool = True) -> None:
        """Note a setting that would lose jobs."""
        self.wrongs.append(Wrong(setting, wrong, write, twice))

    def tell(self, service: Service[Any]) -> None:
        """Say what was set, and report what is wrong (TF904)."""
        if self.made or self.notes:
            notes = {"notes": self.notes} if self.notes else {}
            service.event("info", "twelvefactor.jobs.settings", queue=self.library, set=self.made, **notes)
        for each in self.wrongs:
            service.evidence.report(self._finding(each))
        if self.unknown:
            service.evidence.could_not_look(TF904, self.unknown)
        elif not self.wrongs:
            service.evidence.looked(TF904, f"{self.library}: a job in hand comes back when its worker stops or dies")

    def _finding(self, wrong: Wrong) -> Finding:
        hint = f"Write {wrong.write}." + (f" {TWICE}" if wrong.twice else "")
        return Finding(TF904, f"{self.library}: {wrong.wrong}", f"{self.library}:{wrong.setting}", hint=hint)
