"""Turn a verdict into a finding: the path, the line that wrote, the units to blame, and the next step."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twelvefactor.factor import Finding
from twelvefactor.processes.rules import TF601, TF602, TF603, TF607
from twelvefactor.processes.writers import BY_NAME, CERTAIN, LIKELY

if TYPE_CHECKING:
    from twelvefactor._core.appcode import AppCode
    from twelvefactor.factor import Rule
    from twelvefactor.processes.cases import Case
    from twelvefactor.processes.watch import StateWatch
    from twelvefactor.processes.writers import Match

Line = tuple[str, int]
_MOST_LINES = 3
_SURE, _FITS = 5, 2
_HINTS = {
    "closure": "keep it in a backing service; a closure lives as long as the function that holds it",
    "default": "a default is made once for all calls: use None and make it inside",
    "lru_cache": "cache what no request decides, or mark it with twelvefactor.process_local(..., bound=...)",
    "file": "write to an attached resource; the disk of a process is nobody else's",
}


class Place:
    """Where the change was made, and how sure that is."""

    __slots__ = ("certainty", "lines")

    def __init__(self, lines: list[Line], certainty: str) -> None:
        self.lines = lines
        self.certainty = certainty


def place(case: Case | None, matches: list[Match], ran: frozenset[Line]) -> Place:
    """
    The lines that made the change.

    A line that was seen to make it beats all; then the sites that fit best and ran; then those that fit by name.
    """
    seen = [] if case is None else [line for line, _ in case.lines.most_common(_MOST_LINES)]
    if case is not None and case.role == "lru_cache" and matches:
        return Place(list(dict.fromkeys([*_lines(matches), *seen]))[:_MOST_LINES], CERTAIN)
    if seen:
        return _confirmed(seen, matches, ran)
    if not matches:
        return Place([], BY_NAME)
    best = [match for match in matches if match.score == matches[0].score]
    hit = [match for match in best if any(line in ran for line in _span(match))]
    if not hit:
        lower = [match for match in matches if match.score >= _FITS and any(line in ran for line in _span(match))]
        hit = [match for match in lower if match.score == lower[0].score] if lower and best[0].score < _SURE else hit
    chosen = hit or best
    return Place(_lines(chosen), _certainty(chosen, ran_known=bool(hit)))


def _confirmed(seen: list[Line], matches: list[Match], ran: frozenset[Line]) -> Place:
    """A line seen to make the change, told by the first line of its statement; a sure site beside it that ran wins."""
    lines: list[Line] = []
    for line in seen:
        site = next((match for match in matches if match.score >= 1 and line in _span(match)), None)
        lines.append((site.site.file, site.site.line) if site is not None else line)
    sure = [match for match in matches if match.score > _SURE and any(line in ran for line in _span(match))]
    if sure and not any((match.site.file, match.site.line) in lines for match in sure):
        fitting = [match for match in matches if (match.site.file, match.site.line) in lines and match.score >= _FITS]
        if not fitting:
            lines = _lines(sure)
    return Place(list(dict.fromkeys(lines)), CERTAIN)


def _span(match: Match) -> list[Line]:
    return [(match.site.file, line) for line in range(match.site.line, match.site.last + 1)]


def _lines(matches: list[Match]) -> list[Line]:
    return list(dict.fromkeys((match.site.file, match.site.line) for match in matches))[:_MOST_LINES]


def _certainty(matches: list[Match], *, ran_known: bool) -> str:
    if matches[0].score >= _SURE and (ran_known or len(_lines(matches)) == 1):
        return CERTAIN
    return LIKELY if matches[0].score >= _FITS else BY_NAME


def plausible(case: Case, matches: list[Match], *, lines_known: bool) -> bool:
    """Whether a line of the app can have made the change; only asked where other code may have."""
    best = matches[0].score if matches else 0
    if case.foreign:
        return best >= (_SURE if lines_known else _FITS) or _effect_fits(case, matches)
    if case.role == "module" and not case.entry:
        return best >= _FITS
    if case.role in {"class", "instance", "slots"} and not case.entry:
        return best >= _FITS or bool(case.lines)
    return True


def _effect_fits(case: Case, matches: list[Match]) -> bool:
    return any(line in case.lines for match in matches for line in _span(match))


def report(watch: StateWatch, case: Case, where: Place) -> None:
    """Hand the finding to the evidence."""
    finding = _finding(case, where, watch.process.app_code)
    case.finding = finding
    watch.process.evidence.report(finding)


def repeat(watch: StateWatch, case: Case) -> None:
    """It happened again: count it."""
    if case.finding is not None:
        watch.process.evidence.report(replace(case.finding, count=1))


def in_a_thread(call: Any, *args: Any) -> threading.Thread:
    """Do what takes long beside the app, not in its way."""
    thread = threading.Thread(target=call, args=args, name="twelvefactor-leaks", daemon=True)
    thread.start()
    return thread


def _finding(case: Case, where: Place, app_code: AppCode) -> Finding:
    rule = _rule(case)
    lines = [relative(app_code, *line) for line in where.lines]
    return Finding(
        rule,
        _message(case, rule),
        culprit=case.path,
        where=lines[0] if lines else "",
        hint=_hint(case, rule),
        evidence={
            "kind": case.role,
            "certainty": where.certainty,
            "lines": lines,
            "works": list(case.works),
            "units": case.seen,
            "before": case.before,
            "after": case.after,
            "because": case.evidence or "it changed again and again",
        },
        work=case.works[0] if case.works else None,
        count=max(1, case.seen),
    )


def relative(app_code: AppCode, file: str, line: int) -> str:
    """``file:line`` as a finding says it."""
    root = app_code.root
    prefix = "" if root is None else str(root.resolve()).rstrip("/") + "/"
    return f"{file.removeprefix(prefix)}:{line}"


def _rule(case: Case) -> Rule:
    if case.patched:
        return TF607
    if case.role == "file":
        return TF603
    return TF602 if case.growing or case.role == "lru_cache" else TF601


def _message(case: Case, rule: Rule) -> str:
    times = "one unit of work" if case.seen <= 1 else f"{case.seen} units of work"
    change = f"{case.before} to {case.after}"
    if rule is TF607:
        return f"{case.path}: code was replaced during {times}"
    if rule is TF602:
        return f"{case.path} ({case.role}) gained entries in {times}: {change}"
    if rule is TF603:
        return f"{case.path} ({case.role}) was written to in {times}: {change}"
    return f"{case.path} ({case.role}) was changed by {times} and stayed so: {change}"


def _hint(case: Case, rule: Rule) -> str:
    return _HINTS.get(case.role, "") or rule.fix
