"""Starlette, with a class attribute that requests change."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


class Visit:
    last = None


async def index(request):
    return PlainTextResponse("hello")


async def visit(request):
    Visit.last = object()
    return PlainTextResponse("welcome")


app = Starlette(routes=[Route("/", index), Route("/visits/{name}", visit, methods=["POST"])])
