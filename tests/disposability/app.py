"""A service that says in which order it ends; run by the tests under a real server."""

import asyncio
import dataclasses
import os

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

import twelvefactor as tf

service = tf.Service("order")
released = asyncio.Event()


class Resources:
    """Stands where attached resources are, and says when it is closed."""

    def close(self):
        service.event("info", "resources closed")

    async def aclose(self):
        service.event("info", "resources closed")


service._shutdown.resources = Resources()
if "WORK" in os.environ:  # how long it may take, and the rest of the grace period is for what comes after it
    service._shutdown.budget = dataclasses.replace(service.budget, work=float(os.environ["WORK"]))


@service.on_shutdown
def first():
    service.event("info", "hook first", fields={"pid": os.getpid()})


@service.on_shutdown
async def second():
    service.event("info", "hook second")


async def home(request):
    return PlainTextResponse("home")


async def hold(request):
    service.event("info", "holding")
    await released.wait()
    return PlainTextResponse("held", background=BackgroundTask(after))


async def after():
    await asyncio.sleep(0)
    service.event("info", "background done")


async def release(request):
    released.set()
    return PlainTextResponse("released")


async def force(request):
    service._shutdown.force()
    return PlainTextResponse("the drain delay is over")


async def big(request):
    async def parts():
        while True:
            yield b"x" * 65536

    return StreamingResponse(parts())


async def stubborn(request):
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            service.event("info", "cancellation ignored")


routes = [
    Route("/", home),
    Route("/hold", hold),
    Route("/release", release),
    Route("/force", force),
    Route("/big", big),
    Route("/stubborn", stubborn),
]
app = service.asgi(Starlette(routes=routes))
