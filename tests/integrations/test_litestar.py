"""Litestar, with the service around it and in its list of middleware."""

import pytest

pytest.importorskip("litestar")

from litestar import Litestar, Router, WebSocket, get, websocket
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware
from litestar.params import FromPath
from litestar.response import Stream
from starlette.testclient import TestClient

import twelvefactor as tf


class Custom(Exception):
    pass


def litestar(**options):
    @get("/items/{item:int}")
    async def show(item: FromPath[int]) -> dict:
        return {"unit": tf.current_work().kind}

    @get("/stream")
    async def stream() -> Stream:
        return Stream(iter([b"a", b"b", b"c"]))

    @get("/fails")
    async def fails() -> None:
        raise ValueError("nobody handles this")

    @get("/custom")
    async def custom() -> None:
        raise Custom

    @get("/teapot")
    async def teapot() -> None:
        raise HTTPException(status_code=418)

    @websocket("/chat/{room:str}")
    async def chat(socket: WebSocket, room: FromPath[str]) -> None:
        await socket.accept()
        async for text in socket.iter_data():
            await socket.send_text(text)

    def handle(request, error):
        from litestar import Response

        return Response({"error": "custom"}, status_code=409)

    return Litestar(
        [Router("/v1", route_handlers=[show]), stream, fails, custom, teapot, chat],
        exception_handlers={Custom: handle},
        openapi_config=None,
        **options,
    )


def outermost(shop):
    return shop.service.asgi(litestar())


def in_list(shop):
    return litestar(middleware=[DefineMiddleware(tf.ASGIMiddleware, service=shop.service)])


@pytest.fixture(params=[outermost, in_list], ids=lambda wiring: wiring.__name__)
def client(request, shop):
    with TestClient(request.param(shop)) as client:
        yield client


@pytest.mark.parametrize(("path", "route"), [("/v1/items/7", "/v1/items/{item}"), ("/stream", "/stream")])
def test_the_route_is_litestars_template(client, shop, path, route):
    """
    With the paths of its routers; the path is the one that came.
    """
    assert client.get(path).status_code == 200
    assert (shop.request["route"], shop.request["path"]) == (route, path)
    assert shop.idle


def test_a_handler_runs_in_the_unit_of_work(client):
    """
    As anywhere.
    """
    assert client.get("/v1/items/7").json() == {"unit": "request"}


def test_an_unhandled_exception_is_a_500_and_one_event(client, shop):
    """
    Litestar answers it and says nothing itself; we are told by its hook, or see it pass by.
    """
    assert client.get("/fails").status_code == 500

    (told,) = shop.said("request.failed")
    assert told["exception_message"] == "nobody handles this"
    assert (shop.request["status"], shop.request["outcome"], shop.request["route"]) == (500, "error", "/fails")
    assert shop.idle


def test_around_the_app_what_the_app_answers_itself_is_no_failure(shop):
    """
    An exception handler of the app's own, an HTTP exception, a path that is not routed.
    """
    with TestClient(outermost(shop)) as client:
        answers = [client.get(path).status_code for path in ("/custom", "/teapot", "/nowhere")]

    assert answers == [409, 418, 404]
    assert [event["status"] for event in shop.requests] == answers
    assert not shop.said("request.failed")


def test_around_the_app_probes_are_answered_before_it(shop):
    """
    Litestar runs its own list of middleware after routing only.
    """
    with TestClient(outermost(shop)) as client:
        assert client.get("/livez").json() == {"status": "ok"}


def test_a_probe_path_of_the_app_is_left_to_it(shop):
    """
    With one finding.
    """

    @get("/readyz")
    async def readyz() -> str:
        return "mine"

    with TestClient(shop.service.asgi(Litestar([readyz]))) as client:
        assert client.get("/readyz").text == "mine"

    assert [finding.culprit for finding in shop.service.findings if finding.rule.id == "TF704"] == ["/readyz"]


def test_a_socket_has_its_route(client, shop):
    """
    And its event when the client leaves.
    """
    with client.websocket_connect("/chat/tea") as socket:
        socket.send_text("a")
        assert socket.receive_text() == "a"
        shop.see_off(socket)

    (event,) = shop.said("websocket")
    assert (event["route"], event["messages_in"], event["level"]) == ("/chat/{room}", 1, "info")
    assert shop.idle


def test_the_hook_goes_when_the_service_is_closed(shop):
    """
    Nothing of ours stays on the app for long.
    """
    app = litestar()
    with TestClient(shop.service.asgi(app)) as client:
        client.get("/fails")
        assert len(app.after_exception) == 1
    with TestClient(app) as client:
        client.get("/fails")

    assert app.after_exception == []
