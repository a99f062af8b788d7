"""`pytest --twelvefactor-leaks`, run for real on a small suite."""

import functools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.conftest import LEAN

ROOT = Path(__file__).resolve().parents[2]
APP = """
import twelvefactor as tf
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

seen = []

async def leak(request):
    seen.append(1)
    return PlainTextResponse("x")

async def clean(request):
    return PlainTextResponse("y")

service = tf.Service("leaky")
app = service.asgi(Starlette(routes=[Route("/leak", leak), Route("/clean", clean)]))
"""
TESTS = """
from starlette.testclient import TestClient
from leaky import app

def get(path):
    with TestClient(app) as client:
        for _ in range(5):
            assert client.get(path).status_code == 200

def test_clean():
    get("/clean")

def test_leak():
    get("/leak")
"""


BARE = """
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from flask import Flask, request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
import twelvefactor as tf

kept = {name: [] for name in ("starlette", "flask", "django", "asgi", "wsgi", "body", "job", "work", "fixture")}
lazy = []
flask = Flask(__name__)
service = tf.Service("jobs", environ={})

async def leak(request):
    kept[request.path_params["name"]].append(1)
    return PlainTextResponse("x")

async def clean(request):
    return PlainTextResponse("y")

async def warm(request):
    lazy.append(1)
    return PlainTextResponse("z")

@flask.route("/<name>", methods=["GET", "POST"])
def flask_leak(name):
    if name in kept:
        kept[name].append(request.get_data(as_text=True) or 1)
    return name

def django_leak(request, name):
    kept[name].append(request.POST.get("card", 1))
    return HttpResponse("x")

@service.job
def job():
    kept["job"].append(1)

urlpatterns = [path("<name>", django_leak)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="for tests", LOGGING_CONFIG=None)
django.setup()
asgi = Starlette(routes=[Route("/clean", clean), Route("/warm", warm), Route("/{name}", leak)])
"""
BARE_TESTS = """
import asyncio
import httpx
import pytest
from django.test import AsyncClient, Client
from starlette.testclient import TestClient
from bare import asgi, flask, job, kept, service

client = TestClient(asgi)  # before the first test

def times(call, *args, **kwargs):
    return [call(*args, **kwargs) for _ in range(4)]

def test_clean():
    times(client.get, "/clean")
    times(flask.test_client().get, "/clean")
    with pytest.raises(httpx.UnsupportedProtocol):
        httpx.get("nowhere")

def test_starlette():
    times(client.get, "/starlette")

def test_flask():
    answers = times(flask.test_client().get, "/flask")  # kept, and never closed
    assert {answer.text for answer in answers} == {"flask"}

def test_body():
    flask.test_client().post("/body", data="card-4242-4242")

def test_django():
    Client().post("/django", {"card": "card-4711-4711"})

def test_django_async():
    asyncio.run(AsyncClient().get("/django"))

def test_asgi():
    async def main():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(asgi), base_url="http://x") as client:
            for _ in range(4):
                await client.get("/asgi")
    asyncio.run(main())

def test_wsgi():
    with httpx.Client(transport=httpx.WSGITransport(flask), base_url="http://x") as client:
        times(client.get, "/wsgi")

def test_job():
    times(job)

def test_work():
    for _ in range(4):
        with service.work("job", "by hand"):
            kept["work"].append(1)

@pytest.mark.twelvefactor_warm_up
def test_warm_up():
    times(client.get, "/warm")

def test_fixture(leaks):
    times(client.get, "/fixture")
    assert [f.culprit for f in leaks() if "fixture" in f.culprit] == ["bare.kept['fixture']"]
"""


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    (folder / "pyproject.toml").write_text(
        "[project]\nname = 'leaky'\nversion = '1'\n[tool.pytest.ini_options]\npythonpath = ['.']\n"
    )


@pytest.fixture
def suite(tmp_path):
    write(tmp_path, leaky=APP, test_leaky=TESTS)
    return functools.partial(run, tmp_path)


def run(folder, *options):
    plugin = () if _registered() else ("-p", "twelvefactor.pytest_plugin")
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", *LEAN, *plugin, *options]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300)


