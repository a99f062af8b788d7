"""Django over WSGI and ASGI, with the service around it and in its own list of middleware."""

import asyncio

import pytest

pytest.importorskip("django")

import django
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.test import Client, override_settings

from tests.integrations import django_project  # sets Django up
from tests.integrations.conftest import Answer, http_scope
from tests.integrations.test_wsgi import call as wsgi_call

MIDDLEWARE = "twelvefactor.integrations.django.Middleware"


def asgi_call(app, path="/", method="GET", **headers):
    """Serve one request as an ASGI server does."""

    async def main():
        pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
        peer = ApplicationCommunicator(app, http_scope(path, method, [("host", "shop"), *pairs]))
        await peer.send_input({"type": "http.request", "body": b"", "more_body": False})
        sent = [await peer.receive_output(60)]
        while sent[-1]["type"] != "http.response.body" or sent[-1].get("more_body"):
            sent.append(await peer.receive_output(60))
        await peer.wait(60)
        answer = Answer(sent)
        answer.headers = {name.lower(): value for name, value in answer.headers.items()}
        return answer

    return asyncio.run(main())


class Wired:
    """Django, wired in one of the ways, and how to ask it."""

    def __init__(self, shop, protocol, wiring):
        self.ask = (
            asgi_call if protocol == "asgi" else lambda *args, **headers: wsgi_call(*args, valid=False, **headers)
        )
        self.settings = override_settings(
            MIDDLEWARE=[MIDDLEWARE] if wiring in ("in_list", "both") else [], TWELVEFACTOR_SERVICE=shop.service
        )
        self.settings.enable()
        app = get_asgi_application() if protocol == "asgi" else get_wsgi_application()
        if wiring != "in_list":
            app = shop.service.asgi(app) if protocol == "asgi" else shop.service.wsgi(app)
        self.app = app

    def get(self, path, **headers):
        return self.ask(self.app, path, **headers)


@pytest.fixture(params=["outermost", "in_list", "both"])
def wiring(request):
    return request.param


@pytest.fixture(params=["wsgi", "asgi"])
def protocol(request):
    return request.param


@pytest.fixture
def wired(shop, protocol, wiring):
    made = Wired(shop, protocol, wiring)
    yield made
    made.settings.disable()


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/shop/items/7", "/shop/items/<int:item>"),
        ("/shop/aitems/7", "/shop/aitems/<int:item>"),
        ("/old/7", r"/^old/(?P<item>\d+)$"),
        ("/nowhere", None),
    ],
)
def test_the_route_is_djangos(wired, shop, path, route):
    """
    As Django spells it, prefixes included; one event, whichever way the service is wired.
    """
    wired.get(path)

    assert (shop.request["route"], shop.request["path"]) == (route, path)
    assert shop.idle


def test_an_access_event_says_what_happened(wired, shop):
    """
    Every field, and the ids that the caller gave.
    """
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = wired.get("/shop/items/7", x_request_id="d-1", traceparent=f"00-{trace}-{'1' * 16}-01")

    event = shop.request
    assert answer.headers["x-request-id"] == event["request_id"] == "d-1"
    assert event["trace_id"] == trace
    assert (event["method"], event["status"], event["client"]) == ("GET", 200, "10.0.0.9")
    assert event["bytes"] == len(answer.body)
    assert event["duration_ms"] >= 0
    assert (event["level"], event["outcome"]) == ("info", "ok")


def test_a_view_sees_its_unit_of_work(wired):
    """
    A sync one, an async one.
    """
    assert b'"kind": "request", "request_id": "d-2"' in wired.get("/shop/items/7", x_request_id="d-2").body
    assert b'"kind": "request"' in wired.get("/shop/aitems/7").body


def test_an_unhandled_exception_is_a_500_and_one_traceback(wired, shop):
    """
    Django answers and logs it itself; its record is that one event, with the request's id.
    """
    answer = wired.get("/fails")

    told = [event for event in shop.events if "exception" in event and event["event"] != "twelvefactor.fault"]
    assert answer.status == 500
    assert [event["exception_message"] for event in told] == ["nobody handles this"]
    assert told[0]["request_id"] == shop.request["request_id"]
    assert (shop.request["status"], shop.request["outcome"], shop.request["route"]) == (500, "error", "/fails")
    assert shop.idle


