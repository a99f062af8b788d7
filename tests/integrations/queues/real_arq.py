"""Settings of an arq worker whose jobs say when they begin and when they are done."""

import asyncio
import os
import signal

from arq import Retry, func
from arq.connections import RedisSettings

import twelvefactor as tf

service = tf.Service("shop", packages=["real_arq"])
redis = RedisSettings.from_dsn(os.environ.get("BROKER", "redis://127.0.0.1:6379/0"))
queue = os.environ.get("QUEUE", "shop")


async def send(ctx, seconds=0):
    service.log.info("begun")
    await asyncio.sleep(seconds)
    service.log.info("done", stopping=tf.current_work().should_stop)


async def blocks(ctx):
    """Let nobody else run: what no task should do."""
    import time

    service.log.info("begun")
    time.sleep(30)


async def fails(ctx):
    raise ValueError("broken")


async def asks_again(ctx):
    if ctx["job_try"] == 1:
        raise Retry


async def cannot_be_kept(ctx):
    return lambda: None


async def kills(ctx):
    service.log.info("begun")
    os.kill(os.getpid(), signal.SIGKILL)


async def sends(ctx):
    await ctx["redis"].enqueue_job("send")


async def began(ctx):
    service.log.info("startup")


@service.jobs
class WorkerSettings:
    functions = [send, blocks, "real_arq.fails", func(asks_again, name="again"), cannot_be_kept, sends]
    redis_settings = redis
    queue_name = queue
    on_startup = began
    poll_delay = 0.05


@service.jobs
class Impatient:
    """Jobs are cancelled at once, and lost: what TF904 is for."""

    functions = [func(kills, max_tries=2)]
    redis_settings = redis
    queue_name = queue
    poll_delay = 0.05
    job_completion_wait = 0
    retry_jobs = False
