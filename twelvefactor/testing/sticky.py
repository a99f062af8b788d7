"""
The user's own HTTP tests against one process, then against several in turn: ``pytest --twelvefactor-replicas 2``.

A test that uses the fixture ``service_url`` runs twice. Where it passes on one process and fails on several, the state
that one process kept is sticky, and the pair of requests that shows it is told with the failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twelvefactor.testing.replicas import sticky

if TYPE_CHECKING:
    from collections.abc import Generator

_TITLE = "twelvefactor: sticky state"
Key = tuple[Any, ...]


class ReplicasPlugin:
    """
    What ``--twelvefactor-replicas`` adds to a pytest run.

    Args:
        count: How many processes are asked in turn.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._passed_on_one: set[Key] = set()
        self._told: list[str] = []

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Each test that asks for the URL runs on one process, then on several."""
        if "replicas" in metafunc.fixturenames:
            names = ["1 process", f"{self.count} processes"]
            metafunc.parametrize("replicas", [1, self.count], ids=names, indirect=True, scope="session")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
        """Compare the two runs of a test."""
        report: pytest.TestReport = yield
        count = _count_of(item)
        if call.when != "call" or count is None:
            return report
        if count == 1:
            if report.passed:
                self._passed_on_one.add(_key_of(item))
        elif report.failed and _key_of(item) in self._passed_on_one and call.excinfo is not None:
            told = str(sticky(call.excinfo.value, item.funcargs["replicas"].asked))  # type: ignore[attr-defined]  # of functions
            report.sections.append((_TITLE, told))
            self._told.append(f"{report.nodeid}: {told}")
        return report

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The tests that pass on one process only."""
        if self._told:
            terminalreporter.section(_TITLE)
        for line in self._told:
            terminalreporter.write_line(line)


def _params_of(item: pytest.Item) -> dict[str, Any]:
    callspec = getattr(item, "callspec", None)
    return {} if callspec is None else dict(callspec.params)


def _count_of(item: pytest.Item) -> int | None:
    count = _params_of(item).get("replicas")
    return count if type(count) is int else None


def _key_of(item: pytest.Item) -> Key:
    """The test, without how many processes it runs on."""
    others = sorted((name, repr(value)) for name, value in _params_of(item).items() if name != "replicas")
    return (str(item.path), getattr(item, "originalname", item.name), *others)
