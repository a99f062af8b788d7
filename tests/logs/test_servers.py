"""Unmodified services under their servers: every line of stdout an event, none twice, one request one id."""

import collections
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
import uuid

import pytest

from twelvefactor.testing.engines import free_port

ROOT = os.getcwd()

FASTAPI = """
    import logging, warnings
    from fastapi import FastAPI
    from sqlalchemy import create_engine, text
    import twelvefactor as tf

    service = tf.Service("shop")
    engine = create_engine("postgresql+psycopg://postgres@127.0.0.1:5432/test", echo=True)
    inner = FastAPI()

    @inner.get("/orders/{number}")
    def order(number: int):
        with engine.connect() as connection:
            connection.execute(text("select 40 + 2"))
        service.log.info("order served", number=number)
        print("printed")
        return {}

    @inner.get("/fail")
    async def fail():
        raise ValueError("broken")

    app = service.asgi(inner)
"""

FLASK = """
    import logging
    from flask import Flask
    import twelvefactor as tf

    service = tf.Service("shop")
    inner = Flask(__name__)

    @inner.get("/orders/<int:number>")
    def order(number):
        logging.getLogger("a.library").warning("select 40 + 2")
        inner.logger.warning("flask says")
        service.log.info("order served", number=number)
        print("printed")
        return {}

    @inner.get("/fail")
    def fail():
        raise ValueError("broken")

    app = service.wsgi(inner)
"""

DJANGO = """
    import logging, sys
    import django
    from django.conf import settings
    from django.http import JsonResponse
    from django.urls import path
    import twelvefactor as tf

    service = tf.Service("shop")
    settings.configure(
        ROOT_URLCONF=__name__, SECRET_KEY="a secret of the tests", ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        LOGGING={
            "version": 1, "disable_existing_loggers": False,
            "formatters": {"json": {"()": "twelvefactor.logs.JsonFormatter"}},
            "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}},
            "root": {"handlers": ["out"], "level": "INFO"},
            "loggers": {"django.db.backends": {"level": "DEBUG"}},
        },
        DEBUG=False,
    )
    django.setup()

    def order(request, number):
        from django.db import connection
        connection.force_debug_cursor = True
        with connection.cursor() as cursor:
            cursor.execute("select 40 + 2")
        service.log.info("order served", number=number)
        print("printed")
        return JsonResponse({})

    def fail(request):
        raise ValueError("broken")

    urlpatterns = [path("orders/<int:number>", order), path("fail", fail)]

    from django.core.wsgi import get_wsgi_application
    app = service.wsgi(get_wsgi_application())
"""

GUNICORN = ("gunicorn", "--workers", "2", "--access-logfile", "-")
SERVICES = {
    "fastapi": (FASTAPI, ("uvicorn",), "select 40 + 2"),
    "flask": (FLASK, GUNICORN, "select 40 + 2"),
    "django": (DJANGO, GUNICORN, "select 40 + 2"),
}


def get(port, path, request_id=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", headers={"X-Request-ID": request_id} if request_id else {}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def wait_until(happens, timeout=40):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if happens():
                return
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def process(tmp_path):
    """Starts a command in a folder with the app; its stdout and stderr are files there."""
    running = []

    def process(code, *command, **environ):
        (tmp_path / "shop.py").write_text(textwrap.dedent(code))
        with open(tmp_path / "out", "wb") as out, open(tmp_path / "err", "wb") as err:
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", *command],
                    cwd=tmp_path,
                    env={
                        **os.environ,
                        "PYTHONUNBUFFERED": "",
                        "PYTHONPATH": f"{ROOT}:{tmp_path}",
                        "LOG_FORMAT": "json",
                        **environ,
                    },
                    stdout=out,
                    stderr=err,
                )
            )
        return running[-1]

    yield process
    for each in running:
        if each.poll() is None:
            each.kill()
        each.wait(10)


def events(tmp_path):
    """The events on stdout; fails where a line is none."""
    return [json.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()]


