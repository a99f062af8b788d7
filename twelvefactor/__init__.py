"""A process that imports this is a twelve-factor process, and can prove it."""

TYPE_CHECKING = False  # `typing` itself would cost more than all of this

if TYPE_CHECKING:
    from twelvefactor.admin_processes.progress import progress
    from twelvefactor.backing_services.elasticsearch import ElasticsearchURL
    from twelvefactor.backing_services.http import HTTPURL
    from twelvefactor.backing_services.kafka import KafkaURL
    from twelvefactor.backing_services.memcached import MemcachedURL
    from twelvefactor.backing_services.mongodb import MongoURL
    from twelvefactor.backing_services.mqtt import MQTTURL
    from twelvefactor.backing_services.mysql import MySQLURL
    from twelvefactor.backing_services.nats import NATSURL
    from twelvefactor.backing_services.postgresql import PostgresURL
    from twelvefactor.backing_services.rabbitmq import AMQPURL
    from twelvefactor.backing_services.redis import RedisClusterURL, RedisURL
    from twelvefactor.backing_services.s3 import S3URL
    from twelvefactor.backing_services.smtp import SMTPURL
    from twelvefactor.backing_services.sql import SQLURL
    from twelvefactor.backing_services.sqlite import SQLiteURL
    from twelvefactor.backing_services.url import URL
    from twelvefactor.build_release_run.settings import per_process
    from twelvefactor.config.placeholders import at_build
    from twelvefactor.config.secret import Secret
    from twelvefactor.config.settings import Config
    from twelvefactor.config.values import ByteSize, Duration, LogLevel, Port
    from twelvefactor.exceptions import ConfigError, FactorViolation, TwelveFactorError, URLError
    from twelvefactor.factor import Finding, Rule, Severity, Verdict
    from twelvefactor.integrations.asgi import ASGIMiddleware
    from twelvefactor.integrations.wsgi import WSGIMiddleware
    from twelvefactor.processes.marks import process_local
    from twelvefactor.service import Service
    from twelvefactor.work import Work, current_work

_HOMES = {
    "progress": "admin_processes.progress",
    "ElasticsearchURL": "backing_services.elasticsearch",
    "HTTPURL": "backing_services.http",
    "KafkaURL": "backing_services.kafka",
    "MemcachedURL": "backing_services.memcached",
    "MongoURL": "backing_services.mongodb",
    "MQTTURL": "backing_services.mqtt",
    "MySQLURL": "backing_services.mysql",
    "NATSURL": "backing_services.nats",
    "PostgresURL": "backing_services.postgresql",
    "AMQPURL": "backing_services.rabbitmq",
    "RedisClusterURL": "backing_services.redis",
    "RedisURL": "backing_services.redis",
    "S3URL": "backing_services.s3",
    "SMTPURL": "backing_services.smtp",
    "SQLURL": "backing_services.sql",
    "SQLiteURL": "backing_services.sqlite",
    "URL": "backing_services.url",
    "per_process": "build_release_run.settings",
    "at_build": "config.placeholders",
    "Secret": "config.secret",
    "Config": "config.settings",
    "ByteSize": "config.values",
    "Duration": "config.values",
    "LogLevel": "config.values",
    "Port": "config.values",
    "ConfigError": "exceptions",
    "FactorViolation": "exceptions",
    "TwelveFactorError": "exceptions",
    "URLError": "exceptions",
    "Finding": "factor",
    "Rule": "factor",
    "Severity": "factor",
    "Verdict": "factor",
    "ASGIMiddleware": "integrations.asgi",
    "WSGIMiddleware": "integrations.wsgi",
    "process_local": "processes.marks",
    "Service": "service",
    "Work": "work",
    "current_work": "work",
}

__all__ = [
    "AMQPURL",
    "HTTPURL",
    "MQTTURL",
    "NATSURL",
    "S3URL",
    "SMTPURL",
    "SQLURL",
    "URL",
    "ASGIMiddleware",
    "ByteSize",
    "Config",
    "ConfigError",
    "Duration",
    "ElasticsearchURL",
    "FactorViolation",
    "Finding",
    "KafkaURL",
    "LogLevel",
    "MemcachedURL",
    "MongoURL",
    "MySQLURL",
    "Port",
    "PostgresURL",
    "RedisClusterURL",
    "RedisURL",
    "Rule",
    "SQLiteURL",
    "Secret",
    "Service",
    "Severity",
    "TwelveFactorError",
    "URLError",
    "Verdict",
    "WSGIMiddleware",
    "Work",
    "at_build",
    "current_work",
    "per_process",
    "process_local",
    "progress",
]

if not TYPE_CHECKING:  # a checker that saw this would believe in every name

    def __getattr__(name: str):  # noqa: ANN202 - whatever the name means
        home = _HOMES.get(name)
        if home is None and name != "logs":
            raise AttributeError(f"module 'twelvefactor' has no attribute {name!r}")
        from importlib import import_module

        if home is None:
            return import_module("twelvefactor.logs")  # for tf.logs.JsonFormatter
        value = globals()[name] = getattr(import_module(f"twelvefactor.{home}"), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
