"""Disconnects, streams, HTTP/2, sockets and broken apps on real servers."""

import asyncio
import contextlib
import http.client
import socket
from pathlib import Path
from signal import SIGTERM

import httpx
import pytest
import websockets

from twelvefactor.testing.servers import ASGI_SERVERS, Server, python_server

HERE = Path(__file__).parent
ENVIRON = {"PYTHONPATH": str(HERE.parents[1]), "TWELVEFACTOR_RELEASE": "v1"}
CLEAN = (0, -SIGTERM, 128 + SIGTERM)


def start(name, app="real_asgi:app", **environ):
    return Server(python_server(name, app), cwd=HERE / "apps", environ={**ENVIRON, **environ})


@pytest.fixture(scope="module", params=[name for name in ASGI_SERVERS if name != "uvicorn-2"])
def server(request):
    with start(request.param) as running:
        running.name = request.param
        yield running


@pytest.fixture(scope="module")
def uvicorn():
    with start("uvicorn") as running:
        yield running


def told(server, path, **more):
    """The access event of the request to *path* with these fields."""

    def is_it(event):
        return event["path"] == path and all(event.get(key) == value for key, value in more.items())

    return server.wait_event("request", where=is_it)


def is_idle(server):
    """Nothing is in flight: a stopping process says how much is."""
    server.send_signal(SIGTERM)
    return server.wait_event("twelvefactor.stopping")["in_flight"] == 0


def test_a_client_that_leaves_in_the_middle_of_a_stream(server):
    """
    Server-sent events without end: the chunks come as they are made, and the end is told as the client's.
    """
    request_id = f"sse-{server.name}"
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(f"GET /events HTTP/1.1\r\nHost: x\r\nX-Request-ID: {request_id}\r\n\r\n".encode())
        got = b""
        while b"data: 2" not in got:
            got += connection.recv(4096)

    event = told(server, "/events", request_id=request_id)
    assert event["outcome"] in ("disconnected", "cancelled")
    assert (event["status"], event["route"]) == (200, "/events")
    assert event["bytes"] > 0
    assert not [each for each in server.events if each["event"] == "request.failed" and each["path"] == "/events"]


def test_a_client_that_leaves_before_its_answer_costs_nothing_else(server):
    """
    The next request is served; nobody is told of an error.
    """
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\npart")
    event = told(server, "/upload")

    assert event["outcome"] in ("disconnected", "cancelled", "error")
    assert server.get("/hello/ada").status == 200


def test_an_upload_in_chunks_arrives(server):
    """
    The request's body goes through untouched.
    """
    answer = httpx.post(f"{server.url}/upload", content=(b"x" * 1000 for _ in range(50)))

    assert answer.text == "50000"


def test_a_background_task_says_its_word_in_the_request(server):
    """
    After the answer, with the request's id.
    """
    answer = server.get("/later", {"X-Request-ID": f"later-{server.name}"})

    event = server.wait_event("in.background", where=lambda event: event["request_id"] == f"later-{server.name}")
    assert answer.body == b"soon"
    assert event["work_id"] == told(server, "/later", request_id=f"later-{server.name}")["work_id"]


def test_a_socket_is_served_and_closed_by_its_client(server):
    """
    One event, with its messages.
    """

    async def chat():
        async with websockets.connect(f"ws://127.0.0.1:{server.port}/chat") as connection:
            await connection.send("a")
            return await connection.recv(), connection.response.headers.get("x-request-id")

    answer, request_id = asyncio.run(chat())

    event = server.wait_event("websocket")
    assert answer == "a"
    assert request_id == (None if server.name == "granian" else event["request_id"])  # granian sends no header of ours
    assert (event["messages_in"], event["messages_out"], event["status"]) == (1, 1, 101)
    assert event["code"] == (1006 if server.name == "hypercorn" else 1000)  # hypercorn tells every close so


def test_http_2_is_told_like_any_other(tmp_path):
    """
    hypercorn speaks it in the clear to a client that knows: several requests on one connection.
    """
    with start("hypercorn") as server:

        async def ask():
            async with httpx.AsyncClient(http1=False, http2=True, base_url=server.url) as client:
                return await asyncio.gather(
                    *(client.get(f"/hello/{name}", headers={"X-Request-ID": f"h2-{name}"}) for name in "abc")
                )

        answers = asyncio.run(ask())
        events = [told(server, f"/hello/{name}", request_id=f"h2-{name}") for name in "abc"]
        assert server.stop() in CLEAN

    assert {answer.http_version for answer in answers} == {"HTTP/2"}
    assert [answer.headers["x-request-id"] for answer in answers] == ["h2-a", "h2-b", "h2-c"]
    assert {event["route"] for event in events} == {"/hello/{name}"}


