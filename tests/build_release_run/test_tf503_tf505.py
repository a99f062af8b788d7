"""TF503 and TF505: the ledger and the schema, asked in the background by a service with a real database."""

import io
import json
import sys
import threading

import pytest
from sqlalchemy import create_engine

import twelvefactor as tf
from tests.build_release_run.test_ledger import database as made_on
from tests.build_release_run.test_ledger import dropped
from twelvefactor.backing_services.url import URL
from twelvefactor.build_release_run import RULES, migrations
from twelvefactor.build_release_run.ledger import Ledger, opened, resource_for
from twelvefactor.factor import Verdict

TF503, TF505 = RULES[2], RULES[4]


class Config(tf.Config):
    database_url: tf.URL
    greeting: str = "hello"


ENGINES = pytest.mark.parametrize("database", ["sqlite", "postgres", "mariadb"], indirect=True)
"""SQLite alone is enough for what does not depend on the engine."""


@pytest.fixture
def database(request, tmp_path):
    """The URL of a database of this test's own, and dropped afterwards."""
    engine = getattr(request, "param", "sqlite")
    if engine == "sqlite":
        yield f"sqlite:///{tmp_path}/app.db"
        return
    admin, name, url = made_on(request.getfixturevalue(f"{engine}_url"))
    yield url
    dropped(admin, name)


@pytest.fixture
def serve(tmp_path, monkeypatch, database):
    """A service in a deploy, attached to a database of this test's own; closed at the end."""
    made = []

    def serve(*, init=False, **environ):
        environ = {
            "DATABASE_URL": database,
            "TWELVEFACTOR_DEPLOY": "test",
            "TWELVEFACTOR_RELEASE": "v1",
            "GIT_SHA": "a",
            "LOG_FORMAT": "json",
            **environ,
        }
        service = tf.Service("orders", Config, environ=environ, stream=io.StringIO())
        service.app_code = type(service.app_code)(tmp_path)
        service.attach(service.config.database_url)
        if init:
            with opened(resource_for(service)) as ledger:
                ledger.init()
        made.append(service)
        service.start()
        service.ready()
        return service

    yield serve
    for service in made:
        service.close()
    assert not [
        thread.name
        for thread in threading.enumerate()
        if thread.name in {"twelvefactor ledger", "twelvefactor migrations"}
    ]


def judged(service, rule):
    service.close()  # waits for the look
    return service.evidence.ruling(rule)


def recorded(database):
    engine = create_engine(URL(database).sqlalchemy_url)
    try:
        return [entry.name for entry in Ledger(engine).releases("orders")]
    finally:
        engine.dispose()


class TestTF503:
    """One release name, one build and config."""

    @ENGINES
    def test_the_first_start_is_recorded_once(self, serve, database):
        """
        By whichever process comes first.
        """
        assert judged(serve(init=True), TF503).verdict == Verdict.PASS
        service = serve()
        assert judged(service, TF503).verdict == Verdict.PASS

        assert recorded(database) == ["v1"]

    @ENGINES
    @pytest.mark.parametrize(
        ("change", "what"),
        [({"GIT_SHA": "b"}, "build"), ({"GREETING": "hi"}, "config")],
    )
    def test_fires_on_the_same_name_with_something_else(self, serve, change, what):
        """
        A tag that was moved, a variable that was changed without a new release.
        """
        serve(init=True).close()

        ruling = judged(serve(**change), TF503)

        assert (ruling.verdict, ruling.because.endswith(f"with another {what}")) == (Verdict.FAIL, True)

    def test_quiet_on_another_name(self, serve):
        """
        That is what names are for.
        """
        serve(init=True).close()

        assert judged(serve(TWELVEFACTOR_RELEASE="v2", GIT_SHA="b", GREETING="hi"), TF503).verdict == Verdict.PASS

    def test_quiet_where_a_key_was_introduced(self, serve):
        """
        Digests with and without a key cannot be compared.
        """
        serve(init=True).close()

        assert judged(serve(TWELVEFACTOR_LEDGER_KEY="k"), TF503).verdict == Verdict.PASS

    def test_unknown_without_a_ledger(self, serve):
        """
        With the next step.
        """
        ruling = judged(serve(), TF503)

        assert (ruling.verdict, "release init" in ruling.because) == (Verdict.UNKNOWN, True)

    def test_outside_of_a_deploy_nothing_is_recorded(self, serve, database):
        """
        A test run is no release.
        """
        service = serve(init=True, TWELVEFACTOR_DEPLOY="")

        assert judged(service, TF503).verdict == Verdict.UNKNOWN
        assert recorded(database) == []


MIGRATION = """
revision = "{name}"
down_revision = {down!r}
branch_labels = depends_on = None
from alembic import op
def upgrade(): op.execute("create table t_{name} (x int)")
def downgrade(): ...
"""

