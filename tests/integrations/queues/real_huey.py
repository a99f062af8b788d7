"""A huey whose tasks a real consumer runs; each says when it begins and when it is done."""

import os
import signal
import time

from huey import CancelExecution, RedisHuey, RetryTask

import twelvefactor as tf

AT_MOST = float(os.environ.get("AT_MOST", "60"))  # seconds that `sleeps` takes in this process
service = tf.Service("shop", packages=["real_huey"])
huey = service.jobs(
    RedisHuey(os.environ.get("QUEUE", "shop"), url="redis://127.0.0.1:6379/0", read_timeout=0.2, results=True)
)


@huey.task()
def send(seconds=0):
    service.log.info("begun", work=tf.current_work().id)
    for _ in range(int(seconds * 20)):
        time.sleep(0.05)
    service.log.info("done", stopping=tf.current_work().should_stop)


@huey.task()
def until_told(seconds):
    service.log.info("begun", work=tf.current_work().id)
    ends = time.monotonic() + 30
    while not tf.current_work().should_stop and time.monotonic() < ends:
        time.sleep(0.01)
    time.sleep(seconds)
    service.log.info("done", stopping=tf.current_work().should_stop)


@huey.task()
def sleeps(seconds):
    service.log.info("begun")
    time.sleep(min(seconds, AT_MOST))  # one call that nothing in this process can interrupt
    service.log.info("done")


@huey.task(retries=1)
def fails():
    raise ValueError("broken")


@huey.task(retries=2)
def asks_again():
    if tf.current_work().attempt == 1:
        raise RetryTask


@huey.task()
def gives_up():
    raise CancelExecution


@huey.task()
def leaves():
    raise SystemExit(3)


@huey.task()
def cannot_be_kept():
    return lambda: None


@huey.task()
def kills():
    service.log.info("begun")
    os.kill(os.getpid(), signal.SIGKILL)