@pytest.mark.parametrize(("code", "server", "library"), SERVICES.values(), ids=SERVICES)
def test_a_service_speaks_in_events(process, tmp_path, code, server, library, request):
    """
    Access, app, library, printed and error lines of a request are one event each, with the request's id.
    """
    pytest.importorskip(server[0])
    pytest.importorskip(request.node.callspec.id)
    if code is FASTAPI:
        pytest.importorskip("psycopg")
        request.getfixturevalue("postgres_url")
    port = free_port()
    bind = ("--port", str(port)) if server[0] == "uvicorn" else ("--bind", f"127.0.0.1:{port}")
    child = process(code, *server, "shop:app", *bind)
    wait_until(lambda: get(port, "/livez") == 200)

    assert get(port, "/orders/7", "r-order") == 200
    assert get(port, "/fail", "r-fail") == 500
    assert get(port, "/nothing", "r-nothing") == 404
    child.send_signal(signal.SIGTERM)
    child.wait(30)

    said = events(tmp_path)
    of_order = collections.Counter(each["event"].strip() for each in said if each.get("request_id") == "r-order")
    assert of_order["request"] == of_order["order served"] == of_order["printed"] == 1
    assert sum(count for event, count in of_order.items() if library in event) == 1
    failed = [each for each in said if each.get("request_id") == "r-fail"]
    assert [each["status"] for each in failed if each["event"] == "request"] == [500]
    assert [each["exception_message"] for each in failed if "exception" in each] == ["broken"]
    assert all(each.get("request_id") == "r-fail" for each in said if each.get("exception_message") == "broken")
    assert [
        each["status"] for each in said if each.get("request_id") == "r-nothing" and each["event"] == "request"
    ] == [404]
    assert not [each for each in said if "GET /" in each["event"]]
    assert not [each for each in said if each["event"] == "twelvefactor.fault" and each.get("fault_in") == "logs"]


CELERY = """
    import logging
    from celery import Celery, signals
    import twelvefactor as tf
    from twelvefactor.integrations.celery import quiet

    service = tf.Service("shop")
    app = Celery("shop", broker="redis://127.0.0.1:6379/0")
    app.conf.update(task_default_queue=QUEUE, task_ignore_result=True, worker_enable_remote_control=False,
                    broker_connection_retry_on_startup=True)
    quiet(app)

    @signals.worker_init.connect
    @signals.worker_process_init.connect
    def start(**_):
        service.start()

    @app.task(name="receipt")
    def receipt(number, request_id):
        with service.in_flight.work("job", "receipt", request_id=request_id):
            logging.getLogger("a.library").warning("library says")
            service.log.info("receipt sent", number=number)
            print("printed")
            if number < 0:
                service.log.exception("no")
                raise ValueError("broken")
"""


def test_a_celery_worker_speaks_in_events(process, tmp_path, redis_url):
    """
    Neither the banner nor Celery's own logging reaches stdout as text; a task's lines carry its ids, each once.
    """
    celery = pytest.importorskip("celery")
    queue = f"twelvefactor-logs-{uuid.uuid4().hex}"
    child = process(
        CELERY.replace("QUEUE", repr(queue)), "celery", "-A", "shop:app", "worker", "--concurrency", "2", "--loglevel", "INFO",
        "--without-gossip", "--without-mingle", "--without-heartbeat",
    )  # fmt: skip
    sender = celery.Celery(broker=redis_url)
    try:
        for number in (1, 2, -1):
            sender.send_task("receipt", (number, f"r-{number}"), queue=queue)
        wait_until(
            lambda: (
                (tmp_path / "out").read_bytes().count(b"printed") >= 3 and b"broken" in (tmp_path / "out").read_bytes()
            )
        )
        with pytest.importorskip("redis").Redis.from_url(redis_url) as client:
            # a pool's process that Celery stops before it knows that the task was taken waits for 30 s
            wait_until(lambda: not any(queue.encode() in each for each in client.hvals("unacked")))
    finally:
        sender.close()
        child.send_signal(signal.SIGTERM)
        child.wait(30)
        with pytest.importorskip("redis").Redis.from_url(redis_url) as client:
            client.delete(queue, f"_kombu.binding.{queue}", f"_kombu.binding_permanent.{queue}")

    said = events(tmp_path)
    for number in (1, 2, -1):
        mine = collections.Counter(each["event"] for each in said if each.get("request_id") == f"r-{number}")
        assert mine["library says"] == mine["receipt sent"] == mine["printed"] == 1
    assert any(each["logger"] == "celery.worker.strategy" for each in said)
    assert any("Warm shutdown" in each["event"] for each in said)
    assert sum("Task receipt" in each["event"] and "succeeded" in each["event"] for each in said) == 2
