"""What is otherwise than in an earlier report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twelvefactor.exceptions import UsageError
from twelvefactor.report import json as machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twelvefactor.report.score import Scorecard


def read(path: Path) -> dict[str, Any]:
    """
    An earlier report, as ``check --format json`` wrote it.

    Raises:
        UsageError: The file is missing, broken or of another schema.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["schema"] != machine.SCHEMA:
            raise UsageError(f"{path}: schema is {told['schema']!r}, this version reads {machine.SCHEMA!r}")
        _findings(told), _grades(told), float(told["score"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: no report of `twelvefactor check --format json` ({type(error).__name__})") from None
    return dict(told)


def changes(earlier: dict[str, Any], scorecard: Scorecard) -> tuple[str, ...]:
    """One sentence for each difference: the score, the factors, what is new and what is gone."""
    return tuple(_changes(earlier, machine.document(scorecard)))


def _changes(earlier: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    if _score(earlier) != _score(now):
        yield f"score: {_score(earlier)}, now {_score(now)}"
    before = _grades(earlier)
    for roman, grade in _grades(now).items():
        if roman in before and before[roman] != grade:
            yield f"{roman}: {before[roman]}, now {grade}"
    old, new = _findings(earlier), _findings(now)
    seen = {rule for rule, _ in new} | _looked(now)
    for key in new:
        if key not in old:
            yield f"new: {key[0]} {key[1]}: {new[key]}"
    for key in old:
        if key not in new:
            yield f"{'gone' if key[0] in seen else 'not looked at'}: {key[0]} {key[1]}"


def _score(report: dict[str, Any]) -> str:
    return f"{report['score']:g} of {report['decided']} decided ({report['unknown']} ?)"


def _grades(report: dict[str, Any]) -> dict[str, str]:
    return {
        factor["roman"]: f"{factor['score']:g}" if factor["verdict"] in {"pass", "fail"} else factor["verdict"]
        for factor in report["factors"]
    }


def _rules(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (rule for factor in report["factors"] for rule in factor["rules"])


def _looked(report: dict[str, Any]) -> set[str]:
    return {rule["id"] for rule in _rules(report) if rule["verdict"] == "pass"}


def _findings(report: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(rule["id"], each["culprit"]): each["message"] for rule in _rules(report) for each in rule["findings"]}
