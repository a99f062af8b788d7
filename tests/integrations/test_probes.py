"""Liveness, readiness, start-up and version, before the app, over ASGI and WSGI."""

import asyncio
import io
import json

import pytest

import twelvefactor as tf
from tests.integrations.conftest import acall, call, http_scope
from twelvefactor.disposability.lifecycle import State


async def asgi_app(scope, receive, send):
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"the app"})


def wsgi_app(environ, start_response):
    start_response("404 Not Found", [])
    return [b"the app"]


class Client:
    """Asks either kind of app."""

    def __init__(self, shop, kind, **options):
        self.kind = kind
        service = shop.service
        self.app = service.asgi(asgi_app, **options) if kind == "asgi" else service.wsgi(wsgi_app, **options)

    def ask(self, path, method="GET", headers=(), root=""):
        if self.kind == "asgi":
            scope = http_scope(root + path, method, headers, root_path=root)
            answer = asyncio.run(acall(self.app, scope))
            return answer.status, answer.headers, answer.body
        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": root, "wsgi.input": io.BytesIO()}
        environ |= {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers}
        environ["REMOTE_ADDR"] = "10.0.0.9"
        got = []
        body = self.app(environ, lambda status, headers, exc_info=None: got.append((status, headers)) or print)
        data = b"".join(body)
        getattr(body, "close", lambda: None)()
        status, headers = got[0]
        return int(status[:3]), {name.lower(): value for name, value in headers}, data


@pytest.fixture(params=["asgi", "wsgi"])
def ask(request, shop):
    shop.service.start()
    shop.service.ready()
    return Client(shop, request.param).ask


@pytest.fixture(params=["asgi", "wsgi"])
def client(request, shop):
    shop.service.start()
    return lambda **options: Client(shop, request.param, **options)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz"])
def test_a_probe_is_answered_before_the_app(ask, path):
    """
    200, JSON, never cached.
    """
    status, headers, body = ask(path)

    assert (status, json.loads(body)) == (200, {"status": "ok"})
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert headers["content-length"] == str(len(body))


def test_head_has_the_headers_and_no_body(ask):
    """
    As some balancers ask.
    """
    status, headers, body = ask("/readyz", "HEAD")

    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


def test_other_methods_go_to_the_app(ask):
    """
    A platform probes with GET or HEAD.
    """
    assert ask("/livez", "POST")[2] == b"the app"


def test_a_probe_that_succeeds_is_no_event_and_no_work(ask, shop):
    """
    Four a second would drown the rest.
    """
    ask("/livez")

    assert shop.requests == []
    assert shop.idle


def test_a_probe_that_fails_is_an_access_event(client, shop):
    """
    With every field of one, and why in a word.
    """
    status, headers, body = client().ask("/readyz", headers=[("X-Request-ID", "probe-1")])

    event = shop.request
    assert (status, json.loads(body), headers["retry-after"]) == (503, {"status": "starting"}, "5")
    assert headers["x-request-id"] == event["request_id"] == "probe-1"
    assert (event["method"], event["path"], event["route"], event["status"]) == ("GET", "/readyz", "/readyz", 503)
    assert (event["bytes"], event["client"], event["outcome"]) == (len(body), "10.0.0.9", "starting")
    assert event["duration_ms"] >= 0
    assert event["level"] == "warning"


def test_liveness_is_green_in_every_state(client, shop):
    """
    Starting, draining, stopping: a restart would help nobody.
    """
    ask = client().ask
    answers = []
    for state in State:
        shop.service._shutdown.lifecycle.set(state)
        answers.append(ask("/livez")[0])

    assert answers == [200] * 5


def test_liveness_never_touches_a_resource(client, shop, monkeypatch):
    """
    Neither is any asked, nor is the room of resources even entered.
    """
    touched = []
    monkeypatch.setattr(tf.Service, "resources", property(lambda self: touched.append(self)))
    monkeypatch.setattr(tf.Service, "_resources_ready", lambda self: touched.append(self))

    assert client().ask("/livez")[0] == 200
    assert touched == []


def test_readiness_follows_the_process(client, shop):
    """
    Not before start-up is over, not while it drains.
    """
    ask = client().ask
    before = ask("/readyz")[0]
    shop.service.ready()
    during = ask("/readyz")[0]
    shop.service._shutdown.lifecycle.set(State.DRAINING)

    assert (before, during, ask("/readyz")[0]) == (503, 200, 503)


def test_start_up_once_over_stays_over(client, shop):
    """
    503 while it starts, 200 ever after.
    """
    ask = client().ask
    before = ask("/startupz")[0]
    shop.service.ready()
    shop.service._shutdown.lifecycle.set(State.STOPPING)

    assert (before, ask("/startupz")[0]) == (503, 200)


def test_the_paths_can_be_named(client):
    """
    One that is left out is not answered.
    """
    ask = client(probes={"live": "/up", "ready": "/health/ready"}).ask

    assert ask("/up")[0] == 200
    assert ask("/health/ready")[0] == 503
    assert [ask(path)[2] for path in ("/livez", "/readyz", "/startupz")] == [b"the app"] * 3


def test_a_probe_that_does_not_exist_is_named(client):
    """
    A misspelt one would be found out by the platform only.
    """
    with pytest.raises(ValueError, match="no probe is called livez; there are live, ready, started"):
        client(probes={"livez": "/livez"})


def test_no_version_unless_asked_for(client, shop):
    """
    `/version` is the app's own, until a path is given.
    """
    assert client().ask("/version")[2] == b"the app"
    status, _, body = client(version_path="/version").ask("/version")

    assert status == 200
    assert json.loads(body)["service"] == "shop"


def test_what_is_mounted_is_listed_once(client, shop):
    """
    At the first request where nobody told before.
    """
    one = client(version_path="/version")
    one.ask("/")
    one.ask("/")

    (event,) = shop.said("twelvefactor.mounted")
    assert event["paths"] == ["/livez", "/readyz", "/startupz", "/version"]


def test_probes_are_below_the_path_that_the_app_is_served_under(ask):
    """
    A proxy's prefix, or a mount: `root_path`, `SCRIPT_NAME`.
    """
    assert ask("/livez", root="/api")[0] == 200


def test_a_server_that_does_not_strip_the_prefix(shop):
    """
    The path of the scope may come without its root path, too.
    """
    shop.service.start()
    answer = asyncio.run(acall(shop.service.asgi(asgi_app), http_scope("/livez", root_path="/api")))

    assert answer.status == 200


def test_a_probe_keeps_the_request_id_and_mints_one_where_there_is_none(ask):
    """
    As any other answer.
    """
    assert ask("/livez", headers=[("X-Request-ID", "a-1")])[1]["x-request-id"] == "a-1"
    assert len(ask("/livez", headers=[("X-Request-ID", "a b")])[1]["x-request-id"]) == 32


def test_a_version_without_a_lifespan_starts_the_service_first(shop):
    """
    A probe may be the first request of all.
    """
    assert call(shop.service.asgi(asgi_app), "/readyz").status == 200
