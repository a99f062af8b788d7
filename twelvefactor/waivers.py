"""
Findings that somebody answers for: ``[[tool.twelvefactor.waivers]]``, each with a reason.

A waiver holds wherever the finding goes: the stream, the score, pytest, enforcement. It is told with the
finding and its reason.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twelvefactor.factor import Finding

KEYS = ("rule", "where", "reason", "until")
_RULE = re.compile(r"TF([1-9]|1[0-2])\d\d")


@dataclass(frozen=True, slots=True)
class Waiver:
    """
    One decision to live with a finding.

    Attributes:
        rule: The id of the rule.
        where: A culprit, a file, or ``file:line``; ``*`` stands for anything. Empty is every finding of the rule.
        reason: Why; required.
        until: The last day of it, or None.

    >>> from twelvefactor.factor import Finding, Moment, Rule, Severity
    >>> rule = Rule("TF602", "t", Severity.ERROR, (Moment.RUN,), "f")
    >>> Waiver("TF602", "shop/*.py", "rebuilt on demand").covers(Finding(rule, "m", "shop.CACHE", "shop/views.py:3"))
    True
    """

    rule: str
    where: str = ""
    reason: str = ""
    until: dt.date | None = None

    def covers(self, finding: Finding) -> bool:
        """Whether it is about *finding*."""
        if finding.rule.id != self.rule:
            return False
        if not self.where:
            return True
        file = finding.where.rpartition(":")[0]
        names = (finding.culprit, finding.where, file or finding.where)
        return any(name == self.where or fnmatchcase(name, self.where) for name in names)

    def is_over(self, today: dt.date) -> bool:
        """Whether its date has passed."""
        return self.until is not None and today > self.until

    def as_dict(self) -> dict[str, Any]:
        """The same as it is written."""
        return {
            "rule": self.rule,
            "where": self.where,
            "reason": self.reason,
            "until": None if self.until is None else self.until.isoformat(),
        }

    def __str__(self) -> str:
        return f"{self.rule} at {self.where}" if self.where else self.rule


@dataclass(slots=True)
class Waivers:
    """
    The waivers of one codebase; what could not be understood is a problem and excuses nothing. Thread-safe.

    Attributes:
        held: Those that hold.
        problems: One sentence for each that does not.
        used: Those that excused something so far.
    """

    held: tuple[Waiver, ...] = ()
    problems: tuple[str, ...] = ()
    used: set[Waiver] = field(default_factory=set)

    @classmethod
    def declared(cls, table: Mapping[str, Any], source: Any = None) -> Waivers:
        """
        Those of a ``[tool.twelvefactor]`` table; never raises.

        Args:
            table: The table, from pyproject or the build manifest.
            source: The file that it is from, for messages.
        """
        entries = table.get("waivers", [])
        name = getattr(source, "name", None) or "pyproject.toml"
        if not isinstance(entries, list):
            return cls(problems=(f"{name}: waivers is no array; each one is written as [[tool.twelvefactor.waivers]]",))
        read = [_read(entry, f"{name}: waiver {number}") for number, entry in enumerate(entries, 1)]
        return cls(
            tuple(each for each in read if isinstance(each, Waiver)),
            tuple(each for each in read if isinstance(each, str)),
        )

    def excuse(self, finding: Finding) -> Finding:
        """*finding* with the reason of the waiver that covers it, or as it is."""
        for waiver in self.held:
            if waiver.covers(finding):
                self.used.add(waiver)
                return replace(finding, waived=waiver.reason, until=waiver.until)
        return finding

    def stale(self) -> tuple[Waiver, ...]:
        """Those that excused nothing; only who saw everything may say so."""
        return tuple(waiver for waiver in self.held if waiver not in self.used)


def _read(entry: Any, name: str) -> Waiver | str:
    """A waiver, or why it is none."""
    if not isinstance(entry, dict):
        return f"{name} is no table; expected {', '.join(KEYS)}"
    rule = entry.get("rule")
    name = f"{name} ({rule})" if isinstance(rule, str) else name
    problems = list(_problems(entry, rule))
    if problems:
        return f"{name} does not hold: {'; '.join(problems)}"
    return Waiver(str(rule), entry.get("where", ""), entry["reason"].strip(), _date(entry.get("until")))


def _problems(entry: Mapping[str, Any], rule: Any) -> Iterable[str]:
    unknown = sorted(set(entry) - set(KEYS))
    if unknown:
        yield f"{', '.join(map(repr, unknown))} means nothing here (known: {', '.join(KEYS)})"
    if not isinstance(rule, str) or not _RULE.fullmatch(rule):
        yield "rule names no rule; give an id such as 'TF602'"
    if not isinstance(entry.get("where", ""), str):
        yield "where is no text; give a culprit such as 'shop.CACHE', or a file"
    reason = entry.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        yield "it has no reason; say why this may stay, and until when"
    if "until" in entry and _date(entry["until"]) is None:
        yield f"until is no date; write until = {dt.date.today().isoformat()}"  # noqa: DTZ011 - the reader's own day


def _date(value: Any) -> dt.date | None:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
