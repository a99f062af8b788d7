"""Thin over `twelvefactor.testing`; every pytest run loads it, so it imports late."""

from typing import Any

import pytest

from twelvefactor.testing.fixtures import (
    leaks,
    memcached_url,
    mqtt_url,
    mysql_server,
    mysql_url,
    nats_url,
    postgres_schema,
    postgres_server,
    postgres_url,
    postgres_version,
    rabbitmq_url,
    redis_server,
    redis_url,
    replicas,
    replicas_command,
    replicas_ready,
    service_url,
    sigterm_drill,
)

__all__ = [
    "leaks",
    "memcached_url",
    "mqtt_url",
    "mysql_server",
    "mysql_url",
    "nats_url",
    "postgres_schema",
    "postgres_server",
    "postgres_url",
    "postgres_version",
    "rabbitmq_url",
    "redis_server",
    "redis_url",
    "replicas",
    "replicas_command",
    "replicas_ready",
    "service_url",
    "sigterm_drill",
    "twelvefactor",
]


@pytest.fixture
def twelvefactor() -> Any:
    """A function that gives what the services of this process found so far."""
    from twelvefactor.report.session import findings

    return findings


def pytest_addoption(parser: Any) -> None:
    """The options; what they do is imported when one is given."""
    group = parser.getgroup("twelvefactor")
    group.addoption(
        "--twelvefactor-leaks",
        nargs="?",
        const="report",
        choices=("report", "error"),
        help="watch every unit of work for state that outlives it; error: fail the test that left it",
    )
    group.addoption("--twelvefactor", action="store_true", help="grade the app on the evidence of these tests")
    group.addoption("--twelvefactor-min", type=float, metavar="N", help="fail where the score is below N, or unknown")
    group.addoption(
        "--twelvefactor-report",
        action="append",
        default=[],
        metavar="FORMAT:PATH",
        help="write the scorecard there too: text, json, sarif, html or badge; repeatable",
    )
    group.addoption("--twelvefactor-baseline", metavar="FILE", help="findings that are known: told, and not counted")
    group.addoption("--twelvefactor-write-baseline", metavar="FILE", help="list what is found as known")
    group.addoption(
        "--twelvefactor-replicas",
        type=int,
        metavar="N",
        help="run each test that uses service_url on one process, then on N in turn: what fails there is sticky state",
    )
    group.addoption(
        "--twelvefactor-replicas-restart",
        action="store_true",
        help="kill the process that answered a test's first request, and start it again before the second",
    )
    group.addoption("--twelvefactor-leaks-baseline", metavar="FILE", help="known findings, one 'TF602 path' a line")


def pytest_configure(config: Any) -> None:
    """Turn on what was asked for."""
    config.addinivalue_line(
        "markers", "twelvefactor_warm_up: what the work of this test leaves is lazy initialisation, and no leak"
    )
    if _wants_a_score(config):
        from twelvefactor.report.session import SessionPlugin

        config.pluginmanager.register(SessionPlugin(config), "twelvefactor-score")
    count = config.getoption("--twelvefactor-replicas", None)
    if count is not None:
        from twelvefactor.testing.sticky import ReplicasPlugin

        if count < 2:  # noqa: PLR2004 - one process shares with nobody
            raise pytest.UsageError("--twelvefactor-replicas: at least 2, since one process shares with nobody")
        config.pluginmanager.register(ReplicasPlugin(count), "twelvefactor-replicas")
    mode = config.getoption("--twelvefactor-leaks", None)
    if mode:
        from pathlib import Path

        from twelvefactor.testing.leaks import LeaksPlugin, thorough

        thorough()
        file = config.getoption("--twelvefactor-leaks-baseline")
        plugin = LeaksPlugin(mode, Path(file) if file else None, config.rootpath)
        config.pluginmanager.register(plugin, "twelvefactor-leaks")


def _wants_a_score(config: Any) -> bool:
    """Whether the app is to be graded: a minimum, a report or a baseline asks for it too."""
    names = ("", "-min", "-report", "-baseline", "-write-baseline")
    return any(config.getoption(f"--twelvefactor{name}") not in (None, False, []) for name in names)