ENV = """
from alembic import context
from sqlalchemy import NullPool, create_engine
with create_engine(context.config.get_main_option("url"), poolclass=NullPool).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


@pytest.fixture
def alembic(tmp_path, database):
    """A folder of migrations, as Alembic reads it; `upgrade` runs it."""
    pytest.importorskip("alembic")
    from alembic import command
    from alembic.config import Config as Alembic

    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "migrations" / "env.py").write_text(ENV)
    ini = tmp_path / "alembic.ini"
    ini.write_text(
        f"[alembic]\nscript_location = {tmp_path}/migrations\npath_separator = os\n"
        f"url = {URL(database).sqlalchemy_url.render_as_string(hide_password=False)}\n"
    )

    class Folder:
        def add(self, name, down=None):
            (versions / f"{name}.py").write_text(MIGRATION.format(name=name, down=down))

        def remove(self, name):
            (versions / f"{name}.py").unlink()

        def upgrade(self, to="heads"):
            command.upgrade(Alembic(str(ini)), to)

    return Folder()


def settled(service, wanted, seconds=20):
    """Readiness, once it is as wanted, or the last one after a bound."""
    done = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if service.readiness() == wanted:
            break
        done.wait(0.05)
    return service.readiness()


class TestTF505Alembic:
    """By the graph of revisions."""

    @ENGINES
    def test_fires_and_holds_readiness_while_behind(self, serve, alembic, monkeypatch):
        """
        Red until the admin process has migrated; then green, without a restart.
        """
        monkeypatch.setattr(migrations, "EVERY", 0.2)  # seconds between two looks
        alembic.add("one")
        alembic.add("two", "one")
        alembic.upgrade("one")
        service = serve()

        assert settled(service, "waiting for migrations") == "waiting for migrations"
        (finding,) = service.findings.of("TF505")
        assert finding.message == "the database lacks the migration two (one in database_url)"

        alembic.upgrade()
        assert settled(service, "ok") == "ok"

    def test_fires_on_one_of_several_heads(self, serve, alembic):
        """
        Two lines of revisions, one of them behind.
        """
        alembic.add("one")
        alembic.add("left", "one")
        alembic.add("right", "one")
        alembic.upgrade("left")

        assert judged(serve(), TF505).because == "the database lacks the migration right (left in database_url)"

    def test_quiet_when_all_heads_are_there(self, serve, alembic):
        """
        And a merge of them.
        """
        alembic.add("one")
        alembic.add("left", "one")
        alembic.add("right", "one")
        alembic.upgrade()
        assert judged(serve(), TF505).verdict == Verdict.PASS

        alembic.add("merged", ("left", "right"))
        alembic.upgrade()

        assert judged(serve(), TF505).verdict == Verdict.PASS

    def test_quiet_when_the_database_is_ahead(self, serve, alembic):
        """
        The old release serves on while the new one has migrated.
        """
        alembic.add("one")
        alembic.add("two", "one")
        alembic.upgrade()
        alembic.remove("two")

        service = serve()

        assert settled(service, "ok") == "ok"
        assert judged(service, TF505).verdict == Verdict.PASS

    def test_a_broken_folder_keeps_nothing_from_serving(self, serve, alembic, tmp_path):
        """
        Unknown, one event, ready.
        """
        alembic.add("two", "not-there")

        service = serve()

        assert settled(service, "ok") == "ok"
        assert judged(service, TF505).verdict == Verdict.UNKNOWN

    def test_an_admin_process_is_not_judged(self, serve, alembic):
        """
        It is the one that migrates.
        """
        alembic.add("one")

        assert judged(serve(TWELVEFACTOR_PROCESS_TYPE="admin"), TF505).verdict == Verdict.NOT_APPLICABLE


DJANGO = """
import json, sys
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"], USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
)
django.setup()
from django.core.management import call_command
from twelvefactor.build_release_run.migrations import django_behind, django_is_here
from django.db.migrations.recorder import MigrationRecorder
from django.db import connection
said = [django_is_here(), len(django_behind().behind) > 0]
call_command("migrate", verbosity=0)
said.append(django_behind().behind)
MigrationRecorder(connection).record_applied("auth", "9999_newer")
said.append(django_behind().behind)
MigrationRecorder(connection).record_unapplied("auth", "0012_alter_user_first_name_max_length")
said.append(django_behind().behind)
print(json.dumps(said))
"""


def test_django(tmp_path):
    """
    By its own graph: behind, there, ahead, and behind by one.
    """
    pytest.importorskip("django")
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", DJANGO, str(tmp_path / "db.sqlite3")], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [True, True, [], [], ["auth.0012_alter_user_first_name_max_length"]]


WITHOUT_DATABASES = """
import json
import django
from django.conf import settings
settings.configure()
django.setup()
from django.db import connections
from twelvefactor.build_release_run.migrations import django_is_here
list(connections)  # from here on Django itself has written its dummy into DATABASES
connections["default"]
print(json.dumps([settings.DATABASES["default"]["ENGINE"], django_is_here()]))
"""


def test_django_without_a_database():
    """
    The dummy that Django puts there is no database whose migrations anyone could read.
    """
    pytest.importorskip("django")
    import subprocess

    done = subprocess.run([sys.executable, "-c", WITHOUT_DATABASES], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["django.db.backends.dummy", False]
