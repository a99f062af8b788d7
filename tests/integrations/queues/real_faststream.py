"""FastStream apps whose subscribers say when they begin and when they are done."""

import asyncio
import os
import time

from faststream import AckPolicy, FastStream
from faststream.rabbit import RabbitBroker
from faststream.redis import RedisBroker

import twelvefactor as tf

QUEUE = os.environ.get("QUEUE", "shop")
AT_MOST = float(os.environ.get("AT_MOST", "60"))  # seconds that a message takes in this process
service = tf.Service("shop", packages=["real_faststream"])
broker = RabbitBroker("amqp://guest:guest@127.0.0.1:5672/", logger=None)
app = service.jobs(FastStream(broker, logger=None))
redis = service.jobs(RedisBroker("redis://127.0.0.1:6379/0", logger=None))
lists = FastStream(redis, logger=None)


@broker.subscriber(QUEUE)
async def send(seconds: float):
    service.log.info("begun")
    await asyncio.sleep(min(seconds, AT_MOST))
    service.log.info("done", stopping=tf.current_work().should_stop)


@broker.subscriber(f"{QUEUE}-told")
async def until_told(seconds: float):
    service.log.info("begun")
    ends = time.monotonic() + 30
    while not tf.current_work().should_stop and time.monotonic() < ends:
        await asyncio.sleep(0.01)
    await asyncio.sleep(seconds)
    service.log.info("done", stopping=tf.current_work().should_stop)


@broker.subscriber(f"{QUEUE}-thread")
def in_thread(seconds: float):
    service.log.info("begun")
    for _ in range(int(min(seconds, AT_MOST) * 20)):
        time.sleep(0.05)
    service.log.info("done")


@broker.subscriber(f"{QUEUE}-fails")
async def fails(body: str):
    await broker.publish(0, f"{QUEUE}-early")
    raise ValueError("broken")


@broker.subscriber(f"{QUEUE}-early", ack_policy=AckPolicy.ACK_FIRST)
async def early(body: int):
    pass


@redis.subscriber(list=QUEUE)
async def popped(seconds: float):
    service.log.info("begun")
    await asyncio.sleep(min(seconds, AT_MOST))
    service.log.info("done")
