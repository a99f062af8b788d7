"""
Grade the app on the evidence of its own tests: ``pytest --twelvefactor``.

Every service that the tests start is a witness; under pytest-xdist those of all workers are. The scorecard stands at
the end of the session, one line a factor, as coverage stands there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from twelvefactor import baseline, processes
from twelvefactor import service as services
from twelvefactor._core import declaration
from twelvefactor.report import evidence, formats, gathering, text
from twelvefactor.waivers import Waivers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twelvefactor.factor import Finding
    from twelvefactor.report.score import Scorecard

PACE = (8, 0.1)  # one unit of work in so many is looked at, for that share of the time: a session is short
_KEY = "twelvefactor"
_FINISHED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


class Witnesses:
    """The services that started in this process, each with what it saw until it was closed or the session ends."""

    def __init__(self) -> None:
        self._open: list[services.Service[Any]] = []
        self._records: dict[str, None] = {}

    def begin(self) -> None:
        """Listen for services that start. Idempotent."""
        if self._heard not in services.witnesses:
            services.witnesses.append(self._heard)

    def end(self) -> None:
        """Close what is still open, so that it looks a last time, and listen no more. Idempotent."""
        if self._heard in services.witnesses:
            services.witnesses.remove(self._heard)
        for service in self._open:
            service.close()
        self.condense()

    def _heard(self, service: services.Service[Any]) -> None:
        if not any(each is service for each in self._open):
            self._open.append(service)

    def condense(self) -> None:
        """Keep what closed services saw, and let the services go."""
        for service in self._open:
            if not service.started:
                self._records[json.dumps(evidence.document(service))] = None
        self._open = [service for service in self._open if service.started]

    @property
    def documents(self) -> list[str]:
        """Evidence files, each once."""
        return list(self._records)


def findings() -> list[Finding]:
    """What the services that run in this process found so far."""
    return [finding for service in list(services._services) if service.started for finding in service.findings]  # noqa: SLF001 - ours


class SessionPlugin:
    """
    What ``--twelvefactor`` adds to a pytest run.

    Args:
        config: Pytest's.

    Raises:
        UsageError: A report's format means nothing, or the baseline cannot be read.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.least: float | None = config.getoption("--twelvefactor-min")
        self.reports = [_report(each) for each in config.getoption("--twelvefactor-report")]
        self.new_baseline: str | None = config.getoption("--twelvefactor-write-baseline")
        known = config.getoption("--twelvefactor-baseline")
        self.known = None if known is None else baseline.read(Path(known))
        self.witnesses = Witnesses()
        self.documents: list[str] = []
        self.left_out = False
        self.card: Scorecard | None = None
        self._pace = processes.default_pace

    # -- in the process that runs tests ----------------------------------------------------------------------------

    def pytest_sessionstart(self) -> None:
        """Listen, and look at more than a deploy would."""
        processes.default_pace = PACE
        self.witnesses.begin()

    def pytest_runtest_teardown(self) -> None:
        """Let go of services that earlier tests closed."""
        self.witnesses.condense()

    def pytest_deselected(self, items: Iterable[pytest.Item]) -> None:
        """Some tests do not run, so that a waiver may be needed by them."""
        self.left_out = self.left_out or bool(list(items))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Gather what was seen: a worker hands it on, everybody else grades it."""
        self.witnesses.end()
        processes.default_pace = self._pace
        self.documents += self.witnesses.documents
        output = getattr(self.config, "workeroutput", None)
        if output is not None:
            output[_KEY] = json.dumps({"documents": self.documents, "left_out": self.left_out})
            return
        self.card = self._graded(exitstatus)
        if self.least is not None and self.card.reaches(self.least) is not True and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    # -- in the process that reports -------------------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker of xdist saw; one that crashed has left something out."""
        told = json.loads(getattr(node, "workeroutput", {}).get(_KEY, '{"documents": [], "left_out": true}'))
        self.documents += told["documents"]
        self.left_out = self.left_out or told["left_out"]

    def _graded(self, exitstatus: int) -> Scorecard:
        declared = declaration.read({}, self.config.rootpath)
        return gathering.gather(
            [evidence.parse(json.loads(each)) for each in self.documents],
            waivers=Waivers.declared(declared.table, declared.source),
            baseline=self.known,
            root=declared.root,
            whole=bool(self.documents) and exitstatus in _FINISHED and self._is_whole(),
        )

    def _is_whole(self) -> bool:
        """Whether every test of the suite ran: none was left out, and nobody named some."""
        named = self.config.args_source is pytest.Config.ArgsSource.ARGS
        stopped = bool(self.config.getoption("maxfail", 0))
        return not (self.left_out or named or stopped)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The scorecard, and the reports that were asked for."""
        if self.card is None:
            return
        terminalreporter.section("twelve factors")
        if not self.documents:
            terminalreporter.write_line("no service was started by these tests: nobody could look")
        self._show(self.card, terminalreporter)
        for shape, path in self.reports:
            path.write_text(formats.render(self.card, shape), encoding="utf-8")
            terminalreporter.write_line(f"{shape} report: {path}")
        if self.new_baseline is not None:
            count = baseline.write(self.card.findings, Path(self.new_baseline))
            terminalreporter.write_line(f"{self.new_baseline}: {count} known findings")
        if self.least is not None and self.card.reaches(self.least) is not True:
            why = "too much is unknown" if self.card.reaches(self.least) is None else "too much is lost"
            terminalreporter.write_line(
                f"FAIL: a score of {self.least:g} is required, and {why}: {self.card}", red=True
            )

    def _show(self, card: Scorecard, terminalreporter: Any) -> None:
        told = text.text(card, one_line=True, colour=terminalreporter.hasmarkup)
        for line in told.splitlines():
            terminalreporter.write_line(line)


def _report(named: str) -> tuple[str, Path]:
    shape, _, path = named.partition(":")
    if shape not in formats.FORMATS or not path:
        known = ", ".join(formats.FORMATS)
        raise pytest.UsageError(f"--twelvefactor-report={named}: expected FORMAT:PATH; the formats are {known}")
    return shape, Path(path)
