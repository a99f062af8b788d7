"""What a process saw, as a file that outlives it; several are merged into one scorecard."""

from __future__ import annotations

import datetime as dt
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twelvefactor.exceptions import UsageError
from twelvefactor.factor import Finding, Ruling, Severity, Verdict
from twelvefactor.report.rules import all_rules
from twelvefactor.report.score import SCORECARD
from twelvefactor.waivers import Waiver

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twelvefactor.service import Service

SCHEMA = "twelvefactor-evidence/1"


@dataclass(frozen=True, slots=True)
class Record:
    """
    What one process saw.

    Attributes:
        rulings: One a rule.
        service: The service's name.
        release: The release's name.
        process_type: What the process was, or None.
        waivers: Those that held, and whether each excused something.
        problems: Waivers that do not hold, and why.
    """

    rulings: tuple[Ruling, ...]
    service: str = ""
    release: str = ""
    process_type: str | None = None
    waivers: tuple[tuple[Waiver, bool], ...] = ()
    problems: tuple[str, ...] = ()


def write(service: Service[Any], path: str | Path) -> None:
    """
    Write what *service* saw to *path*, whole or not at all.

    Where *path* is a folder the file is named after the process, so that several processes can write side by side.
    """
    target = Path(path)
    if target.is_dir():
        target = target / f"{service.name}-{service.process_type or 'process'}-{os.getpid()}.json"
    half = target.with_name(f".{target.name}.{os.getpid()}")
    half.write_text(json.dumps(document(service), indent=1), encoding="utf-8")
    half.replace(target)


def document(service: Service[Any]) -> dict[str, Any]:
    """What *service* saw, as the evidence file spells it."""
    rulings = [service.evidence.ruling(rule) for rule in all_rules()]
    return {
        "schema": SCHEMA,
        "scorecard": SCORECARD,
        "service": service.name,
        "process_type": service.process_type,
        "release": service.release.name,
        "rules": {ruling.rule.id: _ruling(ruling) for ruling in rulings},
        "waivers": [{**waiver.as_dict(), "used": waiver in service.waivers.used} for waiver in service.waivers.held],
        "waiver_problems": list(service.waivers.problems),
    }


def _ruling(ruling: Ruling) -> dict[str, Any]:
    told: dict[str, Any] = {"verdict": ruling.verdict.value, "because": ruling.because}
    if ruling.findings:
        told["findings"] = [_finding(finding) for finding in ruling.findings]
    if ruling.otherwise is not None:
        told["otherwise"] = {"verdict": ruling.otherwise.verdict.value, "because": ruling.otherwise.because}
    return told


def _finding(finding: Finding) -> dict[str, Any]:
    told = {
        "message": finding.message,
        "culprit": finding.culprit,
        "where": finding.where,
        "hint": finding.hint,
        "work": finding.work,
        "count": finding.count,
        "severity": finding.rule.severity.value,  # that of the case at hand, which may be milder than the rule's
    }
    if finding.waived:
        told |= {"waived": finding.waived, "until": None if finding.until is None else finding.until.isoformat()}
    return told


def read(path: str | Path) -> tuple[Ruling, ...]:
    """
    The rulings of one evidence file; a rule that it does not know of is unknown.

    Raises:
        UsageError: The file is missing, broken or of another schema.
    """
    return read_record(path).rulings


def read_record(path: str | Path) -> Record:
    """
    All that one evidence file tells.

    Raises:
        UsageError: The file is missing, broken or of another schema.
    """
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        if told["schema"] != SCHEMA:
            raise UsageError(f"{path}: schema is {told['schema']!r}, this version reads {SCHEMA!r}")
        return parse(told)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: not an evidence file ({type(error).__name__})") from None


def parse(told: Any) -> Record:
    """The record of a document that `document` made; raises what a document of another shape leads to."""
    rules = told["rules"]
    return Record(
        tuple(_read_ruling(rule, rules.get(rule.id)) for rule in all_rules()),
        str(told.get("service") or ""),
        str(told.get("release") or ""),
        told.get("process_type"),
        tuple((_read_waiver(each), bool(each["used"])) for each in told.get("waivers", ())),
        tuple(map(str, told.get("waiver_problems", ()))),
    )


def _read_ruling(rule: Any, told: Any) -> Ruling:
    if told is None:
        return Ruling(rule, Verdict.UNKNOWN, "the process that wrote the evidence did not know this rule")
    ruling = Ruling(rule, Verdict(told["verdict"]), told["because"])
    findings = tuple(_read_finding(rule, each) for each in told.get("findings", ()))
    if not findings:
        return ruling
    rest = told.get("otherwise") or {"verdict": "pass", "because": "nothing but what is excused was found"}
    return Ruling(rule, Verdict(rest["verdict"]), rest["because"]).with_findings(findings)


def _read_finding(rule: Any, told: Any) -> Finding:
    told = {**told, "until": _date(told.get("until"))}
    severity = told.pop("severity", None)
    return Finding(rule if severity is None else replace(rule, severity=Severity(severity)), **told)


def _read_waiver(told: Any) -> Waiver:
    return Waiver(told["rule"], told["where"], told["reason"], _date(told["until"]))


def _date(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text)


_WEIGHT = {Verdict.FAIL: 3, Verdict.PASS: 2, Verdict.UNKNOWN: 1, Verdict.NOT_APPLICABLE: 0}


def merge(files: Iterable[tuple[Ruling, ...]]) -> tuple[Ruling, ...]:
    """
    One ruling a rule from those of several processes: a failure anywhere fails, a pass anywhere else passes.

    One process looks where another cannot, so what somebody saw beats what somebody could not see.
    """
    merged: dict[str, Ruling] = {}
    for ruling in (ruling for file in files for ruling in file):
        known = merged.get(ruling.rule.id)
        merged[ruling.rule.id] = ruling if known is None else _together(known, ruling)
    return tuple(merged.values())


def _together(one: Ruling, other: Ruling) -> Ruling:
    rest = max(one.otherwise or one, other.otherwise or other, key=lambda ruling: _WEIGHT[ruling.verdict])
    found: dict[str, Finding] = {}
    for finding in (*one.findings, *other.findings):
        seen = found.get(finding.culprit)
        found[finding.culprit] = finding if seen is None else _same(seen, finding)
    return rest.with_findings(tuple(found.values()))


def _same(one: Finding, other: Finding) -> Finding:
    """One finding from two of the same culprit: excused only where both are."""
    kept = other if one.excused and not other.excused else one
    return replace(kept, count=one.count + other.count)
