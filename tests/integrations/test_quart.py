"""Quart, with the service around it and as Quart's own middleware."""

import asyncio

import pytest

pytest.importorskip("quart")

from quart import Quart, abort, g, websocket
from starlette.testclient import TestClient

import twelvefactor as tf


class Custom(Exception):
    pass


def quart():
    app = Quart("shop")

    @app.get("/items/<int:item>")
    async def show(item):
        g.item = item
        return {"item": g.item, "unit": tf.current_work().kind}

    @app.get("/stream")
    async def stream():
        async def chunks():
            for chunk in (b"a", b"b"):
                yield chunk

        return chunks()

    @app.get("/fails")
    async def fails():
        raise ValueError("nobody handles this")

    @app.get("/teapot")
    async def teapot():
        abort(418)

    @app.websocket("/chat/<room>")
    async def chat(room):
        while True:
            await websocket.send(await websocket.receive())

    return app


def outermost(shop):
    return shop.service.asgi(quart())


def in_list(shop):
    app = quart()
    app.asgi_app = tf.ASGIMiddleware(app.asgi_app, shop.service)
    return app


WIRINGS = [outermost, in_list]


@pytest.fixture(params=WIRINGS, ids=lambda wiring: wiring.__name__)
def client(request, shop):
    with TestClient(request.param(shop)) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "route"), [("/items/7", "/items/<int:item>"), ("/stream", "/stream"), ("/nowhere", None)]
)
def test_the_route_is_quarts_rule(client, shop, path, route):
    """
    As it is declared.
    """
    client.get(path)

    assert shop.request["route"] == route
    assert shop.idle


def test_g_and_the_unit_of_work_are_at_hand(client):
    """
    In the handler's own task.
    """
    assert client.get("/items/7").json() == {"item": 7, "unit": "request"}


def test_an_unhandled_exception_is_a_500_and_one_traceback(client, shop):
    """
    Quart answers and logs it itself; its record is that one event.
    """
    assert client.get("/fails").status_code == 500

    told = [event for event in shop.events if "exception" in event and event["event"] != "twelvefactor.fault"]
    assert [event["exception_message"] for event in told] == ["nobody handles this"]
    assert told[0]["request_id"] == shop.request["request_id"]
    assert (shop.request["status"], shop.request["outcome"]) == (500, "error")
    assert shop.idle


def test_what_the_app_aborts_is_its_own(client, shop):
    """
    No failure.
    """
    assert client.get("/teapot").status_code == 418
    assert shop.request["level"] == "info"


def test_probes_are_answered_before_the_app(client):
    """
    Whichever way the service is wired.
    """
    assert client.get("/readyz").json() == {"status": "ok"}


def test_a_socket_has_its_route(client, shop):
    """
    And its event when the client leaves.
    """
    with client.websocket_connect("/chat/tea") as socket:
        socket.send_text("a")
        assert socket.receive_text() == "a"
        shop.see_off(socket)

    (event,) = shop.said("websocket")
    assert (event["route"], event["messages_in"], event["messages_out"]) == ("/chat/<room>", 1, 1)
    assert shop.idle


def test_a_probe_path_of_the_app_is_left_to_it(shop):
    """
    With one finding.
    """
    app = quart()
    app.add_url_rule("/readyz", "readyz", lambda: "mine")
    with TestClient(shop.service.asgi(app)) as client:
        assert client.get("/readyz").text == "mine"

    assert [finding.culprit for finding in shop.service.findings if finding.rule.id == "TF704"] == ["/readyz"]


def test_quarts_own_test_client_works(shop):
    """
    It calls the app through the middleware.
    """
    app = in_list(shop)

    async def main():
        async with app.test_app() as test_app:
            answer = await test_app.test_client().get("/items/7", headers={"X-Request-ID": "q-1"})
            return answer.status_code, answer.headers["X-Request-ID"]

    assert asyncio.run(main()) == (200, "q-1")
