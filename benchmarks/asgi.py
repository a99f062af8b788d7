"""
What the ASGI adapter adds to a request, beside what others add for the same duties, as ratios within one run.

    python benchmarks/asgi.py

Everyone gives the request an id (taken from the header, else minted), echoes it, counts the request as in flight and
says one JSON line with time, method, path, status, duration, bytes, client and the id, to standard output, which is
/dev/null here. The peers' line is structlog's, tuned and with redaction as in `logs.py`; the floor redacts nothing and
parses no `traceparent`. The app is a bare callable, and the loop has nothing else to do: CPU time of the whole call.
"""

from __future__ import annotations

import asyncio
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
from _ratios import added, interleave, table
from logs import structlog_peer

SCOPE = {
    "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
    "scheme": "http", "path": "/orders/7", "raw_path": b"/orders/7", "query_string": b"", "root_path": "",
    "headers": [
        (b"host", b"orders.example.com"), (b"user-agent", b"curl/8.5.0"), (b"accept", b"*/*"),
        (b"accept-encoding", b"gzip"), (b"x-forwarded-for", b"10.0.0.7"), (b"x-forwarded-proto", b"https"),
    ],
    "client": ("10.0.0.9", 50234), "server": ("10.0.0.1", 8000),
}  # fmt: skip
SERVICE = {"service": "orders", "release": "v1", "process_type": "web", "instance": "web-1", "pid": os.getpid()}


async def bare(scope, receive, send):
    headers = [(b"content-type", b"application/json"), (b"content-length", b"14")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"hello": "a"}'})


async def receive():
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message):
    pass


# -- the floor


class HandWritten:
    """All the duties, and nothing that is not one."""

    def __init__(self, app):
        self.app = app
        self.in_flight = 0
        self.current = ContextVar("request")

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = None
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                request_id = value.decode("latin-1")
        if request_id is None:
            request_id = uuid4().hex
        started = time.monotonic()
        status = sent = 0
        token = self.current.set(request_id)
        self.in_flight += 1

        async def counted(message):
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            elif message["type"] == "http.response.body":
                sent += len(message["body"])
            await send(message)

        try:
            await self.app(scope, receive, counted)
        finally:
            self.in_flight -= 1
            self.current.reset(token)
            line = {
                "timestamp": datetime.now(UTC), "level": "info", "event": "request", **SERVICE,
                "request_id": request_id, "method": scope["method"], "path": scope["path"], "status": status,
                "duration_ms": (time.monotonic() - started) * 1000, "bytes": sent, "client": scope["client"][0],
            }  # fmt: skip
            os.write(1, orjson.dumps(line, None, orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z))


# -- the peers


def correlation_id(app):
    """asgi-correlation-id, and an access line by structlog as its documentation shows."""
    from asgi_correlation_id import CorrelationIdMiddleware
    from asgi_correlation_id import correlation_id as current

    log = structlog_peer()

    async def access_line(scope, receive, send):
        started = time.monotonic()
        status = sent = 0

        async def counted(message):
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                sent += len(message["body"])
            await send(message)

        try:
            await app(scope, receive, counted)
        finally:
            log.info(
                "request",
                request_id=current.get(),
                method=scope["method"],
                path=scope["path"],
                status=status,
                duration_ms=(time.monotonic() - started) * 1000,
                bytes=sent,
                client=scope["client"][0],
            )

    return CorrelationIdMiddleware(access_line)


def dockerflow(app):
    """Mozilla's dockerflow for Starlette and FastAPI: its request id, its summary line."""
    from dockerflow.fastapi.middleware import MozlogRequestSummaryLogger, RequestIdMiddleware
    from dockerflow.logging import JsonLogFormatter
    from starlette.applications import Starlette

    handler = logging.StreamHandler(open(1, "w", closefd=False))  # noqa: SIM115 - as long as the process
    handler.setFormatter(JsonLogFormatter(logger_name="orders"))
    logger = logging.getLogger("request.summary")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    inner = RequestIdMiddleware(MozlogRequestSummaryLogger(app, logger))
    owner = Starlette()

    async def with_app(scope, receive, send):
        scope["app"] = owner
        await inner(scope, receive, send)

    return with_app


def base_http(app):
    """The same duties on Starlette's BaseHTTPMiddleware."""
    from starlette.middleware.base import BaseHTTPMiddleware

    log = structlog_peer()

    async def dispatch(request, call_next):
        started = time.monotonic()
        request_id = request.headers.get("x-request-id") or uuid4().hex
        response = await call_next(request)
        response.headers["x-request-id"] = request_id
        log.info(
            "request",
            request_id=request_id,
            method=request.method,
            path=request.url.path,
            status=response.status_code,
            duration_ms=(time.monotonic() - started) * 1000,
            bytes=int(response.headers["content-length"]),
            client=request.client.host,
        )
        return response

    return BaseHTTPMiddleware(app, dispatch)


def ours(app, **environ):
    """As a deploy sets it; the rivals in this file keep state on purpose, and are not the app."""
    import twelvefactor as tf

    deploy = {"TWELVEFACTOR_RELEASE": "v1", "TWELVEFACTOR_PROCESS_TYPE": "web", "LOG_FORMAT": "json"}
    return tf.Service("orders", environ={**deploy, **environ}, packages=["orders"]).asgi(app)


# -- the race


def spender(loop, app):
    async def calls(count):
        scopes = [{**SCOPE, "headers": list(SCOPE["headers"])} for _ in range(count)]
        start = time.process_time_ns()
        for scope in scopes:
            await app(scope, receive, send)
        return time.process_time_ns() - start

    return lambda count: loop.run_until_complete(calls(count))


def main():
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    loop = asyncio.new_event_loop()
    apps = {
        "bare": bare,
        "hand-written": HandWritten(bare),
        "twelvefactor": ours(bare, TWELVEFACTOR_LEAKS="off"),
        "twelvefactor, and the leak watch": ours(bare),
        "asgi-correlation-id + structlog": correlation_id(bare),
        "dockerflow": dockerflow(bare),
        "BaseHTTPMiddleware + structlog": base_http(bare),
    }
    samples = interleave({name: spender(loop, app) for name, app in apps.items()})
    goals = {"hand-written": 2.0, "asgi-correlation-id + structlog": 0.4}
    met = table("ASGI: added to a request, CPU", added(samples, "bare"), "twelvefactor", goals)
    loop.close()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
