"""Every server starts the app with its default detection of the interface, serves it, and stops cleanly on SIGTERM."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGTERM

import pytest

from twelvefactor.testing.servers import ASGI_SERVERS, WSGI_SERVERS, Server, python_server

HERE = Path(__file__).parent
ENVIRON = {"PYTHONPATH": str(HERE.parents[1]), "DJANGO_SETTINGS_MODULE": "real_django", "TWELVEFACTOR_RELEASE": "v1"}
RUNSERVER = (sys.executable, "real_django.py", "runserver", "--noreload", "127.0.0.1:{port}")
CLEAN = (0, -SIGTERM, 128 + SIGTERM)


def server(command, **environ):
    return Server(command, cwd=HERE / "apps", environ={**ENVIRON, **environ})


def life(command):
    """One life of a server: what it answered, what it said, how it ended."""
    with server(command) as running:
        answers = {
            "hello": running.get("/hello/ada", {"X-Request-ID": "real-1"}),
            "fails": running.get("/fails"),
            "live": running.get("/livez"),
        }
        running.wait_event("request", where=lambda event: event["path"] == "/hello/ada")
        running.wait_event("request", where=lambda event: event["path"] == "/fails")
        status = running.stop()
        return answers, running, status


CASES = {
    **{name: python_server(name, "real_asgi:app") for name in ASGI_SERVERS},
    "uvicorn, in the list": python_server("uvicorn", "real_asgi:in_list"),
    "hypercorn, in the list": python_server("hypercorn", "real_asgi:in_list"),
    "uvicorn, Django": python_server("uvicorn", "real_django_servers:asgi"),
    "hypercorn, Django in the list": python_server("hypercorn", "real_django_servers:in_list"),
    **{name: python_server(name, "real_wsgi:app") for name in WSGI_SERVERS},
    "gunicorn --preload": (*python_server("gunicorn-sync", "real_wsgi:app"), "--preload"),
    "gunicorn, Django": python_server("gunicorn-gthread", "real_django_servers:wsgi"),
    "gunicorn, Django in the list": python_server("gunicorn-gthread", "real_django:application"),
    "runserver": RUNSERVER,
}


@pytest.fixture(scope="module")
def lives():
    """All lives, begun when the first is asked for, a few at a time."""
    with ThreadPoolExecutor(3) as pool:
        yield {name: pool.submit(life, command) for name, command in CASES.items()}


@pytest.fixture(params=CASES)
def lived(request, lives):
    return lives[request.param].result(120)


def test_the_app_is_served(lived):
    """
    Detected as what it is; the request id comes back, the probe is answered.
    """
    answers, _, _ = lived

    assert (answers["hello"].status, answers["hello"].body) == (200, b"hello ada")
    assert answers["hello"].headers["x-request-id"] == "real-1"
    assert (answers["fails"].status, answers["live"].json()) == (500, {"status": "ok"})


def test_every_request_is_one_event(lived):
    """
    On stdout, with its route, client, status and bytes; successful probes are not there.
    """
    _, running, _ = lived
    told = {event["path"]: event for event in running.events if event["event"] == "request" and event["status"] != 503}

    hello = told["/hello/ada"]
    assert (hello["route"].replace("<str:name>", "<name>").translate({60: 123, 62: 125})) == "/hello/{name}"
    assert (hello["status"], hello["bytes"], hello["client"]) == (200, 9, "127.0.0.1")
    assert hello["request_id"] == "real-1"
    assert told["/fails"]["status"] == 500
    assert len([event for event in running.events if event["event"] == "request" and event["status"] != 503]) == 2


def test_the_exception_is_one_traceback(lived):
    """
    The server's own record of the same exception is not a second one.
    """
    _, running, _ = lived
    told = [event for event in running.events if "nobody handles this" in str(event)]

    assert len(told) == 1
    assert "nobody handles this" in told[0]["exception"]
    assert told[0]["request_id"]
    assert "nobody handles this" not in "\n".join(running.stderr)


def test_what_is_mounted_is_told_at_start(lived):
    """
    The paths of the probes.
    """
    _, running, _ = lived
    mounted = next(event for event in running.events if event["event"] == "twelvefactor.mounted")

    assert mounted["paths"] == ["/livez", "/readyz", "/startupz"]


def test_it_ends_cleanly(lived):
    """
    On one SIGTERM, in time, with the status that the server gives itself; each line that it left is an event.
    """
    _, running, status = lived

    assert status in CLEAN
    assert all("Traceback" not in line for line in running.stderr)


def test_it_drains(lived):
    """
    Whoever the service is told by, it stands before SIGTERM, also where the server serves in threads.
    """
    _, running, _ = lived

    assert [each["event"] for each in running.events if each["event"] == "twelvefactor.draining"]
    assert [each for each in running.events if each["event"] == "twelvefactor.sigterm.not_caught"] == []


def test_sigterm_right_after_the_first_answer_drains():
    """
    granian's loop takes the signals anew when it begins to serve; the service stands before it again at once.
    """
    with server(CASES["granian"], TWELVEFACTOR_DRAIN_DELAY="500ms") as running:
        running.send_signal()
        running.wait()
    (stopping,) = [event for event in running.events if event["event"] == "twelvefactor.stopping"]

    assert stopping["seconds_in_last_state"] >= 0.4
