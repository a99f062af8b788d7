"""Flask, with the service around it and as Flask's own middleware; and its own behaviour without either."""

from pathlib import Path

import pytest

pytest.importorskip("flask")

from flask import Blueprint, Flask, Response, abort, g, request, send_file, session, stream_with_context
from werkzeug import test

import twelvefactor as tf


class Client(test.Client):
    """
    Reads each answer and closes it, as a server does: one that is only dropped is part of a cycle, and its request would
    be over when the collector comes by.
    """

    def open(self, *args, **options):
        return super().open(*args, buffered=True, **options)


class Custom(Exception):
    pass


def flask(**config):
    app = Flask("shop", root_path=str(Path(__file__).parent))  # another test may have a module of that name
    app.secret_key = "for tests"
    app.config.update(config)
    shop = Blueprint("shop", __name__, url_prefix="/shop")

    @app.before_request
    def before():
        g.before = "seen"

    @app.after_request
    def after(response):
        response.headers["X-After"] = g.before
        return response

    @app.get("/g/<name>")
    def show(name):
        g.name = name
        session["visits"] = session.get("visits", 0) + 1
        return {"g": g.name, "before": g.before, "visits": session["visits"]}

    @app.get("/unit")
    def unit():
        work = tf.current_work()
        return {"kind": work.kind, "request_id": work.request_id}

    @app.post("/upload")
    def upload():
        return {"bytes": len(request.get_data()), "query": request.args.to_dict()}

    @app.get("/stream")
    def stream():
        def chunks():
            yield g.before.encode()
            yield b"2"

        return Response(stream_with_context(chunks()), mimetype="text/event-stream")

    @app.get("/file")
    def file():
        return send_file(__file__)

    @app.get("/teapot")
    def teapot():
        abort(418)

    @app.get("/custom")
    def custom():
        raise Custom("handled")

    @app.get("/fails")
    def fails():
        raise ValueError("nobody handles this")

    @app.errorhandler(Custom)
    def handle(error):
        return {"error": str(error)}, 409

    @shop.get("/items/<int:item>")
    def item(item):
        return {"item": item}

    app.register_blueprint(shop)
    return app


def outermost(shop):
    return shop.service.wsgi(flask())


def in_list(shop):
    app = flask()
    app.wsgi_app = tf.WSGIMiddleware(app.wsgi_app, shop.service)
    return app


WIRINGS = [outermost, in_list]


@pytest.fixture(params=WIRINGS, ids=lambda wiring: wiring.__name__)
def client(request, shop):
    return Client(request.param(shop))


@pytest.mark.parametrize(
    ("path", "route"),
    [("/g/ada", "/g/<name>"), ("/shop/items/7", "/shop/items/<int:item>"), ("/nowhere", None), ("/fails", "/fails")],
)
def test_the_route_is_flasks_rule(client, shop, path, route):
    """
    With the prefix of its blueprint.
    """
    client.get(path).close()

    assert shop.request["route"] == route
    assert shop.idle


def test_the_handler_runs_in_the_unit_of_work(client):
    """
    With the id that the caller gave.
    """
    assert client.get("/unit", headers={"X-Request-ID": "f-1"}).json == {"kind": "request", "request_id": "f-1"}


def test_an_unhandled_exception_is_a_500_and_one_traceback(client, shop):
    """
    Flask answers and logs it itself; its record is that one event, with the request's id.
    """
    answer = client.get("/fails")
    answer.close()

    told = [event for event in shop.events if "exception" in event and event["event"] != "twelvefactor.fault"]
    assert answer.status_code == 500
    assert [event["exception_message"] for event in told] == ["nobody handles this"]
    assert told[0]["request_id"] == answer.headers["X-Request-ID"]
    assert (shop.request["status"], shop.request["outcome"]) == (500, "error")
    assert shop.idle


def test_an_exception_that_flask_lets_through_is_one_event(shop):
    """
    As in Flask's testing mode.
    """
    app = flask(TESTING=True)
    app.wsgi_app = tf.WSGIMiddleware(app.wsgi_app, shop.service)
    with pytest.raises(ValueError):
        app.test_client().get("/fails")

    assert len(shop.said("request.failed")) == 1
    assert shop.request["status"] == 500
    assert shop.idle


def test_probes_are_answered_before_the_app(client):
    """
    Whichever way the service is wired.
    """
    assert client.get("/livez").json == {"status": "ok"}
    assert client.get("/readyz").json == {"status": "ok"}


@pytest.mark.parametrize("wiring", ["outermost", "in_list"])
def test_a_probe_path_of_the_app_is_left_to_it(shop, wiring):
    """
    With one finding; a catch-all is no route of its own.
    """
    app = flask()
    app.add_url_rule("/readyz", "readyz", lambda: "mine")
    app.add_url_rule("/<path:path>", "all", lambda path: "all")
    if wiring == "outermost":
        client = Client(shop.service.wsgi(app))
    else:
        app.wsgi_app = tf.WSGIMiddleware(app.wsgi_app, shop.service)
        client = Client(app)

    assert client.get("/readyz").text == "mine"
    assert client.get("/livez").json == {"status": "ok"}
    assert [finding.culprit for finding in shop.service.findings if finding.rule.id == "TF704"] == ["/readyz"]


# -- Flask's own behaviour


def ask(client, method, path, **options):
    answer = client.open(path, method=method, **options)
    headers = {name: value for name, value in answer.headers.items() if name not in ("X-Request-ID", "Date")}
    headers["Set-Cookie"] = headers.get("Set-Cookie", "").partition(".")[0]  # without the second and its signature
    found = answer.status_code, headers, answer.get_data()
    answer.close()
    return found


def sessions(client):
    return [ask(client, "GET", "/g/ada")[2] for _ in range(2)]


BEHAVIOURS = {
    "g and hooks": lambda client: ask(client, "GET", "/g/ada"),
    "sessions": sessions,
    "body and query": lambda client: ask(client, "POST", "/upload?a=1", data=b"x" * 100_000),
    "streaming": lambda client: ask(client, "GET", "/stream"),
    "file": lambda client: ask(client, "GET", "/file"),
    "conditional": lambda client: ask(
        client, "GET", "/file", headers={"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    ),
    "head": lambda client: ask(client, "HEAD", "/g/ada"),
    "abort": lambda client: ask(client, "GET", "/teapot"),
    "error handler": lambda client: ask(client, "GET", "/custom"),
    "server error": lambda client: ask(client, "GET", "/fails"),
    "not found": lambda client: ask(client, "GET", "/nowhere"),
    "method not allowed": lambda client: ask(client, "GET", "/upload"),
}


@pytest.mark.parametrize("behaviour", BEHAVIOURS.values(), ids=BEHAVIOURS)
def test_flasks_own_behaviour_is_unchanged(client, behaviour):
    """
    The same answer with the middleware as without it, but for the request id.
    """
    assert behaviour(client) == behaviour(Client(flask()))


def test_flasks_own_test_client_works(shop):
    """
    With its context kept after the request, as Flask's documentation shows it.
    """
    app = in_list(shop)
    with app.test_client() as client:
        answer = client.get("/g/ada", headers={"X-Request-ID": "f-2"})
        assert (g.name, request.path) == ("ada", "/g/ada")
        assert answer.headers["X-Request-ID"] == "f-2"
        answer.close()

    assert shop.idle