@pytest.mark.parametrize("name", ["uvicorn", "gunicorn-uvicorn"])
def test_on_sigterm_a_socket_is_answered_and_then_closed_with_1001(name):
    """
    The message that is in hand when the process is told to stop gets its answer.
    """
    with start(name, TWELVEFACTOR_DRAIN_DELAY="0") as server:

        async def chat():
            async with websockets.connect(f"ws://127.0.0.1:{server.port}/chat") as connection:
                await connection.send("a")
                answer = await connection.recv()
                server.send_signal(SIGTERM)
                await asyncio.wait_for(connection.wait_closed(), 15)
                return answer, connection.close_code

        assert asyncio.run(chat()) in [("a", 1001), ("a", 1012)]
        assert server.wait() in CLEAN
        (event,) = [each for each in server.events if each["event"] == "websocket"]
    assert event["messages_out"] == 1


@pytest.mark.parametrize("name", ["uvicorn", "hypercorn", "granian", "gunicorn-asgi"])
@pytest.mark.parametrize(
    ("path", "outcome", "failed"),
    [("/nothing", "no response", False), ("/twice", None, None), ("/after", "ok", None)],
)
def test_a_broken_app_is_one_event_and_the_next_request_is_served(name, path, outcome, failed, broken):
    """
    Sends nothing, twice, after the end: told once, and no request after it is lost.
    """
    server = broken(name)
    with contextlib.suppress(OSError, http.client.HTTPException):
        server.get(path)
    event = told(server, path)

    assert len([each for each in server.events if each["event"] == "request" and each["path"] == path]) == 1
    assert outcome is None or event["outcome"] == outcome
    if failed is not None:
        assert failed == bool(
            [each for each in server.events if each["event"] == "request.failed" and each["path"] == path]
        )
    assert server.get("/fine").status == 200
    assert told(server, "/fine")["status"] == 200


@pytest.fixture(scope="module")
def broken():
    """Servers of the broken app, one of each name."""
    with contextlib.ExitStack() as stack:
        running = {}

        def get(name):
            if name not in running:
                running[name] = stack.enter_context(start(name, "real_asgi:wrong"))
            return running[name]

        yield get


def test_malformed_headers_are_served(uvicorn):
    """
    An id, a trace and bytes that nobody should send.
    """
    with socket.create_connection(("127.0.0.1", uvicorn.port), 10) as connection:
        connection.sendall(
            b"GET /hello/malformed HTTP/1.1\r\nHost: x\r\nX-Request-ID: \xff\xfe<script>\r\n"
            b"traceparent: 00-zz\r\ntracestate: ,,=\r\nConnection: close\r\n\r\n"
        )
        answer = connection.makefile("rb").read()
    event = told(uvicorn, "/hello/malformed")

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"script" not in answer
    assert event["request_id"] == event["work_id"]
    assert "trace_id" not in event


@pytest.mark.parametrize(
    ("name", "stdout"), [("uvicorn", ">/dev/full"), ("uvicorn", "> >(exit)"), ("hypercorn", ">&-"), ("granian", ">&-")]
)
def test_a_full_a_broken_and_a_closed_stdout_lose_no_request(name, stdout):
    """
    Events are lost and counted; every request is answered, and the process ends as ever.
    """
    command = ("/bin/bash", "-c", f'exec "$@" {stdout}', "sh", *python_server(name, "real_asgi:app"))
    with Server(command, cwd=HERE / "apps", environ=ENVIRON) as server:
        statuses = {server.get(f"/hello/{number}").status for number in range(20)}
        assert server.stop() in CLEAN

    assert statuses == {200}
    assert "events are being lost" in "\n".join(server.stderr)


def test_a_stdout_that_stalls_loses_no_request_and_no_event():
    """
    More than a pipe holds while nobody reads: back pressure, then all is said. Nothing is dropped unless asked for.
    """
    command = ("/bin/bash", "-c", 'exec "$@" > >(sleep 3; cat)', "sh", *python_server("uvicorn", "real_asgi:app"))
    path = "/hello/" + "x" * 4000
    with Server(command, cwd=HERE / "apps", environ=ENVIRON) as server:
        statuses = {server.get(path).status for _ in range(40)}
        for _ in range(40):
            server.wait_event("request", where=lambda event: event["path"] == path)
        server.send_signal()
        server.wait_event("twelvefactor.stopped")  # `cat` must have passed it on before it is killed with the rest
        assert server.wait() in CLEAN

    assert statuses == {200}
    assert len([event for event in server.events if event["event"] == "request" and event["path"] == path]) == 40


def test_nothing_is_in_flight_after_all_that():
    """
    Disconnects, an exception and a socket later, the process has nothing to wait for.
    """
    with start("uvicorn", TWELVEFACTOR_DRAIN_DELAY="0") as server:
        for path in ("/fails", "/hello/a", "/later"):
            server.get(path)
        with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
            connection.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.recv(4096)
        told(server, "/events")
        server.get("/livez")  # no work itself, and answered after the work that was told has ended
        assert is_idle(server)
        assert server.wait() in CLEAN
