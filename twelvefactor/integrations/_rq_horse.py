"""What a job's own process found, told to the worker that forked it; and what cannot outlive such a process."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twelvefactor._core.living import lives
from twelvefactor.factor import Finding
from twelvefactor.processes.rules import TF601, TF602, TF604, TF605, TF606, TF607

if TYPE_CHECKING:
    from twelvefactor.factor import Findings
    from twelvefactor.service import Service

_IN_MEMORY = (TF601, TF602, TF604, TF606, TF607)
"""The rules about what stays in the process, which ends with the job."""
_MOST = 60_000  # bytes; a pipe holds 65,536, and nobody reads before the process has ended


class Told:
    """A pipe from one job's process to its worker: made before the fork, each side closes the other's end."""

    def __init__(self, findings: Findings) -> None:
        self._reads, self._writes = os.pipe()
        os.set_blocking(self._reads, False)
        self._findings = findings
        self._before = {(each.rule.id, each.culprit): each.count for each in findings}

    def tell(self) -> None:
        """In the job's process: what was found since the fork."""
        found = [replace(each, count=times) for each in self._findings if (times := each.count - self._known(each))]
        data = pickle.dumps(found)
        if found and len(data) <= _MOST:
            os.write(self._writes, data)

    def _known(self, finding: Finding) -> int:
        return self._before.get((finding.rule.id, finding.culprit), 0)

    def forked(self) -> None:
        """In the worker: only the job's process writes."""
        os.close(self._writes)

    def hear(self) -> None:
        """In the worker, once the process has ended: keep what it found, which it has said itself already."""
        data = b""
        try:
            while part := os.read(self._reads, _MOST):
                data += part
        except BlockingIOError:
            pass  # a process that the job has left holds the other end
        os.close(self._reads)
        for each in pickle.loads(data) if data else ():  # noqa: S301 - our own child's
            self._findings.adopt(each)


def ended(service: Service[Any], pid: int, name: str, work: str, jobs: int) -> None:
    """
    The process *pid* of a job has ended: say what that proves, and find what it left running.

    Args:
        service: The worker's.
        pid: The leader of its process group.
        name: The job's.
        work: The job's id.
        jobs: How many had a process of their own so far.
    """
    because = f"each of {jobs} jobs ran in a process of its own and ended with it, so nothing in memory outlived one"
    for rule in _IN_MEMORY:
        service.evidence.does_not_apply(rule, because)
    if lives(-pid):
        message = f"{name} left a child process running, which outlives the job's own process"
        evidence = {"what": "child process"}
        service.evidence.report(Finding(TF605, message, f"{name}: child process", evidence=evidence, work=work))
