"""Grade the twelve factors from what was seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from twelvefactor.factor import FACTORS, Severity, Verdict
from twelvefactor.report.rules import all_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from twelvefactor.factor import Factor, Finding, Rule, Ruling

SCORECARD = "12factor-2011"
"""Which text of the manifesto is graded, so that a revised one can have a scorecard of its own."""


@dataclass(frozen=True, slots=True)
class Grade:
    """What a factor earned, and the rulings behind it."""

    factor: Factor
    verdict: Verdict
    points: float
    rulings: tuple[Ruling, ...]

    @property
    def why(self) -> str:
        """What decided it, in one line."""
        deciding = [ruling for ruling in self.rulings if ruling.rule.deciding]
        failed = [ruling for ruling in self.rulings if ruling.verdict is Verdict.FAIL and _costs(ruling)]
        blind = [ruling for ruling in deciding if ruling.verdict is Verdict.UNKNOWN]
        told = (*blind, *failed) if self.verdict is Verdict.UNKNOWN else (*failed, *blind)
        first = next(iter((*told, *deciding)), None)
        return "no rule decides it yet" if first is None else f"{first.rule.id}: {first.because}"


@dataclass(frozen=True, slots=True)
class Note:
    """
    What a reader should know beside the grades.

    Attributes:
        kind: ``waiver-invalid``, ``waiver-overdue``, ``waiver-unused`` or ``baseline-gone``.
        text: In one sentence, with the next step.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Scorecard:
    """
    The twelve grades, or those that were asked for.

    Attributes:
        grades: In the manifesto's order.
        subject: What was graded: the service and its release, or an empty string.
        notes: What became of waivers and baseline.
        changes: What is otherwise than in an earlier report, one sentence each; None where none was compared.
        root: The codebase root that places are relative to, where it is on this machine.
        against_baseline: Whether a baseline said what is known.
    """

    grades: tuple[Grade, ...]
    subject: str = ""
    notes: tuple[Note, ...] = ()
    changes: tuple[str, ...] | None = None
    root: Path | None = None
    against_baseline: bool = False

    def only(self, numbers: Collection[int]) -> Scorecard:
        """The same for some of the factors."""
        return replace(self, grades=tuple(grade for grade in self.grades if grade.factor.number in numbers))

    @property
    def findings(self) -> Iterator[Finding]:
        """Every finding, by factor and rule, excused ones too."""
        return (each for grade in self.grades for ruling in grade.rulings for each in ruling.findings)

    def reaches(self, least: float) -> bool | None:
        """Whether it is at least *least*, what does not apply taken as kept; None where too much is unknown to say."""
        sure = self.points + self.not_applicable
        if sure >= least:
            return True
        return None if sure + self.unknown >= least else False

    @property
    def points(self) -> float:
        """What the decided factors earned."""
        return sum(grade.points for grade in self.grades)

    @property
    def decided(self) -> int:
        """How many factors could be decided."""
        return sum(grade.verdict in (Verdict.PASS, Verdict.FAIL) for grade in self.grades)

    @property
    def unknown(self) -> int:
        """How many factors nobody could look at."""
        return sum(grade.verdict is Verdict.UNKNOWN for grade in self.grades)

    @property
    def not_applicable(self) -> int:
        """How many factors do not apply to this process."""
        return sum(grade.verdict is Verdict.NOT_APPLICABLE for grade in self.grades)

    def __str__(self) -> str:
        told = f"{self.points:g} of {self.decided} decided ({self.unknown} ?)"
        return f"{told}, {self.not_applicable} not applicable" if self.not_applicable else told


def grade(rulings: Iterable[Ruling]) -> Scorecard:
    """Grade all twelve factors from the rulings of their rules."""
    by_factor: dict[int, list[Ruling]] = {factor.number: [] for factor in FACTORS}
    for ruling in rulings:
        by_factor[ruling.rule.factor.number].append(ruling)
    return Scorecard(tuple(_grade(factor, tuple(by_factor[factor.number])) for factor in FACTORS))


def judge(ruling: Callable[[Rule], Ruling]) -> Scorecard:
    """Grade all twelve factors by asking *ruling* for every rule."""
    return grade(ruling(rule) for rule in all_rules())


def _grade(factor: Factor, rulings: tuple[Ruling, ...]) -> Grade:
    deciding = [ruling.verdict for ruling in rulings if ruling.rule.deciding]
    costly = [ruling for ruling in rulings if ruling.verdict is Verdict.FAIL and _costs(ruling)]
    if any(ruling.severity is Severity.ERROR for ruling in costly):
        return Grade(factor, Verdict.FAIL, 0.0, rulings)  # nothing that is still unknown could save it
    if Verdict.UNKNOWN in deciding or not deciding:
        return Grade(factor, Verdict.UNKNOWN, 0.0, rulings)
    if all(verdict is Verdict.NOT_APPLICABLE for verdict in deciding):
        return Grade(factor, Verdict.NOT_APPLICABLE, 0.0, rulings)
    return Grade(factor, Verdict.FAIL, 0.5, rulings) if costly else Grade(factor, Verdict.PASS, 1.0, rulings)


def _costs(ruling: Ruling) -> bool:
    return ruling.severity is not Severity.INFO
