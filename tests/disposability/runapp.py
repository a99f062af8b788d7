"""A service that declares its web process, for `twelvefactor run web`."""

import os

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import twelvefactor as tf

service = tf.Service("runapp")


async def home(request):
    return PlainTextResponse(f"home {os.getpid()} {request.client.host if request.client else 'unix'}")


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Length", "4")])
    return [b"home"]


service.process("web", wsgi if os.environ.get("KIND") == "wsgi" else Starlette(routes=[Route("/", home)]))
service.process("once", lambda: 7)
