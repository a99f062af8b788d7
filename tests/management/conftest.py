"""A service with a management port of its own, and somebody who asks it."""

import http.client
import io
import json
import time

import pytest

import twelvefactor as tf

TOKEN = "correct-horse-battery-staple"


class Shop:
    """A service on a free management port."""

    def __init__(self, config_class=None, **environ):
        self.out = io.StringIO()
        environ = {"TWELVEFACTOR_MANAGEMENT_PORT": "0", "LOG_FORMAT": "json", "TWELVEFACTOR_RELEASE": "v7", **environ}
        self.service = tf.Service("shop", config_class, environ=environ, stream=self.out, packages=["shop"])

    @property
    def port(self):
        return self.service._management.port

    def ask(self, path, method="GET", *, body=None, **headers):
        """The status, the headers and the body of the answer, read as JSON where it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            told = json.loads(text) if answer.headers["content-type"] == "application/json" and text else text
            return answer.status, answer.headers, told
        finally:
            connection.close()

    def said(self, event):
        return [each for line in self.out.getvalue().splitlines() if (each := json.loads(line))["event"] == event]


@pytest.fixture
def make_shop():
    made = []

    def make(config_class=None, **environ):
        made.append(Shop(config_class, **environ))
        return made[-1]

    yield make
    for shop in reversed(made):
        shop.service.close()
        shop.service.stream.close()


@pytest.fixture
def shop(make_shop):
    """One that is ready."""
    made = make_shop()
    made.service.start()
    made.service.ready()
    return made


def wait_for(condition, within=30.0):
    """Ask again and again until it holds."""
    ends = time.monotonic() + within
    while not condition():
        assert time.monotonic() < ends, "it did not come to hold in time"
        time.sleep(0.01)
