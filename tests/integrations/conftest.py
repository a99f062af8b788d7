"""A service whose events a test can read, and callers of apps as servers call them."""

import asyncio
import io
import json
import time

import pytest

import twelvefactor as tf

collect_ignore = ["apps", "django_project.py"]  # loaded by servers, not by pytest


class Shop:
    """A service, and what it said."""

    def __init__(self, environ=None, **options):
        self.out = io.StringIO()
        self.service = tf.Service("shop", environ=environ or {}, stream=self.out, packages=["shop"], **options)

    @property
    def events(self):
        return [json.loads(line) for line in self.out.getvalue().splitlines()]

    def said(self, *names):
        return [event for event in self.events if event["event"] in names]

    @property
    def requests(self):
        return self.said("request")

    @property
    def request(self):
        """The one access event."""
        (event,) = self.requests
        return event

    @property
    def idle(self):
        return self.service.in_flight.idle

    def see_off(self, socket, within=10.0):
        """
        The client of *socket* leaves; wait until the app is through with it. Starlette's test client would cancel the app right
        away, and what an app makes of a cancellation in the middle of its own clean-up (Quart lets it out) is another matter.
        """
        socket.close()
        ends = time.monotonic() + within
        while not self.said("websocket"):
            assert time.monotonic() < ends, "the app does not notice that its client left"
            time.sleep(0.005)


@pytest.fixture
def make_shop():
    made = []

    def make(environ=None, **options):
        made.append(Shop(environ, **options))
        return made[-1]

    yield make
    for shop in reversed(made):
        shop.service.close()
        shop.service.stream.close()


@pytest.fixture
def shop(make_shop):
    return make_shop()


def http_scope(path="/", method="GET", headers=(), **more):
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"q=1",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "client": ("10.0.0.9", 50234),
        "server": ("10.0.0.1", 8000),
        **more,
    }


class Answer:
    """What an ASGI app sent."""

    def __init__(self, sent):
        self.sent = sent
        starts = [message for message in sent if message["type"] == "http.response.start"]
        self.status = starts[0]["status"] if starts else None
        self.headers = {name.decode(): value.decode() for name, value in starts[0]["headers"]} if starts else {}
        self.body = b"".join(message.get("body", b"") for message in sent)

    def json(self):
        return json.loads(self.body)


app_sent = []
"""What the app called last sent, for a test whose app raises."""


async def acall(app, scope, incoming=({"type": "http.request", "body": b"", "more_body": False},)):
    """Call *app* as a server does, with the messages of *incoming* and then none."""
    messages, sent = list(incoming), []

    async def receive():
        if messages:
            return messages.pop(0)
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    try:
        await app(scope, receive, send)
    finally:
        app_sent[:] = sent
    return Answer(sent)


def call(app, path="/", method="GET", headers=(), incoming=None, **more):
    more = {} if incoming is None else {"incoming": incoming}
    return asyncio.run(acall(app, http_scope(path, method, headers), **more))