@pytest.mark.parametrize("path", ["/stream", "/astream"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_a_stream_is_counted_to_its_end(wired, shop, path):
    """
    Sync and async iterators.
    """
    assert wired.get(path).body == b"abc"
    assert (shop.request["bytes"], shop.request["outcome"]) == (3, "ok")
    assert shop.idle


def test_what_django_answers_itself_is_no_failure(wired, shop):
    """
    403, 404.
    """
    assert [wired.get(path).status for path in ("/denied", "/nowhere")] == [403, 404]
    assert [event["outcome"] for event in shop.requests] == ["ok", "ok"]


def test_probes_are_answered_before_django(wired, shop):
    """
    Before the check of the host, too.
    """
    with override_settings(ALLOWED_HOSTS=["nobody"]):
        assert wired.get("/livez").body == b'{"status":"ok"}'
        assert wired.get("/readyz").body == b'{"status":"ok"}'
    assert shop.requests == []


def test_a_probe_that_fails_is_an_event(wired, shop):
    """
    With every field.
    """
    from twelvefactor.disposability.lifecycle import State

    wired.get("/livez")
    shop.service._shutdown.lifecycle.set(State.STOPPING)
    answer = wired.get("/readyz", x_request_id="p-1")

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert (shop.request["outcome"], shop.request["status"], shop.request["request_id"]) == ("stopping", 503, "p-1")


def test_a_probe_path_of_the_project_is_left_to_it(shop, protocol, wiring):
    """
    With one finding.
    """
    with override_settings(ROOT_URLCONF=django_project.WithReadyz):
        wired = Wired(shop, protocol, wiring)
        try:
            assert wired.get("/readyz").body == b"mine"
            assert wired.get("/livez").body == b'{"status":"ok"}'
        finally:
            wired.settings.disable()

    assert [finding.culprit for finding in shop.service.findings if finding.rule.id == "TF704"] == ["/readyz"]


def test_applied_both_ways_is_no_mistake(shop, protocol):
    """
    The one in the list tells the one around the app the route.
    """
    wired = Wired(shop, protocol, "both")
    try:
        wired.get("/shop/items/7")
    finally:
        wired.settings.disable()

    assert shop.request["route"] == "/shop/items/<int:item>"
    assert not shop.said("twelvefactor.applied_twice")


def test_a_failing_start_is_told_and_tried_again(shop, protocol):
    """
    In the list, where nobody else starts the service.
    """
    tries = []

    @shop.service.on_ready
    def connect():
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("no database")

    if protocol == "asgi" and django.VERSION < (6,):
        pytest.skip(
            "after a failed start, asgiref's communicator waits for ever for Django 5.2 within pytest, not outside"
        )
    wired = Wired(shop, protocol, "in_list")
    try:
        assert wired.get("/shop/items/7").status == 500
        assert wired.get("/shop/items/7").status == 200
    finally:
        wired.settings.disable()

    assert [event["fault_in"] for event in shop.said("twelvefactor.fault")].count("start") == 1


def test_djangos_own_test_client_goes_through_the_list(shop):
    """
    Its exceptions come to the test as ever.
    """
    with override_settings(MIDDLEWARE=[MIDDLEWARE], TWELVEFACTOR_SERVICE=shop.service):
        client = Client()
        answer = client.get("/shop/items/7", headers={"X-Request-ID": "c-1"})
        posted = client.post("/upload?a=1", b"x" * 1000, content_type="text/plain")
        with pytest.raises(ValueError, match="nobody handles this"):
            client.get("/fails")

    assert (answer.status_code, answer.headers["X-Request-ID"]) == (200, "c-1")
    assert posted.json() == {"bytes": 1000, "query": {"a": "1"}}
    assert [event["status"] for event in shop.requests] == [200, 200, 500]
    assert shop.idle


def test_the_options_are_a_setting(shop):
    """
    `TWELVEFACTOR`: those of the middleware around any other app.
    """
    options = {"probes": {"live": "/up"}, "version_path": "/version", "request_id_header": "X-Correlation-ID"}
    options["release_header"] = "X-Release"
    with override_settings(MIDDLEWARE=[MIDDLEWARE], TWELVEFACTOR_SERVICE=shop.service, TWELVEFACTOR=options):
        client = Client()
        assert client.get("/up").json() == {"status": "ok"}
        assert client.get("/version").json()["service"] == "shop"
        assert client.get("/readyz").status_code == 404
        answer = client.get("/shop/items/7", headers={"X-Correlation-ID": "c-2"})

    assert answer.headers["X-Correlation-ID"] == "c-2"
    assert answer.headers["X-Release"] == (shop.service.release.name or shop.service.release.digest)


def test_mode_off_passes_straight_through(make_shop):
    """
    Not a header, not an event.
    """
    shop = make_shop({"TWELVEFACTOR_MODE": "off"})
    with override_settings(MIDDLEWARE=[MIDDLEWARE], TWELVEFACTOR_SERVICE=shop.service):
        answer = Client().get("/shop/items/7")

    assert "X-Request-ID" not in answer.headers
    assert shop.requests == []


# -- how the service is found


def test_the_service_may_be_named(shop, monkeypatch):
    """
    As module:attribute, as elsewhere.
    """
    from twelvefactor.integrations.django import the_service

    monkeypatch.setattr(django_project, "service", shop.service, raising=False)
    with override_settings(TWELVEFACTOR_SERVICE="tests.integrations.django_project:service"):
        assert the_service() is shop.service


def test_the_service_of_the_settings_module_is_found(shop, monkeypatch):
    """
    Under whatever name.
    """
    from twelvefactor.integrations.django import the_service

    monkeypatch.setattr(django_project, "the_shop", shop.service, raising=False)
    with override_settings(SETTINGS_MODULE="tests.integrations.django_project"):
        assert the_service() is shop.service


@pytest.mark.parametrize("value", [None, 7])
def test_a_project_without_a_service_is_told_what_to_do(value):
    """
    When Django is set up, not at the first request.
    """
    from twelvefactor.integrations.django import the_service

    with override_settings(TWELVEFACTOR_SERVICE=value), pytest.raises(ImproperlyConfigured, match=r"tf\.Service"):
        the_service()


def test_the_check_warns_where_the_middleware_is_not_first():
    """
    What stands before it is in no event.
    """
    from twelvefactor.integrations.django.apps import check_middleware

    other = "django.middleware.common.CommonMiddleware"
    found = []
    for middleware in ([MIDDLEWARE, other], [other], [other, MIDDLEWARE]):
        with override_settings(MIDDLEWARE=middleware):
            found.append([message.id for message in check_middleware(None)])

    assert found == [[], [], ["twelvefactor.W001"]]
