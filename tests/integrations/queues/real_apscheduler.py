"""A scheduler in a process of its own, whose jobs say when they begin and when they are done."""

import os
import sys
import time
from datetime import datetime, timedelta

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.blocking import BlockingScheduler

import twelvefactor as tf

service = tf.Service("shop", packages=["real_apscheduler"])
scheduler = service.jobs(
    BlockingScheduler(
        jobstores={
            "memory": {"type": "memory"},
            "default": SQLAlchemyJobStore(f"sqlite:///{os.environ.get('STORE', 'jobs.db')}"),
        }
    )
)
service.on_stopping(lambda: service.log.info("paused"))  # the scheduler was, right before


def tick():
    service.log.info("ticked", work=tf.current_work().id)


def fails():
    raise ValueError("broken")


def slow(seconds):
    """Lasts until it is told to stop, and so many seconds more."""
    service.log.info("begun")
    ends = time.monotonic() + 30
    while not tf.current_work().should_stop and time.monotonic() < ends:
        time.sleep(0.01)
    for _ in range(int(seconds * 20)):
        time.sleep(0.05)
    service.log.info("done")


if __name__ == "__main__":
    scheduler.add_job(tick, "interval", seconds=0.3, jobstore="memory", id="tick")
    if len(sys.argv) > 1:
        scheduler.add_job(fails, "date", run_date=datetime.now() + timedelta(hours=1), misfire_grace_time=None)
        scheduler.add_job(
            "real_apscheduler:slow", "date", args=[float(sys.argv[1])], id="slow", misfire_grace_time=None
        )
        scheduler.add_job(fails, "date", id="fails", jobstore="memory", misfire_grace_time=None)
    scheduler.start()
