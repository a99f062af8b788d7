"""One scorecard from what several processes saw, with waivers and the baseline applied."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

from twelvefactor import baseline as known_findings
from twelvefactor.report.evidence import merge
from twelvefactor.report.rules import all_rules
from twelvefactor.report.score import Note, Scorecard, grade
from twelvefactor.waivers import Waivers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from twelvefactor.factor import Finding, Ruling
    from twelvefactor.report.evidence import Record
    from twelvefactor.waivers import Waiver


def gather(
    records: Sequence[Record],
    *,
    waivers: Waivers | None = None,
    baseline: Collection[tuple[str, str]] | None = None,
    today: dt.date | None = None,
    whole: bool = False,
    root: Path | None = None,
) -> Scorecard:
    """
    Grade what *records* tell.

    Args:
        records: What each process saw.
        waivers: Those of the codebase as it is now, beside the ones that the processes knew.
        baseline: Known findings, or None for no baseline.
        today: The day by which a waiver is over; this day if not given.
        whole: Whether everything was exercised, so that a waiver that excused nothing is not needed.
        root: The codebase root, where it is on this machine.
    """
    waivers = waivers or Waivers()
    today = today or dt.date.today()  # noqa: DTZ011 - the reader's own day
    rulings: Iterable[Ruling] = merge(record.rulings for record in records)
    rulings = [_again(ruling, waivers, today) for ruling in rulings]
    gone: tuple[tuple[str, str], ...] = ()
    if baseline is not None:
        rulings, gone = known_findings.apply(rulings, baseline)
    notes = [*_problems(records, waivers), *_overdue(records, waivers, today)]
    if whole:
        notes += _unused(records, waivers)
    notes += [
        Note("baseline-gone", f"{rule} {culprit} is gone; take its line out of the baseline") for rule, culprit in gone
    ]
    return replace(
        grade(rulings),
        subject=_subject(records),
        notes=tuple(notes),
        root=root,
        against_baseline=baseline is not None,
    )


def _again(ruling: Ruling, waivers: Waivers, today: dt.date) -> Ruling:
    """*ruling* under the waivers of now; one whose day has passed is no longer a full excuse."""
    if not ruling.findings:
        return ruling
    return ruling.with_findings(tuple(_dated(waivers.excuse(each), today) for each in ruling.findings))


def _dated(finding: Finding, today: dt.date) -> Finding:
    over = bool(finding.waived) and finding.until is not None and today > finding.until
    return replace(finding, overdue=True) if over else finding


def _held(records: Iterable[Record], waivers: Waivers) -> tuple[Waiver, ...]:
    """Every waiver that anybody knew, once."""
    told = [waiver for record in records for waiver, _ in record.waivers]
    return tuple(dict.fromkeys([*told, *waivers.held]))


def _problems(records: Iterable[Record], waivers: Waivers) -> Iterator[Note]:
    told = [problem for record in records for problem in record.problems]
    for problem in dict.fromkeys([*told, *waivers.problems]):
        yield Note("waiver-invalid", problem)
    ids = [rule.id for rule in all_rules()]
    for waiver in _held(records, waivers):
        if waiver.rule not in ids:
            hint = "`twelvefactor explain all` lists them"
            yield Note("waiver-invalid", f"the waiver of {waiver} excuses nothing: no rule has that id; {hint}")


def _overdue(records: Iterable[Record], waivers: Waivers, today: dt.date) -> Iterator[Note]:
    for waiver in _held(records, waivers):
        if waiver.is_over(today):
            text = f"the waiver of {waiver} ended on {waiver.until} ({waiver.reason}); mend it, or renew the date"
            yield Note("waiver-overdue", text)


def _unused(records: Iterable[Record], waivers: Waivers) -> Iterator[Note]:
    used = {waiver for record in records for waiver, was in record.waivers if was} | waivers.used
    for waiver in _held(records, waivers):
        if waiver not in used:
            yield Note("waiver-unused", f"the waiver of {waiver} excused nothing in the whole run; take it out")


def _subject(records: Sequence[Record]) -> str:
    names = dict.fromkeys(
        f"{record.service}, release {record.release}" if record.release else record.service
        for record in records
        if record.service
    )
    return "; ".join(names)
