"""A taskiq broker whose tasks a real worker runs; each says when it begins and when it is done."""

import asyncio
import os
import signal
import time

from taskiq import SimpleRetryMiddleware
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

import twelvefactor as tf

URL = "redis://127.0.0.1:6379/0"
QUEUE = os.environ.get("QUEUE", "shop")
service = tf.Service("shop", packages=["real_taskiq"])
broker = service.jobs(
    RedisStreamBroker(URL, QUEUE, consumer_id="0", idle_timeout=200, xread_block=100)
    .with_middlewares(SimpleRetryMiddleware(default_retry_count=2))
    .with_result_backend(RedisAsyncResultBackend(URL, prefix_str=QUEUE))
)
forgetful = service.jobs(ListQueueBroker(URL, queue_name=f"{QUEUE}-list"))


@broker.task(retry_on_error=True)
async def send(seconds=0):
    service.log.info("begun")
    await asyncio.sleep(seconds)
    service.log.info("done", stopping=tf.current_work().should_stop)


@broker.task
def in_thread(seconds):
    service.log.info("begun")
    for _ in range(int(seconds * 20)):
        time.sleep(0.05)
    service.log.info("done")


@broker.task
async def until_told():
    service.log.info("begun")
    ends = time.monotonic() + 30
    while not tf.current_work().should_stop and time.monotonic() < ends:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    service.log.info("done", stopping=tf.current_work().should_stop)


@broker.task
def until_told_in_thread():
    service.log.info("begun")
    ends = time.monotonic() + 30
    while not tf.current_work().should_stop and time.monotonic() < ends:
        time.sleep(0.01)
    time.sleep(0.5)
    service.log.info("done", stopping=tf.current_work().should_stop)


@broker.task(retry_on_error=True)
def fails():
    raise ValueError("broken")


@broker.task
def cannot_be_kept():
    return lambda: None


@broker.task
def leaves():
    raise SystemExit(3)


@broker.task
def kills():
    service.log.info("begun")
    os.kill(os.getpid(), signal.SIGKILL)


@forgetful.task
async def forgotten():
    pass
