"""`twelvefactor formation` writes manifests that the platforms' own validators take."""

import datetime as dt
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.concurrency.conftest import ROOT
from twelvefactor._core.yaml import dump
from twelvefactor.concurrency.formation import Formation, ProcessType
from twelvefactor.concurrency.kubernetes import schedule
from twelvefactor.concurrency.ticks import Tick
from twelvefactor.exceptions import UsageError

yaml = pytest.importorskip("yaml")

APP = """
import twelvefactor as tf

service = tf.Service("order_desk")
service.include("ticks")


async def app(scope, receive, send): ...


def sync(): ...


service.process("web", app)
service.process("price_sync", sync)
"""
QUEUE = """
import huey
queue = huey.MemoryHuey("x")
service.process("worker", queue)
"""
TICKS = """
from orders import service

@service.clock("30 2 * * 5-7", timezone="Europe/Berlin", misfire_grace=600)
def clean_up(): ...

@service.clock(300)
def refresh(): ...
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").write_text('[tool.twelvefactor]\nservice = "orders:service"\n')
    (folder / "orders.py").write_text(APP + QUEUE)
    (folder / "ticks.py").write_text(TICKS)
    return folder


def run(project, *arguments, expect=0, **environ):
    done = subprocess.run(
        [sys.executable, "-m", "twelvefactor", "formation", *arguments],
        cwd=project,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == expect, done.stderr
    return done


@pytest.fixture(scope="module")
def manifests(project):
    """What is written for Kubernetes, by kind and name."""
    text = run(
        project, "--format", "kubernetes", "--image", "registry/orders:1", "--replicas", "web=3", "--replicas", "clock=2",
        TWELVEFACTOR_GRACE_PERIOD="45s",
    ).stdout  # fmt: skip
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(text)}


def validated(documents):
    validate = pytest.importorskip("kubernetes_validate")
    for each in documents:
        validate.validate(each, validate.latest_version(), strict=True)


def container(manifest):
    (found,) = manifest["spec"]["template"]["spec"]["containers"]
    return found


def variables(manifest):
    return {each["name"]: each["value"] for each in container(manifest)["env"]}


# -- Kubernetes


def test_the_manifests_are_valid(manifests):
    """
    A Deployment for each type, those of included modules too, and a Service for the one that serves.
    """
    validated(manifests.values())

    assert set(manifests) == {
        ("Deployment", "order-desk-web"),
        ("Service", "order-desk-web"),
        ("Deployment", "order-desk-price-sync"),
        ("Deployment", "order-desk-worker"),
        ("Deployment", "order-desk-clock"),
    }


def test_the_grace_period_and_the_replicas_are_told_on_both_sides(manifests):
    """
    The platform waits as long as the process believes, and starts as many as it counts with.
    """
    web = manifests["Deployment", "order-desk-web"]

    assert web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 45
    assert web["spec"]["replicas"] == 3
    told = variables(web)
    assert (told["TWELVEFACTOR_GRACE_PERIOD"], told["TWELVEFACTOR_REPLICAS"], told["PORT"]) == ("45", "3", "8000")
    assert told["TWELVEFACTOR_SERVICE"] == "orders:service"
    assert container(web)["envFrom"] == [
        {"configMapRef": {"name": "order-desk"}},
        {"secretRef": {"name": "order-desk"}},
    ]
    assert "resources" not in container(web)
    assert "lifecycle" not in container(web)


def test_web_is_probed_by_http_and_the_rest_by_the_heartbeat(manifests):
    """
    Each by what it answers.
    """
    web, worker = (container(manifests["Deployment", f"order-desk-{name}"]) for name in ("web", "worker"))

    assert [web[f"{each}Probe"]["httpGet"]["path"] for each in ("startup", "liveness", "readiness")] == [
        "/startupz", "/livez", "/readyz",
    ]  # fmt: skip
    assert worker["livenessProbe"]["exec"]["command"] == ["twelvefactor", "probe"]
    assert worker["startupProbe"]["exec"]["command"] == ["twelvefactor", "probe", "--ready"]
    assert variables(manifests["Deployment", "order-desk-worker"])["TWELVEFACTOR_HEARTBEAT"] == "1"
    assert "readinessProbe" not in worker


def test_ticks_become_cronjobs_where_they_are_wanted(project):
    """
    Instead of a clock; the day 7, which the cluster does not know, is written by name.
    """
    text = run(project, "--format", "kubernetes", "--cronjobs").stdout
    made = {each["metadata"]["name"]: each for each in yaml.safe_load_all(text) if each["kind"] == "CronJob"}
    validated(made.values())

    assert "run, clock]" not in text
    clean, refresh = made["order-desk-clean-up"]["spec"], made["order-desk-refresh"]["spec"]
    assert (clean["schedule"], clean["timeZone"]) == ("30 2 * * fri,sat,sun", "Europe/Berlin")
    assert (refresh["schedule"], refresh["timeZone"]) == ("*/5 * * * *", "Etc/UTC")
    assert (clean["concurrencyPolicy"], clean["startingDeadlineSeconds"]) == ("Forbid", 600)
    (job,) = clean["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert job["command"] == ["twelvefactor", "run", "clock", "--tick", "clean_up"]


def test_a_pre_stop_hook_replaces_our_drain_delay(project):
    """
    Its seconds count within the grace period of the cluster, and not within ours.
    """
    text = run(project, "--format", "kubernetes", "--pre-stop", "5").stdout
    web = next(yaml.safe_load_all(text))
    validated([web])

    assert container(web)["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 35
    assert (variables(web)["TWELVEFACTOR_GRACE_PERIOD"], variables(web)["TWELVEFACTOR_DRAIN_DELAY"]) == ("30", "0")


@pytest.mark.parametrize(("every", "line"), [(60, "*/1 * * * *"), (7200, "0 */2 * * *"), (86400, "0 0 * * *")])
def test_an_interval_that_a_crontab_line_says(every, line):
    """
    Counted from midnight UTC, which is a multiple of each.
    """
    assert schedule(Tick("x", print, "", every, "UTC", 60.0)) == line


@pytest.mark.parametrize("every", [1, 45, 420, 18_000, 172_800])
def test_an_interval_that_no_crontab_line_says_is_refused(every):
    """
    Seven minutes would begin anew each hour.
    """
    with pytest.raises(UsageError, match="a CronJob cannot run every"):
        schedule(Tick("x", print, "", every, "UTC", 60.0))


# -- Compose


def test_the_compose_file_is_valid(project):
    """
    Each type is a service that binds to all addresses of its container, and is stopped with the same patience.
    """
    text = run(project, "--format", "compose", "--image", "orders:1", "--replicas", "worker=2").stdout
    pytest.importorskip("compose_spec").PyCompose.from_yaml(text)
    services = yaml.safe_load(text)["services"]

    assert set(services) == {"web", "price-sync", "worker", "clock"}
    assert services["web"]["environment"]["HOST"] == "0.0.0.0"
    assert services["web"]["healthcheck"]["test"] == ["CMD", "twelvefactor", "probe", "--port", "8000"]
    assert services["web"]["stop_grace_period"] == "30s"
    assert services["worker"]["deploy"]["replicas"] == 2
    assert services["worker"]["healthcheck"]["test"] == ["CMD", "twelvefactor", "probe"]


# -- systemd


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_takes_the_units(project, tmp_path):
    """
    A template where there are several; a target that wants all.
    """
    run(project, "--format", "systemd", "--replicas", "worker=2", "--output", str(tmp_path))
    units = sorted(each.name for each in tmp_path.iterdir())
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / each) for each in units)],
        capture_output=True, text=True, timeout=60, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )  # fmt: skip
    about_ours = [line for line in verified.stderr.splitlines() if "order-desk" in line or str(tmp_path) in line]

    assert units == [
        "order-desk-clock.service", "order-desk-price-sync.service", "order-desk-web.service",
        "order-desk-worker@.service", "order-desk.target",
    ]  # fmt: skip
    assert about_ours == []
    assert verified.returncode == 0, verified.stderr
    web, worker = ((tmp_path / f"order-desk-{each}.service").read_text() for each in ("web", "worker@"))
    assert "Type=notify" in web
    assert "Type=exec" in worker
    assert "TimeoutStopSec=30\n" in web
    assert "KillMode=mixed" in worker
    assert "order-desk-worker@2.service" in (tmp_path / "order-desk.target").read_text()


# -- Procfile


def test_a_procfile_is_written_and_compares_equal(project, tmp_path):
    """
    What was written is what is declared; a change of either is told, and costs the exit status.
    """
    copy = shutil.copytree(project, tmp_path / "copy")
    text = run(copy, "--output", "Procfile").stdout
    assert text == ""
    assert (copy / "Procfile").read_text().splitlines()[0] == "web: twelvefactor run web"
    assert run(copy, "--check").stderr == ""

    (copy / "Procfile").write_text(
        "release: alembic upgrade head\nweb: gunicorn orders:app\nworker:   twelvefactor run worker\nassets: npm run watch\n"
        "clock: twelvefactor run clock\n"
    )
    said = run(copy, "--check", expect=1).stderr.splitlines()
    assert said == [
        "Procfile: assets: the Procfile has it; the service does not declare it: service.process('assets', …)",
        "Procfile: price_sync: the service declares it; the Procfile does not: `price_sync: twelvefactor run price_sync`",
        "Procfile: web: the Procfile says `gunicorn orders:app`, the service `twelvefactor run web`",
    ]


def test_the_examples_procfile_is_what_it_declares():
    """
    As its CI would check.
    """
    assert run(ROOT / "examples" / "orders", "--check").stderr == ""


def test_types_that_only_the_procfile_has_are_written_too(project, tmp_path):
    """
    A shell reads their line; the release phase is no process of the formation.
    """
    copy = shutil.copytree(project, tmp_path / "copy")
    (copy / "Procfile").write_text("release: alembic upgrade head\nassets: npm run watch -- --poll $POLL\n")
    text = run(copy, "--format", "kubernetes").stdout
    made = {each["metadata"]["name"]: each for each in yaml.safe_load_all(text)}
    validated(made.values())

    assert container(made["order-desk-assets"])["command"] == ["sh", "-c", "exec npm run watch -- --poll $POLL"]
    assert "order-desk-release" not in made


# -- the rest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--replicas", "wbe=2"], "no process type is called wbe; there are: web"),
        (["--replicas", "web"], "expected TYPE=N"),
        (["--cronjobs"], "add --format kubernetes"),
        (["--grace", "soon", "--format", "kubernetes"], "TWELVEFACTOR_GRACE_PERIOD"),
    ],
)
def test_what_cannot_be_written_is_told(project, arguments, said):
    """
    In one line, without a traceback.
    """
    error = run(project, *arguments, expect=78 if "--grace" in arguments else 64).stderr

    assert said in error
    assert "Traceback" not in error


def test_yaml_is_what_it_was():
    """
    Words and numbers that YAML would read as something else stay text; comments are left out by who reads.
    """
    document = {
        "#note": "by hand",
        "words": [
            "yes",
            "No",
            "null",
            "1",
            "1e3",
            "a: b",
            "# x",
            "",
            "~",
            "ümlaut",
            "/x/y",
            "2026-01-01",
            "0x10",
            ".5",
        ],
        "n": [1, 2.5, True, None],
        "rows": [{"a": {"b": ["c"]}, "#c": "comment"}, {"d": {}, "e": []}],
        "deep": {"on": {"off": "on"}},
        "time": str(dt.date(2026, 1, 1)),
    }
    expected = {
        **{key: value for key, value in document.items() if key != "#note"},
        "rows": [{"a": {"b": ["c"]}}, {"d": {}, "e": []}],
    }

    assert yaml.safe_load(dump(document)) == expected


def test_a_process_type_of_a_formation_says_what_its_environment_is():
    """
    The app's own variables win over ours.
    """
    made = Formation("x", (), environ={"PORT": "9000"})
    assert made.variables(ProcessType("web", ("x",), serves=True))["PORT"] == "9000"
    assert SimpleNamespace(**made.variables(ProcessType("w", ("x",)))).TWELVEFACTOR_HEARTBEAT == "1"
