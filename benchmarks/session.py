"""
What `pytest --twelvefactor` costs: the same suites with and without it, of a Starlette and of a Flask app.

    python benchmarks/session.py

CPU time of whole pytest runs, interleaved; the lower quartile of each. Then what every pytest run pays: the import of
the plugin.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROUNDS = int(os.environ.get("ROUNDS", "7"))
ROOT = Path(__file__).resolve().parent.parent
STARLETTE = """
import json
import twelvefactor as tf
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def show(request):
    return JSONResponse({"items": [{"id": n, "name": f"item {n}"} for n in range(200)]})

async def create(request):
    return JSONResponse({"kept": len(await request.json())}, status_code=201)

service = tf.Service("shop")
app = service.asgi(Starlette(routes=[Route("/", show), Route("/", create, methods=["POST"])]))
"""
STARLETTE_TESTS = """
import pytest
from starlette.testclient import TestClient
from shop import app

@pytest.fixture(scope="module")
def client():
    with TestClient(app) as client:
        yield client

@pytest.mark.parametrize("number", range(300))
def test_shop(client, number):
    assert len(client.get("/").json()["items"]) == 200
    assert client.post("/", json=[number] * 50).status_code == 201
    assert client.get("/nowhere").status_code == 404
"""
FLASK = """
import twelvefactor as tf
from flask import Flask, request

flask = Flask(__name__)

@flask.get("/")
def show():
    return {"items": [{"id": n, "name": f"item {n}"} for n in range(200)]}

@flask.post("/")
def create():
    return {"kept": len(request.get_json())}, 201

service = tf.Service("shop")
flask.wsgi_app = service.wsgi(flask.wsgi_app)
"""
FLASK_TESTS = """
import pytest
from shop import flask

@pytest.fixture(scope="module")
def client():
    return flask.test_client()

@pytest.mark.parametrize("number", range(300))
def test_shop(client, number):
    assert len(client.get("/").json["items"]) == 200
    assert client.post("/", json=[number] * 50).status_code == 201
    assert client.get("/nowhere").status_code == 404
"""
IMPORT = (
    "import sys, time, pytest, _pytest.config, _pytest.python, _pytest.unittest; t = time.process_time(); "
    "import twelvefactor.pytest_plugin; print(1000 * (time.process_time() - t))"
)
SUITES = {"Starlette": (STARLETTE, STARLETTE_TESTS), "Flask": (FLASK, FLASK_TESTS)}


def run(folder: Path, *options: str) -> float:
    """Seconds of CPU that a run of the suite in *folder* takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    plugin = () if registered() else ("-p", "twelvefactor.pytest_plugin")
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, *options],
        cwd=folder, env=environ, check=True, capture_output=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def registered() -> bool:
    """Whether pytest finds the plugin by itself."""
    from importlib.metadata import entry_points

    return any(each.name == "twelvefactor" for each in entry_points(group="pytest11"))


def ratio(name: str) -> tuple[float, float, float]:
    """Seconds without, seconds with, and their ratio."""
    app, tests = SUITES[name]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "shop.py").write_text(app)
        (folder / "test_shop.py").write_text(tests)
        (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\npythonpath = ['.']\n")
        run(folder), run(folder, "--twelvefactor")
        pairs = [(run(folder), run(folder, "--twelvefactor")) for _ in range(ROUNDS)]
    without, with_it = (statistics.quantiles(each, n=4)[0] for each in zip(*pairs, strict=True))
    return without, with_it, with_it / without


def main() -> None:
    """Print the table."""
    print(f"{'suite':<12}{'without s':>12}{'with s':>12}{'ratio':>9}   goal")
    for name in SUITES:
        without, with_it, times = ratio(name)
        print(f"{name:<12}{without:>12.2f}{with_it:>12.2f}{times:>9.2f}   1.50")
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    runs = [float(subprocess.check_output([sys.executable, "-c", IMPORT], env=environ)) for _ in range(4 * ROUNDS)]
    print(f"\nimport of the plugin: {statistics.quantiles(runs, n=4)[0]:.2f} ms (goal 1.00)")


if __name__ == "__main__":
    main()
