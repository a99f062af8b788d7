"""TF801: the process is of a type that the app does not declare."""

import asyncio

import pytest

from twelvefactor import FactorViolation
from twelvefactor.concurrency import TF801
from twelvefactor.concurrency.procfile import parse, write
from twelvefactor.factor import Verdict


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def serve_once(wrapped):
    """As an ASGI server without lifespan does."""

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        pass

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "scheme": "http"}
    asyncio.run(wrapped(scope, receive, send))


def verdict(service):
    return service.evidence.ruling(TF801).verdict


def test_a_web_process_that_a_plain_server_started_is_known_by_its_adapter(new_service):
    """
    Nobody set a variable: who speaks ASGI to a server is web, and web is declared.
    """
    service = new_service()
    wrapped = service.asgi(app)
    service.process("web", wrapped)
    serve_once(wrapped)

    ruling = service.evidence.ruling(TF801)
    assert (ruling.verdict, ruling.because) == (Verdict.PASS, "this is web, of web")


def test_it_fires_on_a_web_process_that_nobody_declared(new_service):
    """
    The adapter knows the type; the app declares another one only.
    """
    service = new_service()
    service.process("worker", print)
    serve_once(service.asgi(app))

    (finding,) = service.findings.of("TF801")
    assert finding.culprit == "web"
    assert "declares only worker" in finding.message
    assert "service.process('web'" in finding.hint


def test_it_fires_on_a_type_that_the_environment_tells_and_the_app_does_not_know(new_service):
    """
    The platform starts a `wroker`: start with enforcement is refused.
    """
    service = new_service(TWELVEFACTOR_PROCESS_TYPE="wroker", TWELVEFACTOR_ENFORCE="TF801")
    service.process("worker", print)

    with pytest.raises(FactorViolation, match="wroker"):
        service.start()


def test_it_is_unknown_where_nobody_tells_the_type(new_service):
    """
    A script with a unit of work may be anything; the verdict says how to tell.
    """
    service = new_service()
    service.process("worker", print)
    with service.work("job", "once"):
        pass

    ruling = service.evidence.ruling(TF801)
    assert ruling.verdict is Verdict.UNKNOWN
    assert "TWELVEFACTOR_PROCESS_TYPE" in ruling.because


def test_one_off_processes_are_of_no_formation(new_service):
    """
    An admin process is started by hand.
    """
    service = new_service(TWELVEFACTOR_PROCESS_TYPE="admin")
    service.start()

    assert verdict(service) is Verdict.NOT_APPLICABLE


def test_a_procfile_declares_too(run_app):
    """
    The type that `TWELVEFACTOR_PROCESS_TYPE` tells stands in the Procfile: quiet; another one fires.
    """
    code = "import twelvefactor as tf\nservice = tf.Service('orders')\nservice.start()\n"
    procfile = "# types\nmailer: python mailer.py\n"
    declared = run_app(code, procfile=procfile, TWELVEFACTOR_PROCESS_TYPE="mailer")
    other = run_app(code, procfile=procfile, TWELVEFACTOR_PROCESS_TYPE="indexer")

    assert declared.found("TF801") == []
    assert declared.evidence[0]["TF801"]["verdict"] == "pass"
    assert [event["culprit"] for event in other.found("TF801")] == ["indexer"]


def test_a_procfile_is_read_as_it_is_written():
    """
    Lines of name and command; everything else is left out.
    """
    commands = {"web": "twelvefactor run web", "db-sync_2": "python sync.py --every 5 # all"}

    assert parse(write(commands)) == commands
    assert parse("no line\n: none\nweb\n  web: indented\n") == {}
