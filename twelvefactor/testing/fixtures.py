"""
Pytest fixtures: the engines of production for tests, one server per session, one empty database per test.

Under pytest-xdist the worker processes share the session's server: the first that needs it has it started, and it ends
with the last. PostgreSQL and MariaDB give each test a database of its own, Redis each worker; what is sent to a broker
or a cache is seen by all, so tests name their queues, topics and keys.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from twelvefactor.factor import Finding
    from twelvefactor.testing.drill import Result
    from twelvefactor.testing.replicas import Replicas


@contextlib.contextmanager
def session_engine(
    request: pytest.FixtureRequest, kind: str, prepare: Callable[[str], object] = lambda _: None, **options: Any
) -> Iterator[str]:
    """
    The URL of the test session's engine of *kind*; for fixtures of your own, of the scope ``session``.

    Args:
        request: Pytest's.
        kind: The kind's name, such as ``postgresql``.
        prepare: Called with the URL once in the session, before any test.
        options: Those of the engine, beside the folder of its data.
    """
    from twelvefactor.testing.engines import STARTERS
    from twelvefactor.testing.shared import shared

    if hasattr(request.config, "workerinput"):  # what pytest-xdist gives to its workers
        base: Path = request.getfixturevalue("tmp_path_factory").getbasetemp()
        with shared(kind, base.parent, prepare, session=os.getppid(), **options) as url:
            yield url
        return
    with STARTERS[kind](**options) as url:
        prepare(url)
        yield url


@pytest.fixture(scope="session")
def postgres_version() -> int | None:
    """The major version of the tests' PostgreSQL; override it to say which. None is the newest there is."""
    return None


@pytest.fixture(scope="session")
def postgres_schema() -> Callable[[str], None]:
    """Override it to return what makes the schema, given the URL of a database: it is called once, then copied."""
    return lambda _: None


@pytest.fixture(scope="session")
def postgres_server(
    request: pytest.FixtureRequest, postgres_version: int | None, postgres_schema: Callable[[str], None]
) -> Iterator[str]:
    """The URL of the session's PostgreSQL, its database the template that each test's is copied from."""
    with session_engine(request, "postgresql", postgres_schema, version=postgres_version) as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str, postgres_version: int | None) -> Iterator[str]:
    """The URL of a database of the test's own, a copy of the template; it is dropped when the test ends."""
    from urllib.parse import urlsplit
    from uuid import uuid4

    from twelvefactor.testing.engines import postgres_binaries

    server = urlsplit(postgres_server)
    binaries, name = postgres_binaries(postgres_version), f"test_{uuid4().hex[:12]}"
    where = ["-h", str(server.hostname), "-p", str(server.port), "-U", str(server.username)]
    _run(str(binaries / "createdb"), *where, "-T", server.path[1:], name)
    try:
        yield server._replace(path=f"/{name}").geturl()
    finally:
        _run(str(binaries / "dropdb"), *where, "--force", name)


@pytest.fixture(scope="session")
def redis_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of the session's Redis, and in it of the database that this worker process has to itself."""
    worker = getattr(request.config, "workerinput", {})
    number, count = int(worker.get("workerid", "gw0")[2:]), int(worker.get("workercount", 1))
    with session_engine(request, "redis", databases=max(16, count)) as url:
        yield f"{url.rpartition('/')[0]}/{number}"


@pytest.fixture
def redis_url(redis_server: str) -> Iterator[str]:
    """The URL of a database in the session's Redis; it is emptied when the test ends."""
    yield redis_server
    _say(redis_server, b"SELECT %d\r\nFLUSHDB\r\n" % int(redis_server.rpartition("/")[2]), b"+OK\r\n+OK\r\n")


