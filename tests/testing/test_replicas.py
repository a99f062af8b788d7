"""Two real processes in turn behind one URL."""

import json
import os
import subprocess
import sys
import urllib.request
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.conftest import LEAN
from twelvefactor.testing.replicas import Replicas, share_nothing

ROOT = Path(__file__).resolve().parents[2]
APP = """
import os, sys
from wsgiref.simple_server import make_server, WSGIRequestHandler

carts = {}

def app(environ, start_response):
    user = environ["PATH_INFO"].rpartition("/")[2]
    if environ["REQUEST_METHOD"] == "POST":
        carts[user] = carts.get(user, 0) + 1
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b'{"pid": %d, "items": %d}' % (os.getpid(), carts.get(user, 0))]

class Quiet(WSGIRequestHandler):
    def log_message(self, *args): pass

make_server("127.0.0.1", int(os.environ["PORT"]), app, handler_class=Quiet).serve_forever()
"""


@pytest.fixture
def command(tmp_path):
    (tmp_path / "carts.py").write_text(APP)
    return (sys.executable, str(tmp_path / "carts.py"))


def ask(url, method="GET"):
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
        return json.loads(answer.read())


def test_processes_are_asked_in_turn(command):
    """
    One URL, two processes, request by request.
    """
    with Replicas(command, ready="/") as replicas:
        pids = [ask(replicas.url + "/")["pid"] for _ in range(4)]

    assert pids[0] == pids[2] != pids[1] == pids[3]


def test_sticky_state_is_shown_by_the_pair_of_requests(command):
    """
    A cart that one process remembers is not there on the other.
    """

    def shop(url):
        ask(url + "/ann", "POST")
        assert ask(url + "/ann")["items"] == 1

    sticky = share_nothing(command, shop, ready="/")

    assert isinstance(sticky.error, AssertionError)
    assert (sticky.earlier.method, sticky.failing.method) == ("POST", "GET")
    assert sticky.earlier.replica != sticky.failing.replica


def test_what_needs_no_memory_passes(command):
    """
    A scenario that any process can serve is no finding, not even after one was killed.
    """
    assert share_nothing(command, lambda url: ask(url + "/bob"), ready="/", restart=True) is None


def test_a_scenario_that_is_simply_wrong_raises(command):
    """
    What fails on one process says nothing about sharing.
    """
    with pytest.raises(KeyError):
        share_nothing(command, lambda url: ask(url + "/")["nothing"], ready="/")


TESTS = """
import json, sys, urllib.request
import pytest

@pytest.fixture(scope="session")
def replicas_command():
    return (sys.executable, "carts.py")

@pytest.fixture(scope="session")
def replicas_ready():
    return "/"

def ask(url, method="GET"):
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
        return json.loads(answer.read())

def test_cart(service_url):
    ask(service_url + "/ann", "POST")
    assert ask(service_url + "/ann")["items"] == 1

@pytest.mark.parametrize("user", ["bob", "eve"])
def test_stateless(service_url, user):
    pids = [ask(service_url + "/" + user)["pid"] for _ in range(3)]
    print("pids", *pids)

def test_simply_wrong(service_url):
    assert ask(service_url + "/")["items"] == 7
"""


def run_suite(folder, *options):
    (folder / "carts.py").write_text(APP)
    (folder / "test_carts.py").write_text(TESTS)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    plugin = () if any(each.name == "twelvefactor" for each in entry_points(group="pytest11")) else PLUGIN
    command = [sys.executable, "-m", "pytest", "-q", "-rA", *LEAN, *plugin, *options]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300)


PLUGIN = ("-p", "twelvefactor.pytest_plugin")


def test_the_users_tests_show_sticky_state_by_the_pair_of_requests(tmp_path):
    """
    A test that passes on one process and fails on two is told with the pair; one that always fails is not.
    """
    ended = run_suite(tmp_path, "--twelvefactor-replicas", "2", "--twelvefactor-replicas-restart")

    assert "PASSED test_carts.py::test_cart[1 process]" in ended.stdout, ended.stdout + ended.stderr
    assert "FAILED test_carts.py::test_cart[2 processes]" in ended.stdout
    assert "PASSED test_carts.py::test_stateless[2 processes-bob]" in ended.stdout
    told = ended.stdout.partition("= twelvefactor: sticky state =")[2]
    assert "first POST /ann -> 200 (process" in told
    assert "then GET /ann -> 200 (process" in told
    assert "test_simply_wrong[2 processes]: sticky" not in told
    pids = [line.split()[1:] for line in ended.stdout.splitlines() if line.startswith("pids")]
    assert sorted(len(set(each)) for each in pids) == [1, 1, 3, 3]  # two in turn, and the first of them started again


def test_without_the_option_one_process_serves(tmp_path):
    """
    The fixture is there for any run; fewer than two replicas are refused.
    """
    ended = run_suite(tmp_path, "-k", "stateless")
    refused = run_suite(tmp_path, "--twelvefactor-replicas", "1")

    assert "2 passed" in ended.stdout, ended.stdout + ended.stderr
    assert refused.returncode == 4
    assert "at least 2" in refused.stderr
