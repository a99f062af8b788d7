"""Say what a process is judged by: a factor, its rules, and what was found."""

from __future__ import annotations

import enum
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping

_ROMANS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")


@dataclass(frozen=True, slots=True)
class Factor:
    """
    One of the twelve, by the manifesto's own number, name and sentence.

    >>> FACTORS[8].roman, FACTORS[8].name
    ('IX', 'Disposability')
    """

    number: int
    name: str
    sentence: str
    page: str

    @property
    def roman(self) -> str:
        """The number as the manifesto writes it."""
        return _ROMANS[self.number - 1]

    def __str__(self) -> str:
        return f"{self.roman}. {self.name}"


FACTORS = (
    Factor(1, "Codebase", "One codebase tracked in revision control, many deploys", "codebase"),
    Factor(2, "Dependencies", "Explicitly declare and isolate dependencies", "dependencies"),
    Factor(3, "Config", "Store config in the environment", "config"),
    Factor(4, "Backing services", "Treat backing services as attached resources", "backing-services"),
    Factor(5, "Build, release, run", "Strictly separate build and run stages", "build-release-run"),
    Factor(6, "Processes", "Execute the app as one or more stateless processes", "processes"),
    Factor(7, "Port binding", "Export services via port binding", "port-binding"),
    Factor(8, "Concurrency", "Scale out via the process model", "concurrency"),
    Factor(9, "Disposability", "Maximize robustness with fast startup and graceful shutdown", "disposability"),
    Factor(
        10, "Dev/prod parity", "Keep development, staging, and production as similar as possible", "dev-prod-parity"
    ),
    Factor(11, "Logs", "Treat logs as event streams", "logs"),
    Factor(12, "Admin processes", "Run admin/management tasks as one-off processes", "admin-processes"),
)
"""The twelve factors in order. Source: 12factor.net, 2011 text."""


class Severity(enum.StrEnum):
    """How much a broken rule costs: an error the factor, a warning half of it, an info nothing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Moment(enum.StrEnum):
    """When a rule is decided."""

    BUILD = "build"
    START = "start"
    RUN = "run"
    STOP = "stop"


class Verdict(enum.StrEnum):
    """What is known of a rule or a factor. Unknown is never pass."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Rule:
    """
    A fact about a running process that can be proved or disproved with evidence.

    Attributes:
        id: Stable, such as ``TF601``: the factor, then two digits.
        title: What fires it, in one line.
        severity: What a failure costs.
        moments: When it is decided.
        fix: The next step, in one line.
        deciding: Whether the factor is unknown while this rule is.
        applies_to: The process types it judges; empty means all.
    """

    id: str
    title: str
    severity: Severity
    moments: tuple[Moment, ...]
    fix: str
    deciding: bool = False
    applies_to: tuple[str, ...] = ()

    @property
    def factor(self) -> Factor:
        """The factor that the rule belongs to."""
        return FACTORS[int(self.id[2:-2]) - 1]

    @property
    def about_work(self) -> bool:
        """Whether only work can decide it, and no start."""
        return not {Moment.BUILD, Moment.START} & set(self.moments)

    def __str__(self) -> str:
        return f"{self.id} {self.title}"


@dataclass(frozen=True, slots=True)
class Finding:
    """
    A rule that does not hold, with the evidence; never a secret, never a value of the app's data.

    Attributes:
        rule: The rule that fired.
        message: What was seen, in one sentence.
        culprit: The dotted path or the event that is to blame; the same culprit is kept once.
        where: ``file:line``, or an empty string where there is none.
        hint: The fix, in one line.
        evidence: What was seen, as data for the event.
        work: The id of the unit of work in which it was seen, or None.
        count: How often it was seen.
        waived: The reason of the waiver that excuses it, or an empty string.
        until: The last day of that waiver, or None.
        overdue: Whether that day has passed and the one who judges minds: then it costs what a warning does.
        known: Whether the baseline lists it.
    """

    rule: Rule
    message: str
    culprit: str
    where: str = ""
    hint: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    work: str | None = None
    count: int = 1
    waived: str = ""
    until: dt.date | None = None
    overdue: bool = False
    known: bool = False

    @property
    def excused(self) -> bool:
        """Whether it is told and not counted: a waiver or the baseline covers it."""
        return self.known or (bool(self.waived) and not self.overdue)

    @property
    def severity(self) -> Severity:
        """What it costs: what its rule does, but no more than a warning under a waiver whose day has passed."""
        overdue = self.overdue and self.rule.severity is Severity.ERROR
        return Severity.WARNING if overdue else self.rule.severity

    def __str__(self) -> str:
        place = f" at {self.where}" if self.where else ""
        return f"{self.rule.id} {self.message}{place}. {self.hint or self.rule.fix}"


