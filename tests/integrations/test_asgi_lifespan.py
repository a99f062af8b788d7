"""The lifespan of an app, and the service's own in it."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from twelvefactor.exceptions import FactorViolation, PhaseError

STARTUP, SHUTDOWN = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}
COMPLETE, STOPPED = {"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}


def live(app, *incoming):
    """Take *app* through the messages; what it sent, and what it raised."""
    sent, messages = [], list(incoming or (STARTUP, SHUTDOWN))

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    async def main():
        try:
            await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
        except Exception as error:
            return error
        return None

    raised = asyncio.run(main())
    return sent, raised


def states(shop):
    names = ("starting", "ready", "stopping", "stopped")
    return [event["event"].partition(".")[2] for event in shop.said(*(f"twelvefactor.{name}" for name in names))]


def app_with(order, *, fails=False):
    @asynccontextmanager
    async def lifespan(app):
        order.append("app starts")
        if fails:
            raise LookupError("no models")
        yield {"model": 7}
        order.append("app stops")

    async def show(request):
        return PlainTextResponse(str(request.state.model))

    return Starlette(routes=[Route("/", show)], lifespan=lifespan)


def test_the_service_starts_before_the_app_and_stops_after_it(shop):
    """
    Ready hooks once the app is up; shutdown hooks once the app is down.
    """
    order = []
    shop.service.on_ready(lambda: order.append("ready"))
    shop.service.on_shutdown(lambda: order.append("hook"))
    sent, raised = live(shop.service.asgi(app_with(order)))

    assert (sent, raised) == ([COMPLETE, STOPPED], None)
    assert order == ["app starts", "ready", "app stops", "hook"]
    assert states(shop) == ["starting", "ready", "stopping", "stopped"]


async def returns(scope, receive, send):
    """An app that knows no lifespan and returns."""


async def asserts(scope, receive, send):
    assert scope["type"] == "http"


async def raises_when_asked(scope, receive, send):
    await receive()
    raise LookupError("no models")


@pytest.mark.parametrize("app", [returns, asserts])
def test_an_app_without_a_lifespan_gets_the_services(shop, app):
    """
    Start and stop are told all the same.
    """
    sent, raised = live(shop.service.asgi(app))

    assert (sent, raised) == ([COMPLETE, STOPPED], None)
    assert states(shop) == ["starting", "ready", "stopping", "stopped"]
    assert len(shop.said("twelvefactor.lifespan.not_supported")) == 1


def test_an_app_that_raises_when_asked_to_start_goes_on_with_a_warning(shop):
    """
    As servers do by the specification; but a mistake in there would never be seen.
    """
    sent, _ = live(shop.service.asgi(raises_when_asked))

    assert sent == [COMPLETE, STOPPED]
    (event,) = shop.said("twelvefactor.lifespan.raised")
    assert (event["level"], event["exception_type"]) == ("warning", "LookupError")


def test_an_app_that_fails_to_start_fails_the_start(shop):
    """
    The server is told once, and everything that start did is undone.
    """
    sent, raised = live(shop.service.asgi(app_with([], fails=True)))

    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "no models" in sent[0]["message"]
    assert isinstance(raised, LookupError)
    assert not shop.service.started


@pytest.mark.parametrize("kind", ["starlette", "bare"])
def test_a_ready_hook_that_fails_fails_the_start(shop, kind):
    """
    The server hears it once, though the app that our failure runs through says it again.
    """
    order = []

    @shop.service.on_ready
    def connect():
        raise ConnectionError("no database")

    sent, raised = live(shop.service.asgi(app_with(order) if kind == "starlette" else returns))

    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "no database" in sent[0]["message"]
    assert isinstance(raised, ConnectionError)
    assert not shop.service.started
    assert "on_ready" in [event["fault_in"] for event in shop.said("twelvefactor.fault")]


def test_a_start_that_is_refused_is_told_to_the_server(make_shop):
    """
    A mere exception would be taken for an app without lifespan, and served.
    """
    shop = make_shop({"TWELVEFACTOR_PHASE": "build"})
    sent, raised = live(shop.service.asgi(returns))

    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "TWELVEFACTOR_PHASE" in sent[0]["message"]
    assert isinstance(raised, PhaseError)


def test_an_enforced_rule_that_does_not_hold_refuses_the_start(make_shop):
    """
    Likewise.
    """
    shop = make_shop({"TWELVEFACTOR_ENFORCE": "TF501"})
    sent, raised = live(shop.service.asgi(returns))

    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert isinstance(raised, FactorViolation)


def test_a_test_client_can_start_the_same_app_twice(shop):
    """
    Two whole lives, each with its state and its hooks.
    """
    order = []
    shop.service.on_shutdown(lambda: order.append("hook"))
    app = shop.service.asgi(app_with(order))
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/").text == "7"
            assert client.get("/readyz").json() == {"status": "ok"}

    assert order == ["app starts", "app stops", "hook"] * 2
    assert states(shop) == ["starting", "ready", "stopping", "stopped"] * 2
    assert len(shop.said("twelvefactor.mounted")) == 2


def test_what_is_mounted_is_listed_at_start(shop):
    """
    Before any request.
    """
    live(shop.service.asgi(returns))

    (event,) = shop.said("twelvefactor.mounted")
    assert event["paths"] == ["/livez", "/readyz", "/startupz"]


def test_mode_off_leaves_the_lifespan_alone(make_shop):
    """
    Neither a start nor an answer of ours.
    """
    shop = make_shop({"TWELVEFACTOR_MODE": "off"})
    sent, _ = live(shop.service.asgi(returns))

    assert sent == []
