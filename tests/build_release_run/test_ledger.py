"""The ledger, on real PostgreSQL and MariaDB and on SQLite: append-only, whole, the same for fifty at once."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from twelvefactor.backing_services.url import URL
from twelvefactor.build_release_run.ledger import Ledger, LedgerError
from twelvefactor.cli import main

PROCESSES = int(os.environ.get("LEDGER_PROCESSES", "8"))  # the fifty by hand: each imports SQLAlchemy


def database(url):
    """A database of this test's own, as URL; dropped afterwards."""
    name = f"tf_ledger_{os.getpid()}"
    admin = create_engine(URL(url).sqlalchemy_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    return admin, name, url.rpartition("/")[0] + f"/{name}"


def dropped(admin, name):
    force = " WITH (FORCE)" if admin.dialect.name == "postgresql" else ""
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}{force}"))
    admin.dispose()


@pytest.fixture(params=["postgres", "mariadb", "sqlite"])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ledger.db"
        return
    admin, name, url = database(request.getfixturevalue(f"{request.param}_url"))
    yield url
    dropped(admin, name)


@pytest.fixture
def ledger(url):
    engine = create_engine(URL(url).sqlalchemy_url, pool_size=20)
    yield Ledger(engine)
    engine.dispose()


@pytest.fixture
def made(ledger):
    assert ledger.init()
    return ledger


def add(ledger, name="v1", digest="d1", *, once="", **facts):
    return ledger.append("release", "orders", name, digest, facts, once=once)


def test_init_is_idempotent(ledger):
    """
    A release phase runs it every time.
    """
    assert (ledger.exists(), ledger.init(), ledger.init(), ledger.exists()) == (False, True, False, True)


def test_two_inits_at_once(ledger):
    """
    One ledger comes of it.
    """
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda _: outcome(ledger.init), range(2)))

    assert True in made
    assert ledger.verify() == []


def outcome(act):
    try:
        return act()
    except SQLAlchemyError:
        return None  # an engine without schemas: the other one was first


def test_without_init_it_says_the_next_step(ledger):
    """
    One clear line.
    """
    with pytest.raises(LedgerError, match="twelvefactor release init"):
        ledger.releases("orders")


def test_entries_come_back_newest_first(made):
    """
    With their facts.
    """
    add(made, "v1", "d1", commit="a")
    add(made, "v2", "d2", commit="b")

    assert [(entry.number, entry.name, entry.facts["commit"]) for entry in made.releases("orders")] == [
        (2, "v2", "b"),
        (1, "v1", "a"),
    ]


def test_the_same_release_is_recorded_once(made):
    """
    Every process of it may try.
    """
    assert add(made, once="ever") is not None
    assert add(made, once="ever") is None


def test_a_rollback_is_recorded_again_by_the_release_phase(made):
    """
    It is the newest then; a pod of an old release that restarts meanwhile records nothing.
    """
    add(made, "v1", "d1")
    add(made, "v2", "d2")

    assert add(made, "v1", "d1", once="ever") is None
    assert add(made, "v1", "d1", once="newest") is not None
    assert add(made, "v1", "d1", once="newest") is None


def test_threads_at_once_lose_and_double_nothing(made):
    """
    Numbers without gaps, each entry on the one before it.
    """
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: add(made, f"v{n % 25}", "d", once="ever"), range(100)))

    assert sorted(entry.name for entry in made.releases("orders")) == sorted(f"v{n}" for n in range(25))
    assert made.verify() == []


RECORD = """
import sys
from sqlalchemy import create_engine
from twelvefactor.backing_services.url import URL
from twelvefactor.build_release_run.ledger import Ledger
ledger = Ledger(create_engine(URL(sys.argv[1]).sqlalchemy_url))
sys.stdin.read()
for name in ("same", "own-" + sys.argv[2]):
    ledger.append("release", "orders", name, "d", {}, once="ever")
"""


def test_processes_at_once_lose_and_double_nothing(made, url):
    """
    All held at a gate, then let go together: one shared release and one of each one's own.
    """
    if url.startswith("sqlite"):
        pytest.skip("one machine's file; the engines are what is shared")
    started = [
        subprocess.Popen([sys.executable, "-c", RECORD, url, str(n)], stdin=subprocess.PIPE) for n in range(PROCESSES)
    ]
    for process in started:
        process.stdin.close()

    assert [process.wait(120) for process in started] == [0] * PROCESSES
    names = sorted(entry.name for entry in made.releases("orders"))
    assert names == sorted(["same", *(f"own-{n}" for n in range(PROCESSES))])
    assert made.verify() == []


def tamper(made, statement):
    """Change what the triggers forbid: as the owner of the database can."""
    schema = "twelvefactor." if made.schema else "twelvefactor_"
    table = f"{schema}entries"
    with made._engine.begin() as connection:
        if made._engine.dialect.name == "postgresql":
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER append_only"))
        else:
            for what in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER {table}_no_{what}"))
        connection.execute(text(statement.format(table=table, head=f"{schema}ledger")))


