"""Apps that are drilled, each with the library and without: what takes a while, streams, works on after its answer."""

import asyncio
import itertools
import json
import os
import random
import sys
import threading
import time

from flask import Flask, Response
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

import twelvefactor as tf

numbers = itertools.count()


def say(event, id):
    os.write(1, json.dumps({"event": event, "id": id}).encode() + b"\n")


def new_id(kind):
    return f"{kind}-{os.getpid()}-{next(numbers)}"


async def work(request):
    await asyncio.sleep(random.uniform(0.05, 0.3))
    return PlainTextResponse("worked")


async def stream(request):
    async def parts():
        for _ in range(20):
            yield b"part\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(parts())


async def later(id, seconds=2.5):
    say("drill.begun", id)
    await asyncio.sleep(seconds)
    say("drill.done", id)


async def background(request):
    return PlainTextResponse("accepted", background=BackgroundTask(later, new_id("background")))


kept = set()


async def spawn(request):
    task = asyncio.create_task(later(new_id("spawned")))
    kept.add(task)
    task.add_done_callback(kept.discard)
    await asyncio.sleep(0.1)
    return PlainTextResponse("spawned")


async def echo(socket):
    await socket.accept()
    try:
        while True:
            message = await socket.receive_text()
            say("drill.begun", message)
            await asyncio.sleep(0.1)
            await socket.send_text(message)
            say("drill.done", message)
    except WebSocketDisconnect:
        pass


async def readyz(request):
    return PlainTextResponse("ok")


routes = [
    Route("/work", work),
    Route("/stream", stream),
    Route("/background", background),
    Route("/spawn", spawn),
    WebSocketRoute("/echo", echo),
]
plain_asgi = Starlette(routes=[*routes, Route("/readyz", readyz)])

flask = Flask(__name__)


@flask.get("/work")
def flask_work():
    time.sleep(random.uniform(0.05, 0.3))
    return "worked"


@flask.get("/stream")
def flask_stream():
    def parts():
        for _ in range(20):
            yield b"part\n"
            time.sleep(0.1)

    return Response(parts(), mimetype="text/plain")


@flask.get("/background")
def flask_background():
    def run(id):
        say("drill.begun", id)
        time.sleep(1)
        say("drill.done", id)

    threading.Thread(target=run, args=(new_id("thread"),)).start()
    return "accepted"


def plain_wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/readyz":
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]
    return flask.wsgi_app(environ, start_response)


if "--plain" not in sys.orig_argv and not os.environ.get("DRILL_PLAIN"):
    service = tf.Service("drilled")
    asgi = service.asgi(Starlette(routes=routes))
    wsgi = service.wsgi(flask.wsgi_app)
    service.process("web", wsgi if os.environ.get("DRILL_KIND") == "wsgi" else asgi)