class Findings:
    """
    What was found so far, each (rule, culprit) once with a count; iterating gives `Finding`s. Thread-safe.

    Args:
        on_first: Called with a finding when its culprit is seen for the first time.
    """

    def __init__(self, on_first: Callable[[Finding], None] = lambda _: None) -> None:
        self._found: dict[tuple[str, str], Finding] = {}
        self._lock = threading.Lock()
        self._on_first = on_first

    def add(self, finding: Finding) -> bool:
        """Keep *finding*; True if its culprit is new, or was excused until now."""
        key = (finding.rule.id, finding.culprit)
        with self._lock:
            seen = self._found.get(key)
            new = seen is None or (seen.excused and not finding.excused)
            kept = finding if new or seen is None else seen
            self._found[key] = replace(kept, count=seen.count + finding.count) if seen else kept
        if new:
            self._on_first(finding)
        return new

    def adopt(self, finding: Finding) -> None:
        """Keep what another process of the app has found and said: it is counted, and not said again."""
        key = (finding.rule.id, finding.culprit)
        with self._lock:
            seen = self._found.get(key)
            self._found[key] = finding if seen is None else replace(seen, count=seen.count + finding.count)

    def forked(self) -> None:
        """In a forked child, another thread of whose parent may have held the lock."""
        self._lock = threading.Lock()

    def of(self, rule_id: str) -> tuple[Finding, ...]:
        """The findings of one rule."""
        return tuple(finding for finding in self if finding.rule.id == rule_id)

    def __iter__(self) -> Iterator[Finding]:
        with self._lock:
            return iter(tuple(self._found.values()))

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return f"<Findings {len(self)}>"


@dataclass(frozen=True, slots=True)
class Ruling:
    """
    What is known of one rule, and why.

    Attributes:
        rule: The rule.
        verdict: What is known of it.
        because: Why, in a few words.
        findings: What was found, excused or not.
        otherwise: What would be known without the findings; None where there are none.
    """

    rule: Rule
    verdict: Verdict
    because: str
    findings: tuple[Finding, ...] = ()
    otherwise: Ruling | None = None

    @property
    def counted(self) -> tuple[Finding, ...]:
        """The findings that no waiver and no baseline excuses."""
        return tuple(finding for finding in self.findings if not finding.excused)

    @property
    def severity(self) -> Severity:
        """What its failure costs: the worst of what counts."""
        found = {finding.severity for finding in self.counted} or {self.rule.severity}
        return next(severity for severity in Severity if severity in found)

    def with_findings(self, findings: tuple[Finding, ...]) -> Ruling:
        """
        The same rule judged by *findings*: one that is not excused fails it.

        Where all are excused the rule stands as if they were not there; whoever reported them has looked.
        """
        rest = self.otherwise or self
        if not findings:
            return replace(rest, findings=(), otherwise=None)
        counted = [finding for finding in findings if not finding.excused]
        if counted:
            return Ruling(self.rule, Verdict.FAIL, counted[0].message, findings, rest)
        return Ruling(self.rule, rest.verdict, rest.because, findings, rest)


