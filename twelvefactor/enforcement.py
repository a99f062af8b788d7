"""
What an enforced rule does when it does not hold.

Start rules refuse to start. Run rules fail the test that broke them; in production no response and no acknowledgement
is changed, since a retried job would repeat its charge: the process asks to be replaced.
"""

from __future__ import annotations

import os
import random
import threading
from collections import deque
from typing import TYPE_CHECKING

from twelvefactor._core.enforcement import enforced
from twelvefactor.exceptions import FactorViolation
from twelvefactor.factor import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twelvefactor.factor import Finding
    from twelvefactor.work import Work

YOUNGEST = 600.0  # seconds that a process serves at least before it asks to be replaced
JITTER = 60.0  # seconds, so that the processes of one deploy do not leave together
_REMEMBERED = 1000  # units that are over, of which something may still be told


def exit_code(finding: Finding) -> int:
    """The status that tells the platform what kind of refusal it is (sysexits): 78 config, 69 a service, else 70."""
    return {3: 78, 4: 69}.get(finding.rule.factor.number, 70)


class Enforcement:
    """
    The rules that `TWELVEFACTOR_ENFORCE` names, and what follows from their findings. Thread-safe.

    Args:
        environ: Names the rules: ids, prefixes or ``all``; none by default.
        recycle: Called with a finding and seconds, once in the life of a process, when it should ask to be replaced.
    """

    def __init__(self, environ: Mapping[str, str], recycle: Callable[[Finding, float], None]) -> None:
        self._environ = environ
        self._recycle = recycle
        self._asked = False
        self._broken: dict[str | None, list[Finding]] = {}
        self._over: deque[str] = deque(maxlen=_REMEMBERED)
        self._lock = threading.Lock()

    @property
    def strict(self) -> bool:
        """Whether this is a test, `check` or the drill: there the work itself fails."""
        return "PYTEST_VERSION" in os.environ or bool(os.environ.get("TWELVEFACTOR_STRICT"))

    def covers(self, rule_id: str) -> bool:
        """Whether *rule_id* is enforced."""
        return enforced(self._environ, rule_id)

    def refuse(self, findings: tuple[Finding, ...]) -> None:
        """Raise `FactorViolation` where one of *findings* is of an enforced start rule."""
        broken = [
            each
            for each in findings
            if Moment.START in each.rule.moments and self.covers(each.rule.id) and not each.excused
        ]
        if broken:
            raise FactorViolation(broken, exit_code=exit_code(broken[0]))

    def note(self, finding: Finding, age: float) -> None:
        """Take note of a run rule's finding, in a process that is *age* seconds old."""
        if Moment.RUN not in finding.rule.moments or finding.excused or not self.covers(finding.rule.id):
            return
        if self.strict:
            with self._lock:
                self._broken.setdefault(finding.work, []).append(finding)
        elif not self._asked:
            self._asked = True
            self._recycle(finding, max(0.0, YOUNGEST - age) + random.uniform(0, JITTER))  # noqa: S311 - spreads load

    def settle(self, work: Work) -> None:
        """
        Raise `FactorViolation` at the end of *work* where it broke an enforced rule, under a test.

        What several units did is sure with the last of them, and is told of the first: one that is over raises no more.
        """
        if not self.strict:
            return
        with self._lock:
            self._over.append(work.id)
            ripe = [each for each in self._broken if each in self._over] if self._broken else []
            broken = [finding for each in ripe for finding in self._broken.pop(each)]
        if broken:
            raise FactorViolation(broken, exit_code=exit_code(broken[0]))