def _registered():
    from importlib.metadata import entry_points

    return any(each.name == "twelvefactor" for each in entry_points(group="pytest11"))


def test_the_test_that_left_it_fails(suite):
    """
    With `error`, the leak fails the test whose requests left it, and no other.
    """
    ended = suite("--twelvefactor-leaks=error")

    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "1 failed, 1 passed" in ended.stdout
    assert "TF602 leaky.seen" in ended.stdout
    assert "leaky.py:10" in ended.stdout


def test_a_report_fails_nothing(suite):
    """
    With `report`, it is told at the end, with the test that left it.
    """
    ended = suite("--twelvefactor-leaks")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "state that outlives its work" in ended.stdout
    assert "[test_leaky.py::test_leak]" in ended.stdout


def test_known_findings_are_accepted(suite, tmp_path):
    """
    A baseline written by a first run lets the next one pass.
    """
    suite("--twelvefactor-leaks", "--twelvefactor-leaks-baseline=known.txt")
    assert (tmp_path / "known.txt").read_text().splitlines()[-1] == "TF602 leaky.seen"

    ended = suite("--twelvefactor-leaks=error", "--twelvefactor-leaks-baseline=known.txt")

    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """What a run over apps says that no service wraps."""
    folder = tmp_path_factory.mktemp("bare")
    write(folder, bare=BARE, test_bare=BARE_TESTS)
    return run(folder, "--twelvefactor-leaks=error", "-rA")


def test_each_request_of_a_bare_test_client_and_each_job_is_watched(bare):
    """
    The clients of Starlette, Flask and Django, httpx's transports, jobs and units by hand: each leak fails its test.
    """
    failed = sorted(line.split("::")[1].split(" ")[0] for line in bare.stdout.splitlines() if line.startswith("FAILED"))

    leaking = ["asgi", "body", "django", "fixture", "flask", "job", "starlette", "work", "wsgi"]
    assert failed == [f"test_{name}" for name in leaking], bare.stdout + bare.stderr
    for name in leaking:
        assert f"TF602 bare.kept['{name}'] (list) gained entries" in bare.stdout


def test_what_a_warm_up_leaves_is_no_leak(bare):
    """
    A test with the marker may initialise what it likes.
    """
    assert "PASSED test_bare.py::test_warm_up" in bare.stdout
    assert "bare.lazy" not in bare.stdout


def test_a_body_is_evidence_in_a_bare_app_too(bare):
    """
    One request is enough, and what was in it is not told.
    """
    assert "TF602 bare.kept['body'] (list) gained entries in one unit" in bare.stdout
    assert "TF602 bare.kept['django'] (list) gained entries in one unit" in bare.stdout
    assert "in one unit of work: list[0] to list[1]" in bare.stdout


def test_without_the_option_nothing_is_patched(tmp_path):
    """
    The clients are those of their libraries, also after a run that patched them.
    """
    import httpx
    import starlette.testclient
    import werkzeug.test

    from twelvefactor.testing.clients import Clients

    before = (
        httpx.ASGITransport.handle_async_request,
        httpx.WSGITransport.handle_request,
        starlette.testclient._TestClientTransport.handle_request,
        werkzeug.test.run_wsgi_app,
    )
    clients = Clients(tmp_path)
    clients.patch()
    assert werkzeug.test.run_wsgi_app is not before[3]

    clients.undo()

    assert before == (
        httpx.ASGITransport.handle_async_request,
        httpx.WSGITransport.handle_request,
        starlette.testclient._TestClientTransport.handle_request,
        werkzeug.test.run_wsgi_app,
    )


def test_a_waived_leak_is_told_and_fails_nothing(suite, tmp_path):
    """
    The waiver of the codebase holds in its tests too.
    """
    pyproject = tmp_path / "pyproject.toml"
    waiver = "[[tool.twelvefactor.waivers]]\nrule = 'TF602'\nwhere = 'leaky.seen'\nreason = 'a demo'\n"
    pyproject.write_text(pyproject.read_text() + waiver)

    ended = suite("--twelvefactor-leaks=error")

    assert ended.returncode == 0, ended.stdout
    assert "TF602 leaky.seen is waived: a demo" in ended.stdout