class Evidence:
    """
    What the sensors saw, from which rules are judged. Thread-safe.

    A rule passes only where a sensor said that it looked; a finding fails it; everything else is unknown.

    Attributes:
        process_type: What the process is, where it is known: a rule for others does not apply.
        on_report: Called with every finding, also one whose culprit is known.
        excuse: Gives a finding back with the waiver that covers it, or as it is.
        worked: Whether there was any work: a rule that is about work was not looked at before.
    """

    def __init__(self, findings: Findings | None = None) -> None:
        self.findings = Findings() if findings is None else findings
        self.process_type: str | None = None
        self.on_report: Callable[[Finding], None] | None = None
        self.excuse: Callable[[Finding], Finding] = lambda finding: finding
        self.worked: Callable[[], bool] = lambda: True
        self._looked: dict[str, str] = {}
        self._not_yet: dict[str, Callable[[], str]] = {}
        self._blind: dict[str, str] = {}
        self._elsewhere: dict[str, str] = {}

    def looked(self, rule: Rule, at: str, not_yet: Callable[[], str] | None = None) -> None:
        """
        A sensor looked *at* something (named in a few words) that decides *rule*. Idempotent.

        Where it takes its time, *not_yet* says why it has not seen enough so far, or an empty string.
        """
        self._looked[rule.id] = at
        self._not_yet[rule.id] = not_yet or _enough

    def could_not_look(self, rule: Rule, because: str) -> None:
        """A sensor is blind for *rule*: say why, and what would let it look. Beats `looked`."""
        self._blind[rule.id] = because

    def could_look(self, rule: Rule) -> None:
        """The sensor that was blind for *rule* sees now. Idempotent."""
        self._blind.pop(rule.id, None)

    def does_not_apply(self, rule: Rule, because: str) -> None:
        """A declaration proves that *rule* does not apply to this process."""
        self._elsewhere[rule.id] = because

    def report(self, finding: Finding) -> bool:
        """Keep a finding; True if its culprit is new."""
        finding = self.excuse(finding)
        new = self.findings.add(finding)
        if self.on_report is not None:
            self.on_report(finding)
        return new

    def applies(self, rule: Rule) -> None:
        """*rule* applies after all. Idempotent."""
        self._elsewhere.pop(rule.id, None)

    def excuses(self, finding: Finding) -> bool:
        """Whether a waiver covers *finding*: then nothing is refused or stopped because of it."""
        return self.excuse(finding).excused

    def ruling(self, rule: Rule) -> Ruling:
        """
        Judge *rule* by what was seen so far.

        >>> rule = Rule("TF301", "t", Severity.ERROR, (Moment.START,), "f")
        >>> Evidence().ruling(rule).verdict.value
        'unknown'
        """
        found = self.findings.of(rule.id)
        return self._without(rule, found).with_findings(found)

    def _without(self, rule: Rule, found: tuple[Finding, ...]) -> Ruling:
        """What is known of *rule* apart from its findings; whoever found something has looked."""
        if rule.id in self._elsewhere:
            return Ruling(rule, Verdict.NOT_APPLICABLE, self._elsewhere[rule.id])
        if rule.applies_to and self.process_type and self.process_type not in rule.applies_to:
            return Ruling(
                rule, Verdict.NOT_APPLICABLE, f"judges {', '.join(rule.applies_to)}, this is {self.process_type}"
            )
        if rule.id in self._blind:
            return Ruling(rule, Verdict.UNKNOWN, self._blind[rule.id])
        if rule.id in self._looked:
            if rule.about_work and not self.worked():
                return Ruling(rule, Verdict.UNKNOWN, "no unit of work was seen: run it, or its tests, and look again")
            not_yet = self._not_yet[rule.id]()
            if not_yet:
                return Ruling(rule, Verdict.UNKNOWN, not_yet)
            return Ruling(rule, Verdict.PASS, self._looked[rule.id])
        if found:
            return Ruling(rule, Verdict.PASS, "nothing but what is excused was found")
        return Ruling(rule, Verdict.UNKNOWN, "no sensor looked")


def _enough() -> str:
    """Nothing is missing."""
    return ""
