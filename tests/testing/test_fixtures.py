"""The fixtures give each test an empty database of a real server."""

import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import twelvefactor as tf
from tests.conftest import LEAN, SERVICES, listens, url_of

ROOT = Path(__file__).resolve().parents[2]

TESTS = """
import pytest
import sqlalchemy


@pytest.fixture(scope="session")
def postgres_version():
    return 16


@pytest.fixture(scope="session")
def postgres_schema():
    def create(url):
        engine = sqlalchemy.create_engine(url.replace("postgresql", "postgresql+psycopg"))
        with engine.begin() as connection:
            connection.exec_driver_sql("create table orders (id int)")
        engine.dispose()

    return create


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_postgres(postgres_url, turn):
    engine = sqlalchemy.create_engine(postgres_url.replace("postgresql", "postgresql+psycopg"))
    with engine.begin() as connection:
        assert connection.exec_driver_sql("select count(*) from orders").scalar_one() == 0
        assert connection.exec_driver_sql("show server_version").scalar_one().startswith("16")
        connection.exec_driver_sql("insert into orders values (1)")
    engine.dispose()


@pytest.mark.parametrize("turn", [1, 2])
def test_redis(redis_url, turn):
    import redis

    with redis.Redis.from_url(redis_url) as client:
        assert client.incr("visits") == 1


def test_servers(postgres_server, redis_server, record):
    record(postgres_server, redis_server)


def test_servers_again(postgres_server, redis_server, record):
    record(postgres_server, redis_server)
"""
CONFTEST = """
from pathlib import Path

import pytest

from twelvefactor.pytest_plugin import *


@pytest.fixture
def record(request):
    worker_id = getattr(request.config, "workerinput", {}).get("workerid", "alone")

    def record(*servers):
        said = Path(__file__).with_name("said.txt")
        with said.open("a") as file:
            file.write(" ".join([worker_id, *servers]) + "\\n")

    return record
"""
MYSQL = """
import pymysql
import pytest
from urllib.parse import urlsplit


@pytest.fixture(scope="session")
def mysql_server():  # the machine's own is there already
    return "{url}"


@pytest.mark.parametrize("turn", [1, 2])
def test_mysql(mysql_url, turn):
    url = urlsplit(mysql_url)
    with pymysql.connect(host=url.hostname, port=url.port, user=url.username, database=url.path[1:]) as connection:
        with connection.cursor() as cursor:
            cursor.execute("create table orders (id int)")
""".replace("{url}", SERVICES["mariadb"][2])


def run(folder, *words):
    (folder / "conftest.py").write_text(CONFTEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *LEAN, *words, str(folder)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.stdout + done.stderr


def test_each_test_begins_with_nothing_but_the_schema(tmp_path):
    """
    What a test writes the next one does not find; the schema is made once and copied.
    """
    (tmp_path / "test_shop.py").write_text(TESTS)

    url_of("mariadb")  # or skip
    (tmp_path / "test_mysql.py").write_text(MYSQL)

    assert "9 passed" in (said := run(tmp_path)), said


def test_the_workers_of_xdist_share_one_server(tmp_path):
    """
    One PostgreSQL and one Redis for both of them, each test with a database of its own; gone with the last of them.
    """
    (tmp_path / "test_shop.py").write_text(TESTS)

    said = run(tmp_path, "-n", "2", "--dist", "each")

    assert "14 passed" in said, said
    lines = [line.split() for line in (tmp_path / "said.txt").read_text().splitlines()]
    assert {worker for worker, _, _ in lines} == {"gw0", "gw1"}
    assert len({postgres for _, postgres, _ in lines}) == 1
    assert {redis.rpartition("/")[2] for _, _, redis in lines} == {"0", "1"}
    ports = {urlsplit(url).port for _, *urls in lines for url in urls}
    assert len(ports) == 2
    until(lambda: not any(listens(port) for port in ports))


def test_an_engine_that_cannot_be_had_says_why_through_its_keeper(tmp_path):
    """
    As it does without one.
    """
    from twelvefactor.testing.shared import shared

    with (
        pytest.raises(tf.TwelveFactorError, match="there is no PostgreSQL 4 here"),
        shared("postgresql", tmp_path, version=4),
    ):
        pass


def until(condition, seconds=20):
    waiting = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        waiting.wait(0.05)
    raise AssertionError("it did not happen")
