"""`twelvefactor run TYPE`: the server we start, on each of the five by name."""

import os
import sys
from signal import SIGINT

import pytest

from tests.disposability.conftest import SOON
from twelvefactor.testing.servers import Server

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUN = (sys.executable, "-m", "twelvefactor", "run", "--service", "tests.disposability.runapp:service")


def web(server=None, **environ):
    words = (*RUN, *(("--server", server) if server else ()), "web")
    return Server(words, environ={"LOG_FORMAT": "json", **environ}, cwd=ROOT)


@pytest.mark.parametrize(
    ("server", "workers", "kind", "status"),
    [
        (None, 1, "asgi", -15),
        ("uvicorn", 2, "asgi", 0),
        ("granian", 1, "asgi", 0),
        ("hypercorn", 2, "asgi", 0),
        ("gunicorn", 1, "asgi", 0),
        (None, 2, "wsgi", 0),
        ("waitress", 1, "wsgi", 0),
        ("granian", 1, "wsgi", 0),
    ],
)
def test_each_server_serves_on_port_and_stops_well(server, workers, kind, status):
    """
    It listens where PORT says, with as many workers; SIGTERM drains each, and the status is the server's own.
    """
    with web(server, KIND=kind, WEB_CONCURRENCY=str(workers)) as running:
        assert running.get("/").body.startswith(b"home")
        assert running.stop() == status

        states = [event["event"] for event in running.events]
        assert states.count("twelvefactor.stopped") == states.count("twelvefactor.starting") >= 1
        assert not [event for event in running.events if event["event"] == "twelvefactor.fault"]


def test_ctrl_c_is_a_stop_like_any_other_in_uvicorn():
    """
    Its own command ends with 0, without a word of an abort.
    """
    with web() as running:
        assert running.get("/").body.startswith(b"home")

        assert running.stop(SIGINT) == 0

        assert [event["event"] for event in running.events].count("twelvefactor.stopped") == 1
        assert "Aborted!" not in running.stderr


def refusal(*words, **environ):
    running = Server((*RUN[:4], *words), environ=environ, cwd=ROOT, ready=None).start()
    status = running.wait(SOON)
    return status, "\n".join(running.stderr)


def test_a_port_that_cannot_be_used_ends_with_78():
    """
    One line, without a traceback.
    """
    status, said = refusal("--service", "tests.disposability.runapp:service", "web", PORT="http")

    assert status == 78
    assert "PORT: cannot be used; expected a number from 0 to 65535" in said
    assert "Traceback" not in said


def test_a_type_that_is_not_declared_ends_with_64():
    """
    The declared ones are named.
    """
    status, said = refusal("--service", "tests.disposability.runapp:service", "wbe")

    assert status == 64
    assert "no process type 'wbe' is declared (once, web)" in said


def test_a_type_that_is_a_function_ends_with_what_it_returns():
    """
    A process of one's own.
    """
    assert refusal("--service", "tests.disposability.runapp:service", "once")[0] == 7


def test_a_server_that_cannot_serve_the_app_is_named():
    """
    waitress speaks WSGI only.
    """
    status, said = refusal("--service", "tests.disposability.runapp:service", "--server", "waitress", "web")

    assert status == 64
    assert "waitress cannot serve an ASGI app; these can: uvicorn" in said
