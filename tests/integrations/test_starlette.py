"""Starlette, with the service around it and in its own list of middleware; and its own behaviour without either."""

from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

import twelvefactor as tf


class Custom(Exception):
    pass


async def hello(request):
    return PlainTextResponse(f"hello {request.path_params.get('name', 'world')}")


async def state(request):
    request.state.seen = "by the handler"
    return JSONResponse({"state": request.state.model, "seen": request.state.seen})


async def stream(request):
    async def chunks():
        for number in range(3):
            yield f"{number}\n"

    return StreamingResponse(chunks(), media_type="text/event-stream")


async def upload(request):
    return JSONResponse({"bytes": len(await request.body()), "query": dict(request.query_params)})


async def file(request):
    return FileResponse(__file__)


async def teapot(request):
    raise HTTPException(418, "short and stout", headers={"X-Tea": "yes"})


async def custom(request):
    raise Custom("handled by the app")


async def fails(request):
    raise ValueError("nobody handles this")


async def background(request):
    return PlainTextResponse("later", background=BackgroundTask(request.app.state.done.append, 1))


async def failing_background(request):
    def fail():
        raise ValueError("in the background")

    return PlainTextResponse("later", background=BackgroundTask(fail))


async def chat(websocket):
    await websocket.accept(subprotocol="tea")
    async for text in websocket.iter_text():
        await websocket.send_text(f"{text} {websocket.state.model}")


async def handle_custom(request, error):
    return JSONResponse({"error": str(error)}, status_code=409)


def routes():
    items = Router([Route("/{item:int}", hello), Route("/", hello)])
    return [
        Route("/hello/{name}", hello),
        Route("/state", state),
        Route("/stream", stream),
        Route("/upload", upload, methods=["POST"]),
        Route("/file", file),
        Route("/teapot", teapot),
        Route("/custom", custom),
        Route("/fails", fails),
        Route("/background", background),
        Route("/failing-background", failing_background),
        WebSocketRoute("/chat/{room}", chat),
        Mount("/static", app=Router([Route("/{path:path}", hello)])),
        Mount("/tenants/{tenant}", routes=[Mount("/items", app=items), Route("/about", hello)]),
        Host("api.example.com", Router([Route("/v1/{thing}", hello)])),
    ]


@asynccontextmanager
async def lifespan(app):
    app.state.done = []
    yield {"model": 7}


def starlette(middleware=(), **options):
    return Starlette(
        routes=routes(),
        lifespan=lifespan,
        middleware=list(middleware),
        exception_handlers={Custom: handle_custom},
        **options,
    )


def outermost(shop):
    return shop.service.asgi(starlette())


def in_list(shop):
    return starlette([Middleware(tf.ASGIMiddleware, service=shop.service)])


def behind_base_http(shop):
    """Between others of the app, one of which copies what passes through."""

    class Other(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            return await call_next(request)

    return starlette([Middleware(Other), Middleware(tf.ASGIMiddleware, service=shop.service), Middleware(Other)])


WIRINGS = [outermost, in_list, behind_base_http]


@pytest.fixture(params=WIRINGS, ids=lambda wiring: wiring.__name__)
def client(request, shop):
    with TestClient(request.param(shop), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/hello/ada", "/hello/{name}"),
        ("/tenants/acme/items/7", "/tenants/{tenant}/items/{item:int}"),
        ("/tenants/acme/items/", "/tenants/{tenant}/items/"),
        ("/tenants/acme/about", "/tenants/{tenant}/about"),
        ("/static/css/a.css", "/static/{path:path}"),
        ("/nowhere", None),
        ("/upload", "/upload"),
    ],
)
def test_the_route_is_the_template(client, shop, path, route):
    """
    With the templates of all mounts on the way, and nothing where nothing matched.
    """
    client.get(path)

    assert shop.request["route"] == route
    assert shop.request["path"] == path


def test_the_route_below_a_host(client, shop):
    """
    Hosts are no part of a path.
    """
    client.get("/v1/x", headers={"Host": "api.example.com"})

    assert shop.request["route"] == "/v1/{thing}"


def test_the_work_is_named_after_its_route(client, shop):
    """
    For those who observe work: the name is known when it ends.
    """
    names = []

    class Observer:
        def begin(self, work):
            pass

        def end(self, work):
            names.append(work.name)

    shop.service.in_flight.observe(Observer())
    client.get("/hello/ada")

    assert names == ["/hello/{name}"]


def test_an_unhandled_exception_is_a_500_and_one_event(client, shop):
    """
    In the list, too, where Starlette's outer error handler makes the 500 out of our sight.
    """
    answer = client.get("/fails")

    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    (told,) = shop.said("request.failed")
    assert told["exception_message"] == "nobody handles this"
    assert (shop.request["status"], shop.request["outcome"], shop.request["route"]) == (500, "error", "/fails")
    assert shop.idle