def test_the_database_itself_refuses_changes(made):
    """
    Append-only is not a promise of ours alone.
    """
    add(made)
    schema = "twelvefactor." if made.schema else "twelvefactor_"

    for statement in (f"UPDATE {schema}entries SET name = 'x'", f"DELETE FROM {schema}entries"):
        with pytest.raises(SQLAlchemyError, match="append-only"), made._engine.begin() as connection:
            connection.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("UPDATE {table} SET name = 'x' WHERE number = 2", "entry 2 was changed"),
        ("DELETE FROM {table} WHERE number = 2", "entries 2 to 2 are missing"),
        ("DELETE FROM {table} WHERE number = 3", "entries 3 to 3 are missing"),
    ],
)
def test_verify_shows_what_was_changed(made, statement, wrong):
    """
    By somebody who got around the triggers.
    """
    for n in range(3):
        add(made, f"v{n}", "d")
    tamper(made, statement)

    assert wrong in made.verify()


def test_a_newer_ledger_is_said_to_be_newer(made):
    """
    Nothing is written to tables that are not understood.
    """
    with made._engine.begin() as connection:
        head = "twelvefactor.ledger" if made.schema else "twelvefactor_ledger"
        connection.execute(text(f"UPDATE {head} SET version = 99"))

    for act in (lambda: add(made), lambda: made.releases("orders"), made.verify, made.init):
        with pytest.raises(LedgerError, match="newer version"):
            act()


def test_a_release_is_found_by_name_digest_or_commit(made):
    """
    As people say it.
    """
    add(made, "v1", "0123456789abcdef", commit="3f1c2ab90d")

    assert {found.name for word in ("v1", "01234567", "3f1c2ab") if (found := made.find("orders", word))} == {"v1"}
    assert made.find("orders", "0") is None


# -- the command -------------------------------------------------------------------------------------------------------

SERVICE = """
import twelvefactor as tf

class Config(tf.Config):
    database_url: tf.SQLURL
    greeting: str = "hello"
    api_token: tf.Secret

service = tf.Service("orders", Config)
service.attach(service.config.database_url)
"""


@pytest.fixture
def project(tmp_path, url, monkeypatch):
    """A project on disk, and its command in a process of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "ledger_orders.py").write_text(SERVICE.replace("tf.SQLURL", "tf.URL"))
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "orders"\n[tool.twelvefactor]\nservice = "ledger_orders:service"\n'
    )

    def run(*args, **environ):
        for name, value in {"DATABASE_URL": url, "API_TOKEN": "tell-nobody", "GIT_SHA": "3f1c2ab", **environ}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        sys.modules.pop("ledger_orders", None)
        done = CliRunner().invoke(main, ["release", *args])
        assert "tell-nobody" not in done.output
        return done

    yield run
    sys.modules.pop("ledger_orders", None)


def test_the_commands_from_init_to_rollback(project):
    """
    Two releases: what changed, and the way back.
    """
    key = {"TWELVEFACTOR_LEDGER_KEY": "k"}
    assert "made the ledger" in project("init").output
    assert "there is the ledger" in project("init").output
    first = project("record", TWELVEFACTOR_RELEASE="v1", **key)
    assert first.output.startswith("1  v1  ")
    assert "v1 is the newest already" in project("record", TWELVEFACTOR_RELEASE="v1", **key).output
    project("record", TWELVEFACTOR_RELEASE="v2", GIT_SHA="99999999", GREETING="hi", **key)

    assert [line.split()[2] for line in project("list").output.splitlines()] == ["v2", "v1"]
    diff = json.loads(project("diff", "v1", "v2", "--format", "json").output)
    assert diff["commits"] == "3f1c2ab..99999999"
    assert diff["variables"] == {"added": [], "removed": [], "changed": ["GREETING"]}
    assert json.loads(project("show", "v1", "--format", "json").output)["commit"] == "3f1c2ab"
    assert project("verify").output == "the ledger is whole\n"
    assert project("rollback", "--platform", "heroku").stdout == "heroku rollback v1\n"
    assert project("rollback", "--platform", "kubernetes", "v1").stdout == "kubectl rollout undo deployment/orders\n"
    unknown = project("rollback", "--platform", "heroku", "v9")
    assert (unknown.exit_code, "the newest are: v2, v1" in unknown.output) == (64, True)


def test_without_a_key_the_ledger_says_set_and_unset(project):
    """
    And nothing of the values.
    """
    project("init")
    project("record", TWELVEFACTOR_RELEASE="v1")
    project("record", TWELVEFACTOR_RELEASE="v2", GREETING="hi")

    done = project("diff", "v1", "v2")

    assert "variables     ~ GREETING" in done.output
    assert "values are not compared" in done.output


def test_no_database_is_one_line(project):
    """
    Where, and no password.
    """
    done = project("list", DATABASE_URL="postgresql://jo:s3cr3t-pass@127.0.0.1:1/none")

    assert (done.exit_code, "s3cr3t" in done.output, done.output.count("\n") <= 2) == (69, False, True)
    assert "database_url" in done.output


def test_nothing_attached_is_one_line(project, tmp_path):
    """
    What the ledger needs.
    """
    (tmp_path / "project" / "ledger_orders.py").write_text(
        "import twelvefactor as tf\nservice = tf.Service('orders')\n"
    )

    done = project("list")

    assert (done.exit_code, done.output) == (
        70,
        "Error: no SQL database is attached (attached: none); the ledger needs one\n",
    )
