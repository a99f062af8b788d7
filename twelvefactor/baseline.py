"""Findings that were there when the library was adopted: listed, told, and not counted until they are mended."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from twelvefactor.exceptions import UsageError
from twelvefactor.factor import Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from twelvefactor.factor import Finding, Ruling

HEAD = """\
# Findings that are known: told, and not counted. One a line, the rule and the culprit.
# Take a line out when it is mended; what is not listed here is new and counts.
"""


def key(finding: Finding) -> tuple[str, str]:
    """What a finding is known by: lines of code move, so its place is no part of it."""
    return finding.rule.id, " ".join(finding.culprit.split())


def read(path: Path) -> frozenset[tuple[str, str]]:
    """
    The known findings of a file.

    Raises:
        UsageError: The file is missing or a line names no rule and culprit; says which.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: no baseline can be read there ({type(error).__name__})") from None
    return frozenset(
        _parsed(path, number, line)
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    )


def _parsed(path: Path, number: int, line: str) -> tuple[str, str]:
    rule, *culprit = line.partition("  #")[0].split()
    if not rule.startswith("TF") or not culprit:
        raise UsageError(f"{path}:{number}: expected a rule and a culprit, such as 'TF602 shop.cache'")
    return rule, " ".join(culprit)


def write(findings: Iterable[Finding], path: Path) -> int:
    """List the *findings* that no waiver excuses in *path*, whole or not at all; how many they are."""
    known = {key(finding): finding for finding in findings if not finding.waived}
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text(HEAD + "".join(_lines(known[each]) for each in sorted(known)), encoding="utf-8")
    half.replace(path)
    return len(known)


def _lines(finding: Finding) -> str:
    rule, culprit = key(finding)
    place = f"{finding.where}: " if finding.where else ""
    return f"\n# {place}{' '.join(finding.message.split())}\n{rule} {culprit}\n"


def apply(
    rulings: Iterable[Ruling], known: Collection[tuple[str, str]]
) -> tuple[tuple[Ruling, ...], tuple[tuple[str, str], ...]]:
    """
    The *rulings* with known findings marked as such, and the known ones that are gone.

    Gone is only what a sensor looked for and did not find; where nobody looked, nothing is said.
    """
    judged = tuple(ruling.with_findings(tuple(_marked(each, known) for each in ruling.findings)) for ruling in rulings)
    present = {key(finding) for ruling in judged for finding in ruling.findings}
    looked = {ruling.rule.id for ruling in judged if (ruling.otherwise or ruling).verdict is Verdict.PASS}
    return judged, tuple(sorted(each for each in known if each not in present and each[0] in looked))


def _marked(finding: Finding, known: Collection[tuple[str, str]]) -> Finding:
    return replace(finding, known=True) if key(finding) in known and not finding.excused else finding
