"""The scorecard for people: twelve rows, the findings, the score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from twelvefactor.factor import Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

    from rich.console import RenderableType

    from twelvefactor.factor import Finding
    from twelvefactor.report.score import Grade, Scorecard

WIDTH = 80
_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.UNKNOWN: "yellow", Verdict.NOT_APPLICABLE: "dim"}
_WORDS = {Verdict.PASS: "1", Verdict.FAIL: "0", Verdict.UNKNOWN: "?", Verdict.NOT_APPLICABLE: "-"}
_COSTS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: ""}


def show(scorecard: Scorecard, file: TextIO | None = None) -> None:
    """Print *scorecard* to *file*, stdout if not given: 80 columns, colour only on a terminal."""
    Console(file=file, width=WIDTH, highlight=False, soft_wrap=False, legacy_windows=False).print(page(scorecard))


def text(scorecard: Scorecard, *, one_line: bool = False, colour: bool = False) -> str:
    """*scorecard* as text; *one_line* keeps each factor to one, *colour* is for a terminal."""
    console = Console(width=WIDTH, highlight=False, no_color=not colour, force_terminal=colour)
    with console.capture() as captured:
        console.print(page(scorecard, one_line=one_line))
    return captured.get()


def page(scorecard: Scorecard, *, one_line: bool = False) -> RenderableType:
    """Everything there is to say, for a console of rich; *one_line* keeps each factor to one."""
    return Group(*_parts(scorecard, one_line))


def _parts(scorecard: Scorecard, one_line: bool) -> Iterator[RenderableType]:
    if scorecard.subject:
        yield Text(f"{scorecard.subject}\n", style="bold")
    yield summary(scorecard, one_line=one_line)
    found = list(scorecard.findings)
    counted = [finding for finding in found if not finding.excused]
    excused = [finding for finding in found if finding.excused]
    if counted:
        yield from (Text("\nFindings", style="bold"), _table(counted))
    if excused:
        yield from (Text("\nExcused, not counted", style="bold"), _table(excused))
    if scorecard.notes:
        yield Text("\nWaivers and baseline", style="bold")
        yield from (Text(f"warning: {note.text}", style="yellow") for note in scorecard.notes)
    if scorecard.changes is not None:
        yield Text("\nSince the earlier report", style="bold")
        yield from (Text(change) for change in scorecard.changes or ("nothing has changed",))
    yield Text(f"\n{scorecard}", style="bold")


def summary(scorecard: Scorecard, *, one_line: bool = False) -> Table:
    """The factors: one line each, or more where the reason needs more."""
    table = Table(box=None, padding=(0, 1), pad_edge=False, expand=True, show_header=False)
    table.add_column("factor", justify="right")
    table.add_column("name", no_wrap=True)
    table.add_column("points", justify="right")
    table.add_column("why", ratio=1, overflow="ellipsis" if one_line else "fold", no_wrap=one_line)
    for grade in scorecard.grades:
        table.add_row(grade.factor.roman, grade.factor.name, points(grade), Text(grade.why))
    return table


def points(grade: Grade) -> Text:
    """What a factor earned: 1, ½, 0, ``?`` for unknown, ``-`` for not applicable."""
    half = grade.verdict is Verdict.FAIL and grade.points
    return Text("½" if half else _WORDS[grade.verdict], style="yellow" if half else _STYLES[grade.verdict])


def _table(findings: Iterable[Finding]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, expand=True, show_header=False)
    table.add_column("rule", no_wrap=True)
    table.add_column("what", ratio=1, overflow="fold")
    for finding in findings:
        style = "dim" if finding.excused else _COSTS[finding.severity]
        table.add_row(Text(finding.rule.id, style=style), Text(_told(finding), overflow="fold"))
    return table


def _told(finding: Finding) -> str:
    times = f" ({finding.count} times)" if finding.count > 1 else ""
    said = str(finding).removeprefix(finding.rule.id).strip()
    return "\n".join([f"{said}{times}", *excuse(finding)])


def excuse(finding: Finding) -> list[str]:
    """Why a finding does not count, or no longer: at most one line."""
    if finding.known:
        return ["known: the baseline lists it"]
    if not finding.waived:
        return []
    if finding.overdue:
        return [f"was waived until {finding.until}: {finding.waived}"]
    return [f"waived{f' until {finding.until}' if finding.until else ''}: {finding.waived}"]