@pytest.fixture(scope="session")
def mysql_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of the session's MariaDB, from the machine's own program."""
    with session_engine(request, "mysql") as url:
        yield url


@pytest.fixture
def mysql_url(mysql_server: str) -> Iterator[str]:
    """The URL of an empty database of the test's own in the session's MariaDB; it is dropped when the test ends."""
    from urllib.parse import urlsplit
    from uuid import uuid4

    from twelvefactor.testing.engines import find_program

    server, name = urlsplit(mysql_server), f"test_{uuid4().hex[:12]}"
    where = ["--no-defaults", "--protocol=tcp", "-h", str(server.hostname), "-P", str(server.port)]
    client = [find_program("mariadb"), *where, "-u", str(server.username), "-e"]
    _run(*client, f"CREATE DATABASE {name}")
    try:
        yield server._replace(path=f"/{name}").geturl()
    finally:
        _run(*client, f"DROP DATABASE {name}")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - PostgreSQL's own programs
    if done.returncode:
        pytest.fail(f"{command[0]}: {done.stderr.strip()}", pytrace=False)


def _say(url: str, command: bytes, expected: bytes) -> None:
    import socket
    from urllib.parse import urlsplit

    server = urlsplit(url)
    with socket.create_connection((str(server.hostname), server.port or 0), 5) as connection:
        connection.sendall(command)
        with connection.makefile("rb") as answer:
            said = answer.read(len(expected))
    if said != expected:
        pytest.fail(f"{url} answered {said!r} to {command!r}", pytrace=False)


def _server(kind: str) -> Callable[..., Iterator[str]]:
    """The fixture of a kind whose server is shared by the tests as it is."""

    def running(request: pytest.FixtureRequest) -> Iterator[str]:
        with session_engine(request, kind) as url:
            yield url

    running.__doc__ = (
        f"The URL of the session's {kind}, from the machine's own program; its data is shared by the tests."
    )
    return running


rabbitmq_url = pytest.fixture(scope="session", name="rabbitmq_url")(_server("rabbitmq"))
nats_url = pytest.fixture(scope="session", name="nats_url")(_server("nats"))
mqtt_url = pytest.fixture(scope="session", name="mqtt_url")(_server("mqtt"))
memcached_url = pytest.fixture(scope="session", name="memcached_url")(_server("memcached"))


@pytest.fixture(scope="session")
def replicas_command() -> Sequence[str]:
    """The command that serves the app on ``{port}`` or ``PORT``: ``twelvefactor run web``, unless you override it."""
    import sys

    return (sys.executable, "-m", "twelvefactor", "run", "web")


@pytest.fixture(scope="session")
def replicas_ready() -> str:
    """The path that answers 200 once a process is ready; override it where the app has another."""
    return "/readyz"


@pytest.fixture(scope="session")
def replicas(
    request: pytest.FixtureRequest, replicas_command: Sequence[str], replicas_ready: str
) -> Iterator[Replicas]:
    """The processes of the app behind one URL: one, and with ``--twelvefactor-replicas N`` then N in turn."""
    from twelvefactor.testing.replicas import Replicas

    with Replicas(replicas_command, getattr(request, "param", 1), ready=replicas_ready) as running:
        yield running


@pytest.fixture
def service_url(request: pytest.FixtureRequest, replicas: Replicas) -> str:
    """The URL of the app, served by real processes; see `replicas`."""
    several = len(replicas.servers) > 1
    replicas.begin(restart=several and request.config.getoption("--twelvefactor-replicas-restart"))
    return replicas.url


@pytest.fixture
def leaks() -> Callable[[], list[Finding]]:
    """
    Settles what the work of watched services left behind so far, and gives the findings of factor VI.

    Services that start after this fixture watch in thorough mode; with ``--twelvefactor-leaks`` all do.
    """
    from twelvefactor.testing.leaks import settle, thorough

    thorough()
    return settle


@pytest.fixture
def sigterm_drill() -> Callable[..., Result]:
    """
    Stops one of two real instances of your server under load, and tells what its clients noticed.

    ``sigterm_drill(command).check()`` raises where anything was; the arguments are those of
    `twelvefactor.testing.drill.drill`.
    """
    from twelvefactor.testing.drill import drill

    return drill
