"""What a user's type checker makes of each kind's clients. Checked by mypy and pyright, not run."""

from smtplib import SMTP
from typing import Any, assert_type

import aio_pika.abc
import aiosmtplib
import httpx
import nats.aio.client
import paho.mqtt.client
import redis
import redis.asyncio
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

import twelvefactor as tf
from twelvefactor.backing_services.resources import Resources


class Mine: ...


class MineURL(tf.URL[Mine, None]): ...


def attached(resources: Resources, mail: tf.SMTPURL, either: tf.PostgresURL | tf.MySQLURL, mine: MineURL) -> None:
    assert_type(resources.attach(mail), SMTP)
    assert_type(resources.attach(either), Engine)
    assert_type(resources.attach(mine), Mine)


def more(resources: Resources, cluster: tf.RedisClusterURL, api: tf.HTTPURL, broker: tf.MQTTURL) -> None:
    assert_type(resources.attach(cluster), redis.RedisCluster)
    assert_type(resources.attach(api), httpx.Client)
    assert_type(resources.attach(broker), paho.mqtt.client.Client)


def attached_async(
    resources: Resources, database: tf.PostgresURL, cache: tf.RedisURL, queue: tf.AMQPURL, bus: tf.NATSURL
) -> None:
    assert_type(resources.attach_async(database), AsyncEngine)
    assert_type(resources.attach_async(queue), aio_pika.abc.AbstractRobustConnection)
    assert_type(resources.attach_async(bus), nats.aio.client.Client)
    cache_client: redis.asyncio.Redis = resources.attach_async(cache)
    del cache_client


def mail(resources: Resources, url: tf.SMTPURL, api: tf.HTTPURL) -> None:
    assert_type(resources.attach_async(url), aiosmtplib.SMTP)
    assert_type(resources.attach_async(api), httpx.AsyncClient)


def optional(resources: Resources, url: tf.PostgresURL | None, anything: tf.URL[Any, Any]) -> None:
    resources.attach(url)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(anything.host, str | None)
