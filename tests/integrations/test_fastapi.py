"""FastAPI: routers, sub-apps, dependencies, both ways of wiring."""

import contextlib
from typing import Annotated

import pytest

pytest.importorskip("fastapi")

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from fastapi.testclient import TestClient

import twelvefactor as tf


def unit():
    yield tf.current_work().kind


def fastapi():
    done = []
    app = FastAPI()
    inner, outer, sub = APIRouter(prefix="/items"), APIRouter(prefix="/v1"), FastAPI()

    @inner.get("/{item_id}")
    async def item(item_id: int):
        return {"item": item_id}

    @inner.get("/sync/{item_id}")
    def sync_item(item_id: int, unit: Annotated[str, Depends(unit)], tasks: BackgroundTasks):
        tasks.add_task(done.append, item_id)
        return {"unit": unit}

    @outer.websocket("/ws/{room}")
    async def ws(socket: WebSocket, room: str):
        await socket.accept()
        while True:
            await socket.send_text(await socket.receive_text())

    @app.get("/teapot")
    async def teapot():
        raise HTTPException(418)

    @app.get("/fails")
    async def fails():
        raise ValueError("nobody handles this")

    @sub.get("/reports/{year}")
    async def report(year: int):
        return {"year": year}

    outer.include_router(inner)
    app.include_router(outer, prefix="/api")
    app.mount("/sub", sub)
    app.mount("/tenants/{tenant}", sub)
    return app


def outermost(shop):
    return shop.service.asgi(fastapi())


def in_list(shop):
    app = fastapi()
    app.add_middleware(tf.ASGIMiddleware, service=shop.service)
    return app


@pytest.fixture(params=[outermost, in_list], ids=lambda wiring: wiring.__name__)
def client(request, shop):
    with TestClient(request.param(shop), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/v1/items/7", "/api/v1/items/{item_id}"),
        ("/api/v1/items/sync/7", "/api/v1/items/sync/{item_id}"),
        ("/sub/reports/2024", "/sub/reports/{year}"),
        ("/tenants/acme/reports/2024", "/tenants/{tenant}/reports/{year}"),
        ("/teapot", "/teapot"),
        ("/nowhere", None),
    ],
)
def test_the_route_is_the_template_with_every_prefix(client, shop, path, route):
    """
    Of included routers, and of mounted sub-apps.
    """
    client.get(path)

    assert shop.request["route"] == route


def test_a_socket_has_its_route_and_its_unhandled_disconnect_is_no_error(client, shop):
    """
    The usual endless loop of receive and send.
    """
    with contextlib.suppress(WebSocketDisconnect), client.websocket_connect("/api/v1/ws/tea") as socket:
        socket.send_text("a")
        assert socket.receive_text() == "a"
        shop.see_off(socket)

    (event,) = shop.said("websocket")
    assert (event["route"], event["level"], event["messages_in"]) == ("/api/v1/ws/{room}", "info", 1)
    assert not shop.said("request.failed")


def test_a_sync_endpoint_and_a_dependency_see_the_work(client, shop):
    """
    Though they run in threads.
    """
    assert client.get("/api/v1/items/sync/7").json() == {"unit": "request"}
    assert shop.idle


def test_validation_and_http_errors_are_fastapis_own(client, shop):
    """
    422 and 418 as ever; neither is an exception for us.
    """
    assert client.get("/api/v1/items/x").status_code == 422
    assert client.get("/teapot").status_code == 418
    assert [event["status"] for event in shop.requests] == [422, 418]
    assert not shop.said("request.failed")


def test_an_unhandled_exception_is_a_500_and_one_event(client, shop):
    """
    Also where FastAPI's own outer handler answers.
    """
    assert client.get("/fails").status_code == 500

    assert len(shop.said("request.failed")) == 1
    assert (shop.request["status"], shop.request["route"]) == (500, "/fails")
    assert shop.idle


@pytest.mark.parametrize("wiring", [outermost, in_list], ids=lambda wiring: wiring.__name__)
def test_a_probe_path_of_an_included_router_is_left_to_it(shop, wiring, monkeypatch):
    """
    Wherever it is declared.
    """
    make = fastapi

    def with_readyz():
        app, router = make(), APIRouter()

        @router.get("/readyz")
        async def readyz():
            return "mine"

        app.include_router(router)
        return app

    monkeypatch.setitem(globals(), "fastapi", with_readyz)
    with TestClient(wiring(shop)) as client:
        assert client.get("/readyz").json() == "mine"
        assert client.get("/livez").json() == {"status": "ok"}

    assert [finding.culprit for finding in shop.service.findings if finding.rule.id == "TF704"] == ["/readyz"]
