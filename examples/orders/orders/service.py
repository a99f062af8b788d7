"""orders: takes orders into PostgreSQL, answers from Redis, and leaves the receipts to a worker."""

import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import twelvefactor as tf
from orders.config import Config
from orders.store import Orders

service = tf.Service("orders", Config)
service.include("orders.migrate")  # what the release phase runs
log = service.log
database = service.attach(service.config.database_url)  # a sqlalchemy.Engine
cache = service.attach(service.config.redis_url)  # a redis.Redis
broker = service.jobs(RedisBroker(client=cache))
orders = Orders(database, cache)


@dramatiq.actor(broker=broker)
def send_receipt(order: int) -> None:
    """The worker's job. It may begin twice, where a worker was killed: the second time changes nothing."""
    time.sleep(0.02)  # the mail server takes its time
    orders.receipt_sent(order, service.config.receipt_sender)
    log.info("receipt.sent", order=order, sender=service.config.receipt_sender)


class Wanted(BaseModel):
    """What a customer sends; PostgreSQL keeps no NUL in a text."""

    item: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]+$")
    quantity: int = Field(ge=1)


async def create(request: Request) -> Response:
    """POST /orders: keep the order and ask for its receipt, then answer: who has an answer gets a receipt."""
    try:
        wanted = Wanted.model_validate_json(await request.body())
    except ValidationError as error:
        wrong = {".".join(map(str, each["loc"])): each["msg"] for each in error.errors()}
        return JSONResponse({"error": wrong}, status_code=422)
    if wanted.quantity > service.config.most_items:
        return JSONResponse({"error": f"quantity: 1 to {service.config.most_items}"}, status_code=422)
    order = await run_in_threadpool(orders.create, wanted.item, wanted.quantity)
    log.info("order.created", order=order.id, item=order.item)
    await run_in_threadpool(send_receipt.send, order.id)
    return JSONResponse(order.as_dict(), status_code=201)


async def show(request: Request) -> Response:
    """GET /orders/{id}"""
    order = await run_in_threadpool(orders.get, request.path_params["id"])
    if order is None:
        return JSONResponse({"error": "no such order"}, status_code=404)
    return JSONResponse(order.as_dict())


async def export(request: Request) -> Response:
    """GET /orders: every order as a line of JSON, streamed; ends early when the process stops."""
    del request
    last = await run_in_threadpool(orders.last_id)
    return StreamingResponse(lines(last), media_type="application/x-ndjson")


async def lines(last: int):
    """The orders up to *last*, one a line."""
    for number in range(1, last + 1):
        if service.stopping.is_set():
            return
        order = await run_in_threadpool(orders.get, number)
        if order is not None:
            yield order.as_json() + b"\n"


async def charge(request: Request) -> Response:
    """POST /charge: a mistake, to see what an unhandled exception looks like on the stream."""
    del request
    raise RuntimeError("the card was declined")


app = service.asgi(
    Starlette(
        routes=[
            Route("/orders", create, methods=["POST"]),
            Route("/orders", export, methods=["GET"]),
            Route("/orders/{id:int}", show),
            Route("/charge", charge, methods=["POST"]),
        ]
    )
)
service.process("web", app)
service.process("worker", broker, "--processes=1", "--threads=4")