@pytest.mark.parametrize("wiring", WIRINGS, ids=lambda wiring: wiring.__name__)
def test_an_unhandled_exception_comes_to_the_test_client(shop, wiring):
    """
    The very same object, as Starlette's own client raises it.
    """
    with TestClient(wiring(shop)) as client, pytest.raises(ValueError, match="nobody handles this"):
        client.get("/fails")


def test_a_background_task_that_fails_is_told_after_a_good_answer(client, shop):
    """
    The client has its 200.
    """
    assert client.get("/failing-background").status_code == 200

    assert shop.request["status"] == 200
    assert len(shop.said("request.failed")) == 1
    assert shop.idle


def test_a_socket_has_its_route(client, shop):
    """
    And its event when it is closed.
    """
    with client.websocket_connect("/chat/tea") as socket:
        socket.send_text("a")
        assert socket.receive_text() == "a 7"
        shop.see_off(socket)

    (event,) = shop.said("websocket")
    assert (event["route"], event["messages_in"], event["messages_out"]) == ("/chat/{room}", 1, 1)
    assert shop.idle


def test_probes_are_answered_before_the_app(client):
    """
    Whichever way the service is wired.
    """
    assert client.get("/livez").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}


@pytest.mark.parametrize("wiring", WIRINGS, ids=lambda wiring: wiring.__name__)
def test_a_path_that_the_app_routes_itself_is_left_to_it(shop, wiring, monkeypatch):
    """
    With one finding, and no event where it succeeds; a catch-all is no route of its own.
    """

    async def ours(request):
        return PlainTextResponse("mine")

    more = [Route("/readyz", ours), Route("/{path:path}", hello)]
    before = routes
    monkeypatch.setitem(globals(), "routes", lambda: [*more, *before()])
    with TestClient(wiring(shop)) as client:
        answers = [client.get(path).text for path in ("/readyz", "/readyz", "/livez")]

    assert answers == ["mine", "mine", '{"status":"ok"}']
    (found,) = [finding for finding in shop.service.findings if finding.rule.id == "TF704"]
    assert (found.culprit, found.count) == ("/readyz", 1)
    assert found.rule.severity.name == "INFO"
    assert shop.requests == []
    (event,) = shop.said("twelvefactor.mounted")
    assert (event["paths"], event["left_to_app"]) == (["/livez", "/startupz"], ["/readyz"])


# -- Starlette's own behaviour


def ask(client, *arguments, **options):
    answer = client.request(*arguments, **options)
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, headers, answer.text


def chat_with(client):
    with client.websocket_connect("/chat/tea", subprotocols=["tea"]) as socket:
        socket.send_text("a")
        return socket.accepted_subprotocol, socket.receive_text()


def refused_chat(client):
    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("/nowhere"):
        pass
    return refused.value.code


BEHAVIOURS = {
    "request state": lambda client: ask(client, "GET", "/state"),
    "streaming": lambda client: ask(client, "GET", "/stream"),
    "body and query": lambda client: ask(client, "POST", "/upload?a=1", content=b"x" * 100_000),
    "file": lambda client: ask(client, "GET", "/file"),
    "range": lambda client: ask(client, "GET", "/file", headers={"Range": "bytes=0-9"}),
    "head": lambda client: ask(client, "HEAD", "/hello/ada"),
    "HTTPException": lambda client: ask(client, "GET", "/teapot"),
    "exception handler": lambda client: ask(client, "GET", "/custom"),
    "server error": lambda client: ask(client, "GET", "/fails"),
    "not found": lambda client: ask(client, "GET", "/nowhere"),
    "method not allowed": lambda client: ask(client, "GET", "/upload"),
    "slash redirect": lambda client: ask(client, "GET", "/hello/ada/", follow_redirects=False),
    "websocket": chat_with,
    "refused websocket": refused_chat,
}


@pytest.fixture(scope="module")
def plain():
    with TestClient(starlette(), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("behaviour", BEHAVIOURS.values(), ids=BEHAVIOURS)
def test_starlettes_own_behaviour_is_unchanged(client, plain, behaviour):
    """
    The same answer with the middleware as without it, but for the request id.
    """
    assert behaviour(client) == behaviour(plain)


def test_background_tasks_run(client):
    """
    After the answer.
    """
    assert client.get("/background").text == "later"


def test_debug_pages_are_unchanged(shop):
    """
    Starlette's debug mode shows its traceback page.
    """
    with TestClient(shop.service.asgi(starlette(debug=True)), raise_server_exceptions=False) as client:
        answer = client.get("/fails", headers={"Accept": "text/html"})

    assert answer.status_code == 500
    assert "nobody handles this" in answer.text
