"""What a user's type checker makes of a service and what is attached to it. Checked by mypy and pyright, not run."""

from collections.abc import Callable
from typing import Any, assert_type

from redis import Redis
from sqlalchemy import Engine

import twelvefactor as tf


class Client:
    def __init__(self, url: tf.URL[Any, Any]) -> None: ...


def attached(service: tf.Service, database: tf.PostgresURL, cache: tf.RedisURL) -> None:
    assert_type(service.attach(database), Engine)
    assert_type(service.attach(cache), Redis)
    assert_type(service.attach(database, client=Client), Client)
    service.attach("postgresql://db/app")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


def units(service: tf.Service) -> None:
    with service.work("job", "send_receipt") as work:
        assert_type(work, tf.Work)


async def async_units(service: tf.Service) -> None:
    async with service.work("job", "send_receipt", id="7") as work:
        assert_type(work, tf.Work)


def hooks(service: tf.Service) -> None:
    @service.on_shutdown
    def flush() -> None: ...

    @service.on_ready(limit=5.0)
    async def warm() -> int:
        return 1

    assert_type(flush, Callable[[], None])
    flush()


def judged(service: tf.Service) -> None:
    for finding in service.findings:
        assert_type(finding, tf.Finding)


def wrapped(service: tf.Service, app: Any) -> None:
    assert_type(service.asgi(app, probes={"ready": "/ready"}), tf.ASGIMiddleware)
    assert_type(service.wsgi(app), tf.WSGIMiddleware)


def clocks(service: tf.Service) -> None:
    @service.clock("*/5 * * * *", misfire_grace=30)
    def clean() -> int:
        return 1

    @service.clock(60.0)
    async def refresh() -> None: ...

    assert_type(clean(), int)
    assert_type(service.clock.time(), float)

    def needs(day: str) -> None: ...

    service.clock("@daily")(needs)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
