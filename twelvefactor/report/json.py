"""The scorecard for machines; ``docs/reference/scorecard.schema.json`` is its schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twelvefactor.report.score import SCORECARD

if TYPE_CHECKING:
    from twelvefactor.factor import Finding, Ruling
    from twelvefactor.report.score import Grade, Scorecard

SCHEMA = "twelvefactor-scorecard/1"


def text(scorecard: Scorecard) -> str:
    """*scorecard* as JSON."""
    return json.dumps(document(scorecard), indent=2, ensure_ascii=False)


def document(scorecard: Scorecard) -> dict[str, Any]:
    """*scorecard* as the published schema spells it."""
    told = {
        "schema": SCHEMA,
        "scorecard": SCORECARD,
        "subject": scorecard.subject,
        "score": scorecard.points,
        "decided": scorecard.decided,
        "unknown": scorecard.unknown,
        "not_applicable": scorecard.not_applicable,
        "factors": [_factor(grade) for grade in scorecard.grades],
        "notes": [{"kind": note.kind, "text": note.text} for note in scorecard.notes],
    }
    return told if scorecard.changes is None else {**told, "changes": list(scorecard.changes)}


def _factor(grade: Grade) -> dict[str, Any]:
    return {
        "number": grade.factor.number,
        "roman": grade.factor.roman,
        "name": grade.factor.name,
        "verdict": grade.verdict.value,
        "score": grade.points,
        "rules": [_rule(ruling) for ruling in grade.rulings],
    }


def _rule(ruling: Ruling) -> dict[str, Any]:
    return {
        "id": ruling.rule.id,
        "title": ruling.rule.title,
        "severity": ruling.rule.severity.value,
        "deciding": ruling.rule.deciding,
        "verdict": ruling.verdict.value,
        "because": ruling.because,
        "findings": [finding(each) for each in ruling.findings],
    }


def finding(each: Finding) -> dict[str, Any]:
    """One finding."""
    return {
        "message": each.message,
        "culprit": each.culprit,
        "where": each.where,
        "fix": each.hint or each.rule.fix,
        "count": each.count,
        "severity": each.severity.value,
        "counted": not each.excused,
        "waived": each.waived or None,
        "until": None if each.until is None else each.until.isoformat(),
        "known": each.known,
    }
