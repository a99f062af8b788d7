"""A Celery app whose task keeps what it did."""

import os

from celery import Celery

app = Celery("queued", broker=os.environ["BROKER"])
app.conf.task_default_queue = os.environ["QUEUE"]
done = []


@app.task
def remember(number):
    done.append(number)
