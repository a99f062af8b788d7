"""Which kind a scheme means: the table of strings, then what was registered, then the installed entry points."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from twelvefactor._core.lazy import load
from twelvefactor.backing_services.options import Wrong, nearest

if TYPE_CHECKING:
    from twelvefactor.backing_services.kind import Kind
    from twelvefactor.backing_services.url import URL

GROUP = "twelvefactor.backing_services"

TABLE = {
    "postgresql": f"{GROUP}.postgresql:PostgresURL",
    "postgres": f"{GROUP}.postgresql:PostgresURL",
    "mysql": f"{GROUP}.mysql:MySQLURL",
    "mysql2": f"{GROUP}.mysql:MySQLURL",
    "mariadb": f"{GROUP}.mysql:MySQLURL",
    "sqlite": f"{GROUP}.sqlite:SQLiteURL",
    "sqlite3": f"{GROUP}.sqlite:SQLiteURL",
    "redis": f"{GROUP}.redis:RedisURL",
    "rediss": f"{GROUP}.redis:RedisURL",
    "valkey": f"{GROUP}.redis:RedisURL",
    "valkeys": f"{GROUP}.redis:RedisURL",
    "unix": f"{GROUP}.redis:RedisURL",
    "redis+socket": f"{GROUP}.redis:RedisURL",
    "redis+unix": f"{GROUP}.redis:RedisURL",
    "redis+sentinel": f"{GROUP}.redis:RedisURL",
    "rediss+sentinel": f"{GROUP}.redis:RedisURL",
    "redis+cluster": f"{GROUP}.redis:RedisClusterURL",
    "rediss+cluster": f"{GROUP}.redis:RedisClusterURL",
    "valkey+cluster": f"{GROUP}.redis:RedisClusterURL",
    "valkeys+cluster": f"{GROUP}.redis:RedisClusterURL",
    "amqp": f"{GROUP}.rabbitmq:AMQPURL",
    "amqps": f"{GROUP}.rabbitmq:AMQPURL",
    "pyamqp": f"{GROUP}.rabbitmq:AMQPURL",
    "nats": f"{GROUP}.nats:NATSURL",
    "natss": f"{GROUP}.nats:NATSURL",
    "tls": f"{GROUP}.nats:NATSURL",
    "mqtt": f"{GROUP}.mqtt:MQTTURL",
    "mqtts": f"{GROUP}.mqtt:MQTTURL",
    "kafka": f"{GROUP}.kafka:KafkaURL",
    "kafkas": f"{GROUP}.kafka:KafkaURL",
    "kafka+ssl": f"{GROUP}.kafka:KafkaURL",
    "memcached": f"{GROUP}.memcached:MemcachedURL",
    "memcache": f"{GROUP}.memcached:MemcachedURL",
    "pymemcache": f"{GROUP}.memcached:MemcachedURL",
    "mongodb": f"{GROUP}.mongodb:MongoURL",
    "mongodb+srv": f"{GROUP}.mongodb:MongoURL",
    "s3": f"{GROUP}.s3:S3URL",
    "smtp": f"{GROUP}.smtp:SMTPURL",
    "smtps": f"{GROUP}.smtp:SMTPURL",
    "submission": f"{GROUP}.smtp:SMTPURL",
    "elasticsearch": f"{GROUP}.elasticsearch:ElasticsearchURL",
    "elastic": f"{GROUP}.elasticsearch:ElasticsearchURL",
    "opensearch": f"{GROUP}.elasticsearch:ElasticsearchURL",
    "http": f"{GROUP}.http:HTTPURL",
    "https": f"{GROUP}.http:HTTPURL",
}
"""The URL class of every built-in scheme, by name, so that none is imported before it is used."""

_registered: dict[str, str | type[URL[Any, Any]]] = {}
_lock = threading.Lock()


def register(scheme: str, url: str | type[URL[Any, Any]]) -> None:
    """
    Make *scheme* mean the URL class *url* (or ``module:attribute`` of it), before the installed entry points.

    A built-in scheme keeps its meaning. Idempotent, thread-safe.

    Raises:
        ValueError: The scheme is built in, or registered with another class.
    """
    scheme = scheme.lower()
    with _lock:
        known: Any = TABLE.get(scheme, _registered.get(scheme))
        if known is not None and known != url:
            raise ValueError(f"the scheme {scheme!r} already means {known}")
        _registered[scheme] = url


def url_class(scheme: str) -> type[URL[Any, Any]]:
    """The URL class that *scheme* (lower case, with or without a driver) means; raises `Wrong` for none."""
    for name in dict.fromkeys((scheme, scheme.partition("+")[0])):
        found = TABLE.get(name) or _registered.get(name) or _installed(name)
        if found is not None:
            return load(found) if isinstance(found, str) else found
    sql = load(f"{GROUP}.sql:AnySQLURL")
    if scheme.partition("+")[0] in sql.schemes or load(f"{GROUP}.sql:is_dialect")(scheme):
        return sql  # type: ignore[no-any-return]  # loaded by name
    hint = nearest(scheme, [*TABLE, *_registered])
    raise Wrong(f"no backing service is known for the scheme {scheme!r}{hint}")


def kind_of(url: URL[Any, Any]) -> Kind[Any, Any, Any]:
    """What opens, pings and closes the service that *url* names."""
    found: Kind[Any, Any, Any] = load(url.kind)
    return found


def _installed(scheme: str) -> type[URL[Any, Any]] | None:
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP, name=scheme):
        found: type[URL[Any, Any]] = entry.load()
        return found
    return None
