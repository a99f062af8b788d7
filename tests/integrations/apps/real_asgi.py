"""A Starlette app as a server loads it: `real_asgi:app`, and with the middleware in its list: `real_asgi:in_list`."""

import asyncio

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

import twelvefactor as tf

service = tf.Service("real", packages=["real_asgi"])


async def hello(request):
    return PlainTextResponse(f"hello {request.path_params['name']}")


async def fails(request):
    raise ValueError("nobody handles this")


async def later(request):
    async def say():
        service.log.info("in.background")

    return PlainTextResponse("soon", background=BackgroundTask(say))


async def events(request):
    """Server-sent events until the client leaves or the process stops."""

    async def ticks():
        number = 0
        while not service.stopping.is_set():
            yield f"data: {number}\n\n"
            number += 1
            await service.stopping.wait_async(0.05)

    return StreamingResponse(ticks(), media_type="text/event-stream")


async def upload(request):
    return PlainTextResponse(str(len(await request.body())))


async def slow(request):
    service.log.info("slow.begun")
    await service.stopping.wait_async(20)
    await asyncio.sleep(0.1)
    return PlainTextResponse("done")


async def chat(websocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


async def broken(scope, receive, send):
    """A bare callable that breaks the rules, in the way that its path says."""
    if scope["type"] != "http":
        return
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    end = {"type": "http.response.body", "body": b"ok"}
    wrong = {"/nothing": [], "/twice": [start, start, end], "/after": [start, end, end, start]}
    for message in wrong.get(scope["path"], [start, end]):
        await send(message)


routes = [
    Route("/hello/{name}", hello),
    Route("/fails", fails),
    Route("/later", later),
    Route("/events", events),
    Route("/slow", slow),
    Route("/upload", upload, methods=["POST"]),
    WebSocketRoute("/chat", chat),
]
app = service.asgi(Starlette(routes=routes))
in_list = Starlette(routes=routes, middleware=[Middleware(tf.ASGIMiddleware, service=service)])
wrong = service.asgi(broken)
