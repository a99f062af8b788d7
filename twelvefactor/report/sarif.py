"""The scorecard as SARIF 2.1.0, for code-scanning viewers."""

from __future__ import annotations

import hashlib
import json
import re
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from twelvefactor.factor import Severity
from twelvefactor.report.rules import all_rules, page
from twelvefactor.report.score import SCORECARD

if TYPE_CHECKING:
    from pathlib import Path

    from twelvefactor.factor import Finding, Rule
    from twelvefactor.report.score import Scorecard

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MANIFESTO = "https://12factor.net/"
ROOT = "CODEBASE"  # what places are relative to
NOWHERE = "pyproject.toml"  # viewers do not show a result without a place
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_PLACE = re.compile(r"(?P<file>[^\s:][^:\n]*):(?P<line>[1-9]\d*)")


def text(scorecard: Scorecard) -> str:
    """*scorecard* as SARIF."""
    return json.dumps(document(scorecard), indent=2, ensure_ascii=False)


def document(scorecard: Scorecard) -> dict[str, Any]:
    """*scorecard* as a SARIF log: one run, one result a finding; an excused one is suppressed with its reason."""
    rules = [rule for rule in all_rules() if rule.factor in {grade.factor for grade in scorecard.grades}]
    index = {rule.id: number for number, rule in enumerate(rules)}
    run: dict[str, Any] = {
        "tool": {"driver": {**_driver(), "rules": [_rule(rule) for rule in rules]}},
        "automationDetails": {"id": "twelvefactor/"},  # by which a viewer tells our results from another tool's
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, index, scorecard) for each in scorecard.findings],
        "properties": {"scorecard": SCORECARD, "score": scorecard.points, "decided": scorecard.decided},
    }
    if scorecard.root is not None:
        run["originalUriBaseIds"] = {ROOT: {"uri": f"{scorecard.root.resolve().as_uri()}/"}}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _driver() -> dict[str, str]:
    named = {"name": "twelvefactor", "informationUri": MANIFESTO}
    try:
        version = metadata.version("twelvefactor-runtime")
    except metadata.PackageNotFoundError:
        return {**named, "fullName": "twelvefactor"}
    return {**named, "fullName": f"twelvefactor {version}", "version": version}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": _name(rule.title),
        "helpUri": f"{MANIFESTO}{rule.factor.page}",
        "shortDescription": {"text": _sentence(rule.title)},
        "fullDescription": {"text": f"{rule.factor}. Fires when {rule.title}."},
        "help": {"text": _sentence(rule.fix), "markdown": page(rule) or _sentence(rule.fix)},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["twelve-factor", rule.factor.page], "deciding": rule.deciding},
    }


def _name(title: str) -> str:
    """
    *title* as viewers want names.

    >>> _name("`.env` is read, or two of them")
    'EnvIsReadOrTwoOfThem'
    """
    return "".join(word[:1].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", title))


def _sentence(words: str) -> str:
    """
    *words* from a capital to a full stop; a name that they begin with stays as it is.

    >>> _sentence("work left a file"), _sentence("shop.carts was changed.")
    ('Work left a file.', 'shop.carts was changed.')
    """
    begins = words.partition(" ")[0]
    first = words[:1].upper() if begins.isalpha() else words[:1]
    return f"{first}{words[1:].rstrip('.')}."


def _result(finding: Finding, index: dict[str, int], scorecard: Scorecard) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule.id,
        "ruleIndex": index[finding.rule.id],
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{_sentence(finding.message)} {_sentence(finding.hint or finding.rule.fix)}"},
        "locations": [_location(finding, scorecard.root)],
        "partialFingerprints": {"ruleAndCulprit/v1": _fingerprint(finding)},
        "occurrenceCount": finding.count,
        "suppressions": [],
    }
    if finding.excused:
        reason = "the baseline lists it" if finding.known else finding.waived
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": reason}]
    if scorecard.against_baseline:
        result["baselineState"] = "unchanged" if finding.known else "new"
    return result


def _fingerprint(finding: Finding) -> str:
    """The same for the same culprit, wherever its line has gone."""
    return hashlib.sha256(f"{finding.rule.id} {finding.culprit}".encode()).hexdigest()


def _location(finding: Finding, root: Path | None) -> dict[str, Any]:
    place = _PLACE.fullmatch(finding.where)
    physical: dict[str, Any] = {"artifactLocation": _artifact(place["file"] if place else NOWHERE, root)}
    physical["region"] = {"startLine": int(place["line"]) if place else 1}
    return {"physicalLocation": physical, "logicalLocations": [{"fullyQualifiedName": finding.culprit}]}


def _artifact(file: str, root: Path | None) -> dict[str, Any]:
    """Below the codebase root as a relative reference; elsewhere by its whole name."""
    if root is not None:
        file = file.removeprefix(f"{root}/").removeprefix(f"{root.resolve()}/")
    if file.startswith("/"):
        return {"uri": f"file://{quote(file)}"}
    return {"uri": quote(file.removeprefix("./")), "uriBaseId": ROOT}
