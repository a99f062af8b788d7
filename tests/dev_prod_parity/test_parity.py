"""Each rule of factor X fires on a real gap and is quiet on its look-alike."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

import twelvefactor as tf
from twelvefactor._core.appcode import AppCode
from twelvefactor.backing_services.resources import Resources
from twelvefactor.dev_prod_parity import TF1001, TF1002, TF1003, TF1004, TF1005, sensors
from twelvefactor.factor import Verdict
from twelvefactor.testing.backing_services import QuietProcess
from twelvefactor.testing.engines import postgres


@pytest.fixture(scope="module")
def database():
    with postgres(version=16) as url:
        yield url


def judged(url=None, *, parity=None, deploy=None, environ=None, manifest=None, now=None, client=None, **declaration):
    """The process after its resources answered and its sensors looked."""
    process = QuietProcess()
    process.app_code = AppCode(None)
    process.environ = environ or {}
    process.deploy = deploy
    process.manifest = manifest or {}
    process.declaration = {**declaration, **({"parity": parity} if parity else {})}
    resources = Resources(process)
    if url is not None:
        resources.attach(tf.URL(url), name="database_url", client=client)
    made = sensors(process)
    for sensor in made:
        sensor.install()
    try:
        if url is not None and client is None:
            assert resources.wait(15)
    finally:
        resources.close()
        for sensor in made:
            sensor.remove()
    assert process.faults == []
    return process


def verdict(process, rule):
    return process.evidence.ruling(rule).verdict


def test_tf1001_fires_on_another_engine(database):
    """
    PostgreSQL where MySQL is declared is an error that names both.
    """
    (finding,) = judged(database, parity={"database_url": "mysql 8.0"}).findings

    assert finding.rule is TF1001
    assert finding.message.startswith("database_url is postgresql 16.")
    assert finding.message.endswith("declared is mysql 8.0")


def test_tf1002_fires_on_another_major_version(database):
    """
    16 where 17 is declared is a warning.
    """
    (finding,) = judged(database, parity={"database_url": "postgresql 17"}).findings

    assert finding.rule is TF1002


@pytest.mark.parametrize("declared", ["postgresql 16", "postgres 16.1", "PostgreSQL"])
def test_tf1001_and_tf1002_are_quiet_on_the_same_line(database, declared):
    """
    A minor version apart, another spelling and no version at all are no gap.
    """
    process = judged(database, parity={"database_url": declared})

    assert list(process.findings) == []
    assert verdict(process, TF1001) is Verdict.PASS


def test_tf1001_is_unknown_without_a_declaration(database):
    """
    Nothing declared, nothing claimed.
    """
    process = judged(database, parity={"python": "3"})

    assert verdict(process, TF1001) is Verdict.UNKNOWN
    assert verdict(process, TF1002) is Verdict.UNKNOWN
    assert 'parity] database_url = "postgresql"' in process.evidence.ruling(TF1001).because


def test_tf1003_fires_on_sqlite_in_a_deploy():
    """
    A file beside the process stands in for a server database.
    """
    process = judged("sqlite://", deploy="production")

    assert [finding.rule for finding in process.findings] == [TF1003]


def test_tf1003_fires_on_a_stand_in_under_dev():
    """
    `twelvefactor dev` gives real services, so a stand-in there is one too.
    """
    process = judged("sqlite://", environ={"TWELVEFACTOR_DEV": "1"})

    assert len(process.findings.of("TF1003")) == 1


def test_tf1003_fires_on_a_fake_client():
    """
    A client of a faking library is told by where its class comes from.
    """
    made = type("FakeRedis", (), {"__module__": "fakeredis._server", "close": lambda self: None})
    process = judged("redis://127.0.0.1:1", deploy="production", client=lambda url: made())

    assert "is a fakeredis client" in process.findings.of("TF1003")[0].message


def test_tf1003_is_quiet_on_a_declared_sqlite_and_on_a_real_server(database):
    """
    An app whose production is SQLite says so; a server database is what belongs there.
    """
    declared = judged("sqlite://", deploy="production", parity={"database_url": "sqlite 3"})
    real = judged(database, deploy="production")

    assert declared.findings.of("TF1003") == ()
    assert real.findings.of("TF1003") == ()
    assert verdict(real, TF1003) is Verdict.PASS


def test_tf1003_is_unknown_where_nobody_tells_and_under_pytest():
    """
    A laptop and a test may use stand-ins.
    """
    assert verdict(judged("sqlite://"), TF1003) is Verdict.UNKNOWN
    assert verdict(judged("sqlite://", deploy="ci", environ={"PYTEST_VERSION": "9"}), TF1003) is Verdict.UNKNOWN


def test_tf1003_fires_on_eager_tasks_and_a_broker_in_memory():
    """
    A Celery app that runs tasks in the caller, over a broker in this process, is two findings.
    """
    import celery

    app = celery.Celery("shop", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    try:
        process = judged(deploy="production")
    finally:
        app.close()

    assert {finding.culprit for finding in process.findings.of("TF1003")} >= {"celery:shop", "celery:shop:broker"}


def test_tf1004_fires_on_an_old_build_and_is_quiet_on_a_fresh_one():
    """
    The manifest's time against the declared interval.
    """
    now = datetime.now(UTC)
    old = judged(manifest={"built_at": (now - timedelta(days=30)).isoformat()}, **{"deploy-interval": "2 weeks"})
    fresh = judged(manifest={"built_at": (now - timedelta(days=3)).isoformat()}, **{"deploy-interval": "2 weeks"})

    assert [finding.rule for finding in old.findings] == [TF1004]
    assert verdict(fresh, TF1004) is Verdict.PASS
    assert verdict(judged(), TF1004) is Verdict.UNKNOWN


def test_tf1005_fires_on_another_python_and_is_quiet_on_this_one():
    """
    What is declared, or what the build was made with, against what runs.
    """
    import sys

    this = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert [finding.rule for finding in judged(parity={"python": "3.4"}).findings] == [TF1005]
    assert verdict(judged(parity={"python": this}), TF1005) is Verdict.PASS
    assert verdict(judged(manifest={"python": f"{this}.99"}), TF1005) is Verdict.PASS
    assert verdict(judged(), TF1005) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("EMAIL_BACKEND='django.core.mail.backends.console.EmailBackend'", 1),
        ("EMAIL_BACKEND='django.core.mail.backends.smtp.EmailBackend'", 0),
        ("MAILERS={'default': {'BACKEND': 'django.core.mail.backends.locmem.EmailBackend'}}", 1),
        ("MAILERS={'default': {'BACKEND': 'django.core.mail.backends.smtp.EmailBackend'}}", 0),
    ],
)
def test_djangos_mail_is_read_without_a_warning(settings, found):
    """
    Django 6.1 warns whoever reads its old setting; the warning would be about this library.
    """
    code = (
        "import warnings\n"
        "from django.conf import settings\n"
        f"with warnings.catch_warnings(action='ignore'):\n    settings.configure({settings})\n"
        "from twelvefactor.dev_prod_parity import _django\n"
        "print(len(list(_django())))\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.strip()) == (0, str(found)), done.stderr
