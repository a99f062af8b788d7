"""What a user's type checker makes of a declared config. Checked by mypy and pyright, not run."""

from typing import assert_type

from redis import Redis
from sqlalchemy import Engine

import twelvefactor as tf


class Config(tf.Config):
    database_url: tf.PostgresURL
    redis_url: tf.RedisURL
    stripe_secret_key: tf.Secret
    most_items: int = 100


def declared() -> None:
    service = tf.Service("orders", Config)
    assert_type(service, tf.Service[Config])
    assert_type(service.config, Config)
    assert_type(service.config.most_items, int)
    assert_type(service.attach(service.config.database_url), Engine)
    assert_type(service.attach(service.config.redis_url), Redis)
    assert_type(service.config.stripe_secret_key.get_secret_value(), str)
    service.config.most_itms  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def undeclared() -> None:
    service = tf.Service("orders")
    assert_type(service, tf.Service[None])
    assert_type(service.config, None)


class Typed(tf.Config):
    port: tf.Port = 8000
    timeout: tf.Duration = tf.Duration(30)
    size: tf.ByteSize = tf.ByteSize(1)
    level: tf.LogLevel = tf.LogLevel.INFO
    shards: int = tf.at_build(1)


def loaded() -> None:
    assert_type(Typed(), Typed)
    assert_type(Typed(port=1), Typed)
    assert_type(Typed.load({"SHARDS": "2"}, port=1), Typed)
    config = Typed.load()
    assert_type(config.port, int)
    assert_type(config.shards, int)
    seconds: float = config.timeout
    size: int = config.size
    level: int = config.level
    del seconds, size, level
    assert_type(tf.Duration.parse("5s"), tf.Duration)
    assert_type(tf.Secret("x").reveal(), str)
