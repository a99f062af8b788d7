"""
Watch every unit of work of a test run for state that outlives it: ``pytest --twelvefactor-leaks[=report|error]``.

Services that start during the run watch in thorough mode, and so do the test clients of apps that no service wraps.
After each test what its work left is settled: with ``error`` it fails that test, with ``report`` it is told at the end,
once per path. The work of a test that is marked ``twelvefactor_warm_up`` may initialise what it likes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from twelvefactor import baseline as baselines
from twelvefactor import processes
from twelvefactor._core import declaration
from twelvefactor.exceptions import FactorViolation
from twelvefactor.processes.marks import MARKS
from twelvefactor.processes.watch import WATCHES
from twelvefactor.testing.clients import Clients
from twelvefactor.waivers import Waivers

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from twelvefactor.factor import Finding


WARM_UP = "twelvefactor_warm_up"
"""The marker of tests whose work initialises what later work uses."""


def settle() -> list[Finding]:
    """
    Judge what the work of every watched service left behind so far, and give the findings of factor VI.

    Thread-safe; for tests that assert on findings without the plugin.
    """
    found: list[Finding] = []
    for watch in list(WATCHES):
        watch.settle()
        found += [finding for finding in watch.process.findings if finding.rule.factor.number == 6]  # noqa: PLR2004 - VI
    return found


def read_baseline(file: Path | None) -> frozenset[tuple[str, str]]:
    """
    The findings that are known and accepted, as a baseline lists them; none where the file does not exist yet.

    >>> read_baseline(None)
    frozenset()
    """
    return frozenset() if file is None or not file.exists() else baselines.read(file)


class LeaksPlugin:
    """
    What ``--twelvefactor-leaks`` adds to a pytest run.

    Args:
        mode: ``report`` or ``error``.
        baseline: Known findings, which are not told; written where it does not exist yet and the mode is ``report``.
        root: The folder whose code is the app's, for apps that no service wraps; None to watch only services.
    """

    def __init__(self, mode: str, baseline: Path | None = None, root: Path | None = None) -> None:
        self.mode = mode
        self.baseline = baseline
        self.clients = None if root is None else Clients(root)
        if self.clients is not None and root is not None:
            declared = declaration.read({}, root)
            self.clients.process.evidence.excuse = Waivers.declared(declared.table, declared.source).excuse
        self._accepted = read_baseline(baseline)
        self._told: dict[tuple[str, str], tuple[Finding, str]] = {}
        self._waived: dict[tuple[str, str], Finding] = {}
        self._warm: dict[tuple[str, str], int] = {}

    def new(self, where: str, *, warm_up: bool = False) -> list[Finding]:
        """
        What was found since the last call, by the test *where*.

        With *warm_up* it is not told, unless other work does it again.
        """
        fresh = []
        for finding in settle():
            key = baselines.key(finding)
            if finding.excused:
                self._waived[key] = finding
                continue
            if key in self._told or key in self._accepted:
                continue
            if warm_up:
                self._warm[key] = finding.count
            elif finding.count > self._warm.get(key, 0):
                self._told[key] = (finding, where)
                fresh.append(finding)
        return fresh

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """What was imported since the last test is watched from now on."""
        if self.clients is not None:
            self.clients.patch()

    def pytest_unconfigure(self) -> None:
        """Put the test clients back."""
        if self.clients is not None:
            self.clients.undo()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Settle after each test; in the mode ``error`` a leak of its own work fails it."""
        __tracebackhide__ = True
        result = yield
        fresh = self.new(item.nodeid, warm_up=item.get_closest_marker(WARM_UP) is not None)
        if fresh and self.mode == "error":
            raise FactorViolation(fresh)
        return result

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The merged report, and marks that held nothing back."""
        self.new("the end of the session")
        if self._told:
            terminalreporter.section("twelvefactor: state that outlives its work")
        for line in _lines(self._told.values()):
            terminalreporter.write_line(line)
        for finding in self._waived.values():
            terminalreporter.write_line(f"{finding.rule.id} {finding.culprit} is waived: {finding.waived}")
        for fault in () if self.clients is None else self.clients.process.faults:
            terminalreporter.write_line(f"the watch itself failed: {fault}")
        for mark in MARKS.stale():
            terminalreporter.write_line(f"process_local held nothing back: {mark.path or mark.reason}")
        if self.mode == "report" and self.baseline is not None and not self.baseline.exists():
            baselines.write((finding for finding, _ in self._told.values()), self.baseline)


def _lines(told: Iterable[tuple[Finding, str]]) -> list[str]:
    return [f"{finding} [{where}]" for finding, where in told]


def thorough() -> None:
    """Let services that start from now on watch in thorough mode, unless their environment says otherwise."""
    processes.default_mode = "thorough"
    os.environ.setdefault("TWELVEFACTOR_LEAKS", "thorough")  # for the processes that tests start
