"""A Flask app as a server loads it: `real_wsgi:app`, a bare callable: `real_wsgi:bare`."""

from flask import Flask, Response

import twelvefactor as tf

service = tf.Service("real", packages=["real_wsgi"])
flask = Flask("real")


@flask.get("/hello/<name>")
def hello(name):
    return f"hello {name}"


@flask.get("/fails")
def fails():
    raise ValueError("nobody handles this")


@flask.get("/stream")
def stream():
    return Response((b"x" * 1000 for _ in range(10)), mimetype="text/event-stream")


def bare_app(environ, start_response):
    if environ["PATH_INFO"] == "/file":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return environ.get("wsgi.file_wrapper", lambda file: iter(file.read, b""))(open(__file__, "rb"))
    if environ["PATH_INFO"] == "/write":
        start_response("200 OK", [("Content-Type", "text/plain")])(b"written")
        return []
    raise ValueError("nobody handles this")


app = service.wsgi(flask)
bare = service.wsgi(bare_app)
