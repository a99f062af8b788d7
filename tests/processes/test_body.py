"""What a request brings in its body is evidence, in thorough mode, and copied only as the app reads it."""

import asyncio
import importlib
import io
import sys

import pytest

import twelvefactor as tf
from twelvefactor._core.body import MOST, CopiedInput, copied_receive
from twelvefactor.testing.leaks import settle

APP = """
kept = {}
carriers = []

def keep(text):
    kept["last"] = text

async def asgi(scope, receive, send):
    carriers.append(scope)
    message = await receive()
    keep(message["body"].decode())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})

def wsgi(environ, start_response):
    carriers.append(environ)
    keep(environ["wsgi.input"].read(100).decode())
    start_response("200 OK", [])
    return [b""]

async def socket(scope, receive, send):
    carriers.append(scope)
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        keep(message["text"])
"""
CARD = "card-4242-4242"


@pytest.fixture(params=["thorough", "report"])
def mode(request):
    return request.param


@pytest.fixture
def reader(tmp_path, monkeypatch, mode):
    """An app that keeps what bodies say, and its service."""
    (tmp_path / "bodyreader.py").write_text(APP)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("bodyreader")
    module.service = tf.Service(
        "reader", environ={"TWELVEFACTOR_LEAKS": mode}, stream=io.StringIO(), packages=["bodyreader"]
    )
    yield module
    module.service.close()
    module.service.stream.close()
    del sys.modules["bodyreader"]


def serve(app, kind, *messages):
    """One scope, with what the client sends."""
    scope = {"type": kind, "path": "/", "query_string": b"", "headers": [], "root_path": "", "method": "POST"}
    coming = iter(messages)

    async def receive():
        return next(coming)

    async def send(message):
        pass

    asyncio.run(app(scope, receive, send))


def post_asgi(module):
    serve(module.service.asgi(module.asgi), "http", {"type": "http.request", "body": CARD.encode()})


def post_wsgi(module):
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "QUERY_STRING": "", "wsgi.input": io.BytesIO(CARD.encode())}
    answer = module.service.wsgi(module.wsgi)(environ, lambda *_: None)
    list(answer)
    answer.close()


def message(module):
    told = (
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": CARD},
        {"type": "websocket.disconnect"},
    )
    serve(module.service.asgi(module.socket), "websocket", *told)


@pytest.mark.parametrize("post", [post_asgi, post_wsgi, message])
def test_a_body_that_stays_is_evidence_at_once(reader, mode, post):
    """
    One request is enough where its body is found in state; in report mode no body is copied. Nothing of it is kept.
    """
    post(reader)

    settle()
    found = [finding for finding in reader.service.findings if finding.culprit == "bodyreader.kept"]
    assert [finding.evidence["because"] for finding in found] == (
        ["it holds data of one unit of work only"] if mode == "thorough" else []
    )
    assert CARD not in repr(found)
    assert ["twelvefactor.body" in carrier for carrier in reader.carriers] == [False]
    assert type(reader.carriers[0].get("wsgi.input")) in {type(None), io.BytesIO, CopiedInput}


def test_no_more_than_64_kib_are_copied_and_nothing_ahead_of_the_app():
    """
    What the app has not read is not read for it; beyond the limit the rest passes by.
    """
    carrier = {}
    stream = CopiedInput(io.BytesIO(b"a\n" + b"b" * MOST), carrier)

    assert stream.readline() == b"a\n"
    assert stream.tell() == 2
    assert bytes(carrier["twelvefactor.body"]) == b"a\n"
    assert len(stream.read()) == MOST
    assert len(carrier["twelvefactor.body"]) == MOST


def test_a_stream_that_is_copied_reads_as_before():
    """
    Lines, iteration and buffers are those of the stream itself.
    """
    text = b"one\ntwo\nthree"
    into = bytearray(5)

    assert list(CopiedInput(io.BytesIO(text), {})) == [b"one\n", b"two\n", b"three"]
    assert CopiedInput(io.BytesIO(text), {}).readlines() == [b"one\n", b"two\n", b"three"]
    carrier = {}
    assert CopiedInput(io.BytesIO(text), carrier).readinto(into) == 5
    assert bytes(into) == bytes(carrier["twelvefactor.body"]) == b"one\nt"


def test_messages_of_other_kinds_pass():
    """
    A disconnect, and a request without a body, are passed on as they are.
    """
    carrier = {}
    messages = iter([{"type": "http.request"}, {"type": "http.disconnect"}])

    async def receive():
        return next(messages)

    copied = copied_receive(receive, carrier)

    assert asyncio.run(copied()) == {"type": "http.request"}
    assert asyncio.run(copied()) == {"type": "http.disconnect"}
    assert carrier == {"twelvefactor.body": bytearray()}
