"""
What the WSGI adapter adds to a request, beside what others add for the same duties, as ratios within one run.

    python benchmarks/wsgi.py

Everyone gives the request an id (taken from the header, else minted) and says one JSON line with time, method, path,
status, duration and the id, to standard output, which is /dev/null here; the floor and ours count the request as in
flight, its bytes and its client, and echo the id, which the peers do not. Each is measured against the same app without
it: a bare callable, a Flask app for dockerflow, a Django project for django-structlog. CPU time of the whole call.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import orjson

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))
from _ratios import interleave, table, tenth

ENVIRON = {
    "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/orders/7", "QUERY_STRING": "", "SERVER_NAME": "orders",
    "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "orders.example.com", "REMOTE_ADDR": "10.0.0.9",
    "HTTP_USER_AGENT": "curl/8.5.0", "HTTP_ACCEPT": "*/*", "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr, "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
}  # fmt: skip
SERVICE = {"service": "orders", "release": "v1", "process_type": "web", "instance": "web-1", "pid": os.getpid()}


def bare(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "14")])
    return [b'{"hello": "a"}']


def start_response(status, headers, exc_info=None):
    return None


# -- the floor


class HandWritten:
    """All the duties, and nothing that is not one."""

    def __init__(self, app):
        self.app = app
        self.in_flight = 0
        self.current = ContextVar("request")

    def __call__(self, environ, start_response):
        request_id = environ.get("HTTP_X_REQUEST_ID") or uuid4().hex
        started = time.monotonic()
        seen = []
        token = self.current.set(request_id)
        self.in_flight += 1

        def watched(status, headers, exc_info=None):
            seen.append(status)
            return start_response(status, [*headers, ("X-Request-ID", request_id)], exc_info)

        sent = 0
        try:
            for chunk in self.app(environ, watched):
                sent += len(chunk)
                yield chunk
        finally:
            self.in_flight -= 1
            self.current.reset(token)
            line = {
                "timestamp": datetime.now(UTC), "level": "info", "event": "request", **SERVICE,
                "request_id": request_id, "method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"],
                "status": int(seen[0][:3]), "duration_ms": (time.monotonic() - started) * 1000, "bytes": sent,
                "client": environ["REMOTE_ADDR"],
            }  # fmt: skip
            os.write(1, orjson.dumps(line, None, orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z))


# -- the peers


def flask_app():
    from flask import Flask

    app = Flask("orders")
    app.add_url_rule("/orders/<int:order>", "show", lambda order: {"hello": "a"})
    return app


def dockerflow():
    from dockerflow.flask import Dockerflow
    from dockerflow.logging import JsonLogFormatter

    app = flask_app()
    Dockerflow(app)
    handler = logging.StreamHandler(open(1, "w", closefd=False))  # noqa: SIM115 - as long as the process
    handler.setFormatter(JsonLogFormatter(logger_name="orders"))
    logger = logging.getLogger("request.summary")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return app


def django_app(*middleware):
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import JsonResponse
    from django.test import override_settings
    from django.urls import path

    if not settings.configured:
        urls = (path("orders/<int:order>", lambda request, order: JsonResponse({"hello": "a"})),)
        settings.configure(ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None, SECRET_KEY="for benchmarks")
        django.setup()
    with override_settings(MIDDLEWARE=middleware):
        return get_wsgi_application()


def django_structlog():
    """Its middleware, on structlog as its own documentation tunes it."""
    import structlog

    app = django_app("django_structlog.middlewares.RequestMiddleware")
    structlog.configure(
        logger_factory=structlog.BytesLoggerFactory(open(1, "wb", closefd=False)),  # noqa: SIM115 - as long as the process
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    return app


def service():
    """As a deploy sets it; the rivals in this file keep state on purpose, and are not the app."""
    import twelvefactor as tf

    deploy = {"TWELVEFACTOR_RELEASE": "v1", "TWELVEFACTOR_PROCESS_TYPE": "web", "LOG_FORMAT": "json"}
    return tf.Service("orders", environ={**deploy, "TWELVEFACTOR_LEAKS": "off"}, packages=["orders"])


# -- the race


def spender(app):
    def calls(count):
        environs = [{**ENVIRON, "wsgi.input": io.BytesIO()} for _ in range(count)]
        start = time.process_time_ns()
        for environ in environs:
            chunks = app(environ, start_response)
            for _ in chunks:
                pass
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        return time.process_time_ns() - start

    return calls


def main():
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    ours = service()
    pairs = {
        "hand-written": (bare, HandWritten(bare)),
        "twelvefactor": (bare, ours.wsgi(bare)),
        "twelvefactor on Flask": (flask_app(), ours.wsgi(flask_app())),
        "dockerflow on Flask": (flask_app(), dockerflow()),
        "twelvefactor on Django": (django_app(), ours.wsgi(django_app())),
        "django-structlog": (django_app(), django_structlog()),
    }
    apps = {}
    for name, (without, with_it) in pairs.items():
        apps |= {f"{name}, without": without, name: with_it}
    samples = interleave({name: spender(app) for name, app in apps.items()})
    times = {name: tenth(samples[name]) - tenth(samples[f"{name}, without"]) for name in pairs}
    goals = {"hand-written": 2.0, "dockerflow on Flask": 0.4, "django-structlog": 0.4}
    return 0 if table("WSGI: added to a request, CPU", times, "twelvefactor", goals) else 1


if __name__ == "__main__":
    sys.exit(main())
