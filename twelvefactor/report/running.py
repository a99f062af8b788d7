"""What a running process says of itself: its score, its findings, and the same as numbers for those who keep them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from twelvefactor.disposability.lifecycle import State
from twelvefactor.factor import Verdict
from twelvefactor.report.score import judge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twelvefactor.report.score import Grade, Scorecard
    from twelvefactor.service import Service

_MARKS = {Verdict.UNKNOWN: "?", Verdict.NOT_APPLICABLE: "-"}


def scorecard(service: Service[Any]) -> Scorecard:
    """The scorecard of *service* from what was seen so far."""
    return replace(judge(service.evidence.ruling), subject=_subject(service))


def _subject(service: Service[Any]) -> str:
    release = service.release.name
    return f"{service.name}, release {release}" if release else service.name


def say(service: Service[Any]) -> Scorecard:
    """Say the score of *service* as one event on its stream; gives the scorecard."""
    card = scorecard(service)
    service.event(
        "info",
        "twelvefactor.score",
        score=card.points,
        decided=card.decided,
        unknown=card.unknown,
        not_applicable=card.not_applicable,
        factors={grade.factor.roman: _mark(grade) for grade in card.grades},
        findings=dict(_counts(service)),
    )
    return card


def _mark(grade: Grade) -> float | str:
    """What a factor earned, or why it is not a number."""
    return _MARKS.get(grade.verdict, grade.points)


def findings(service: Service[Any]) -> list[dict[str, Any]]:
    """The findings of *service* so far, as data."""
    return [
        {
            "rule": finding.rule.id,
            "title": finding.rule.title,
            "severity": finding.rule.severity.value,
            "message": finding.message,
            "culprit": finding.culprit,
            "where": finding.where,
            "hint": finding.hint or finding.rule.fix,
            "work": finding.work,
            "count": finding.count,
        }
        for finding in service.findings
    ]


def _counts(service: Service[Any]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for finding in service.findings:
        counts[finding.rule.id] += finding.count
    return counts


@dataclass(frozen=True, slots=True)
class Metric:
    """
    One number, or one for each set of labels, in nobody's format yet.

    Attributes:
        name: In words separated by underscores, the library's own in front.
        help: What it says, in one line.
        kind: ``counter`` only ever grows.
        values: Pairs of labels and value.
    """

    name: str
    help: str
    kind: Literal["gauge", "counter"]
    values: tuple[tuple[Mapping[str, str], float], ...]


PREFIX: Final = "twelvefactor_"
NO_LABELS: Final[Mapping[str, str]] = {}


def metrics(service: Service[Any]) -> Iterator[Metric]:
    """What *service* is, in numbers, now."""
    card, counts, state = scorecard(service), _counts(service), service.lifecycle.state
    yield _one("score", "Points of the factors that could be decided, of twelve", card.points)
    yield _one("factors_decided", "Factors that could be decided, of twelve", card.decided)
    yield _gauge("factor_score", "Points of each decided factor", [
        ({"factor": grade.factor.roman}, grade.points) for grade in card.grades if grade.verdict not in _MARKS
    ])  # fmt: skip
    yield Metric(
        f"{PREFIX}findings",
        "Times that a rule was seen not to hold",
        "counter",
        tuple(({"rule": rule}, times) for rule, times in sorted(counts.items())),
    )
    yield _one("in_flight", "Units of work in hand", len(service.in_flight))
    yield _gauge("state", "Where in its life the process is: 1 for the state that it is in", [
        ({"state": each.word}, each is state) for each in State
    ])  # fmt: skip
    yield _one("ready", "Whether traffic is welcome", service.readiness() in ("ok", "degraded"))
    yield Metric(f"{PREFIX}events_lost", "Lines of the event stream that nobody took", "counter",
                 ((NO_LABELS, service.stream.lost),))  # fmt: skip
    yield _gauge("release_info", "Which release runs", [(_release(service), 1)])


def _release(service: Service[Any]) -> dict[str, str]:
    release = service.release
    told = {
        "service": service.name,
        "release": release.name,
        "digest": release.digest,
        "commit": release.commit,
        "process_type": service.process_type,
    }
    return {label: str(value or "") for label, value in told.items()}


def _one(name: str, what: str, value: float) -> Metric:
    return _gauge(name, what, [(NO_LABELS, value)])


def _gauge(name: str, what: str, values: list[tuple[Mapping[str, str], float]]) -> Metric:
    return Metric(f"{PREFIX}{name}", what, "gauge", tuple((labels, float(value)) for labels, value in values))
