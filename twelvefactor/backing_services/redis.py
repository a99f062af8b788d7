"""Redis and Valkey: TCP, TLS, unix socket, Sentinel and Cluster."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic
from urllib.parse import quote

from twelvefactor.backing_services.kind import CONNECT_TIMEOUT, Identity, Kind, Opening, library
from twelvefactor.backing_services.options import Options, Wrong, flag, one_of, seconds, secret, text, whole
from twelvefactor.backing_services.url import URL, A_co, Parts, S_co, decoded, moved, userinfo

if TYPE_CHECKING:
    from collections.abc import Iterable

    import redis
    import redis.asyncio

_OPTIONS: dict[str, Any] = {
    "db": whole,
    "username": text,
    "password": secret,
    "client_name": text,
    "decode_responses": flag,
    "health_check_interval": whole,
    "max_connections": whole,
    "protocol": one_of("2", "3"),
    "retry_on_timeout": flag,
    "socket_connect_timeout": seconds,
    "socket_keepalive": flag,
    "socket_timeout": seconds,
    "ssl_ca_certs": text,
    "ssl_ca_path": text,
    "ssl_cert_reqs": one_of("none", "optional", "required", "cert_none", "cert_optional", "cert_required"),
    "ssl_certfile": text,
    "ssl_check_hostname": flag,
    "ssl_ciphers": text,
    "ssl_keyfile": text,
    "ssl_password": secret,
}
_SENTINEL_OPTIONS: dict[str, Any] = {"sentinel_username": text, "sentinel_password": secret}


class _AnyRedisURL(URL[S_co, A_co], Generic[S_co, A_co]):
    """What the URLs of one Redis and of a cluster share."""

    __slots__ = ()
    tls_schemes: ClassVar[frozenset[str]] = frozenset()

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme in self.tls_schemes

    def _client_options(self) -> dict[str, Any]:
        """Keyword arguments for redis-py, without host, port and login."""
        given = {name: value for name, value in self._parts.query if not name.startswith("sentinel_")}
        given.setdefault("socket_connect_timeout", CONNECT_TIMEOUT)
        if "protocol" in given:
            given["protocol"] = int(given["protocol"])
        if "ssl_cert_reqs" in given:
            given["ssl_cert_reqs"] = given["ssl_cert_reqs"].removeprefix("cert_")
        if self.tls:
            given["ssl"] = True
        return given

    @classmethod
    def _with_query(cls, parts: Parts, options: dict[str, Any]) -> Parts:
        if parts.scheme not in cls.tls_schemes:
            for name in options:
                if name.startswith("ssl_"):
                    raise Wrong(f"the option {name!r} needs TLS; write the scheme as {_with_tls(parts.scheme)}")
        return super()._with_query(moved(parts, options, {"username": "username", "password": "password"}), options)


class RedisURL(_AnyRedisURL["redis.Redis", "redis.asyncio.Redis"]):
    """
    The handle of a Redis or Valkey database; the path is its number, for Sentinel the service's name before it.

    >>> RedisURL("redis://cache.example.com/2").database
    2
    >>> RedisURL("unix:///run/redis.sock?db=1")
    RedisURL('unix:///run/redis.sock?db=1')
    >>> url = RedisURL("redis+sentinel://a,b:26380/orders/3")
    >>> url.service_name, url.database, url.hosts
    ('orders', 3, (('a', 26379), ('b', 26380)))
    """

    __slots__ = ()
    kind = "twelvefactor.backing_services.redis:KIND"
    schemes = MappingProxyType(
        {
            "redis": "redis",
            "valkey": "redis",
            "rediss": "rediss",
            "valkeys": "rediss",
            "unix": "unix",
            "redis+socket": "unix",
            "redis+unix": "unix",
            "redis+sentinel": "redis+sentinel",
            "rediss+sentinel": "rediss+sentinel",
        }
    )
    ports = MappingProxyType({"redis": 6379, "rediss": 6379, "redis+sentinel": 26379, "rediss+sentinel": 26379})
    tls_schemes = frozenset({"rediss", "rediss+sentinel"})
    many_hosts = True
    options = Options(_OPTIONS | _SENTINEL_OPTIONS | {"virtual_host": whole})

    @property
    def database(self) -> int:
        """The number of the database."""
        return self._parts.path[1]  # type: ignore[no-any-return]  # (service name, number)

    @property
    def service_name(self) -> str | None:
        """The name of the primary that Sentinel watches; None without Sentinel."""
        return self._parts.path[0]  # type: ignore[no-any-return]  # (service name, number)

    def celery(self) -> str:
        """The broker or result URL for Celery (kombu's spelling); it holds the password."""
        if self.is_placeholder:
            return "memory://"
        parts = self._parts
        if self.service_name is not None:
            login = userinfo(parts, clear=True)
            return ";".join(f"sentinel://{login}{host}:{port}/{self.database}" for host, port in parts.hosts)
        if parts.socket is not None:
            login = userinfo(parts, clear=True)
            return f"redis+socket://{login}{quote(parts.socket)}?virtual_host={self.database}"
        query = tuple(
            (name, f"CERT_{value.removeprefix('cert_').upper()}" if name == "ssl_cert_reqs" else value)
            for name, value in parts.query
        )
        if self.tls and "ssl_cert_reqs" not in dict(query):
            query = (*query, ("ssl_cert_reqs", "CERT_REQUIRED"))  # kombu refuses rediss:// without
        return self._of(parts._replace(query=query)).reveal()

    def django(self) -> dict[str, Any]:
        """The entry for Django's ``CACHES``."""
        if self.is_placeholder:
            return {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
        if self.service_name is not None:
            raise Wrong("Django's own Redis cache does not speak to Sentinel")
        return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": self.reveal()}

    @classmethod
    def _read_path(cls, path: str | None) -> Any:
        return path

    @classmethod
    def _with_query(cls, parts: Parts, options: dict[str, Any]) -> Parts:
        numbers = [options.pop(name) for name in ("db", "virtual_host") if name in options]
        if len(numbers) > 1 or (numbers and parts.path and parts.socket is None and parts.scheme != "unix"):
            raise Wrong("the database's number is given twice; write it in the path, or as ?db= with a socket")
        if not parts.scheme.endswith("+sentinel"):
            for name in options:
                if name.startswith("sentinel_"):
                    raise Wrong(f"the option {name!r} needs the scheme redis+sentinel")
        if numbers:
            parts = parts._replace(path=(parts.path, numbers[0]))
        return super()._with_query(parts, options)

    @classmethod
    def _settled(cls, parts: Parts) -> Parts:
        path, number = parts.path if isinstance(parts.path, tuple) else (parts.path, None)
        if parts.scheme == "unix":
            return cls._settled_socket(parts, path, number)
        parts = super()._settled(parts)
        if parts.scheme.endswith("+sentinel"):
            name, _, in_path = (path or "").partition("/")
            if not name:
                raise Wrong("a Sentinel URL names the service in its path, as in redis+sentinel://host/primary")
            return parts._replace(path=(decoded(name, "the service's name"), _number(in_path, number)))
        if len(parts.hosts) > 1:
            raise Wrong("several hosts need the scheme redis+sentinel or redis+cluster")
        parts = parts._replace(path=(None, _number(path, number)))
        return parts._replace(scheme="unix") if parts.socket is not None else parts

    @classmethod
    def _settled_socket(cls, parts: Parts, path: str | None, number: int | None) -> Parts:
        socket = parts.socket or (f"/{decoded(path, 'the socket path')}" if path and not parts.hosts else None)
        if socket is None:
            raise Wrong("a unix URL needs the socket's path after three slashes, as in unix:///run/redis.sock?db=1")
        if parts.socket is not None:
            number = _number(path, number)
        return parts._replace(hosts=(), socket=socket, path=(None, number or 0))

    def _tail(self, parts: Parts) -> tuple[str, Iterable[tuple[str, Any]]]:
        name, number = parts.path
        if parts.socket is not None:
            return quote(parts.socket), (*((("db", number),) if number else ()), *parts.query)
        if name is not None:
            return f"/{quote(name, safe='')}/{number}", parts.query
        return f"/{number}", parts.query


class RedisClusterURL(_AnyRedisURL["redis.RedisCluster", "redis.asyncio.RedisCluster"]):
    """
    The handle of a Redis Cluster, by the nodes to ask first.

    >>> RedisClusterURL("redis+cluster://a:7000,b:7001").hosts
    (('a', 7000), ('b', 7001))
    """

    __slots__ = ()
    kind = "twelvefactor.backing_services.redis:CLUSTER"
    schemes = MappingProxyType(
        {
            "redis+cluster": "redis+cluster",
            "valkey+cluster": "redis+cluster",
            "rediss+cluster": "rediss+cluster",
            "valkeys+cluster": "rediss+cluster",
        }
    )
    ports = MappingProxyType({"redis+cluster": 6379, "rediss+cluster": 6379})
    tls_schemes = frozenset({"rediss+cluster"})
    many_hosts = True
    options = Options({name: reader for name, reader in _OPTIONS.items() if name != "db"})

    @classmethod
    def _read_path(cls, path: str | None) -> Any:
        if path not in {None, "", "0"}:
            raise Wrong("a Redis Cluster has one database only; leave the path out")


def _number(path: str | None, option: int | None) -> int:
    if path is None or path == "":
        return option or 0
    if not (path.isascii() and path.isdigit() and len(path) < 6):  # noqa: PLR2004 - no server has more digits
        raise Wrong("the path is the database's number, as in redis://host/0; this is not a number")
    return int(path)


def _with_tls(scheme: str) -> str:
    return scheme.replace("redis", "rediss", 1) if scheme.startswith("redis") else "rediss"


def _provider(url: URL[Any, Any], opening: Opening) -> Any:
    """redis-py's own shape for credentials that change: asked at each connection."""
    from redis.credentials import CredentialProvider

    class Asked(CredentialProvider):
        def get_credentials(self) -> tuple[str] | tuple[str, str]:
            user, password = opening.login(url)
            return (user, password or "") if user else (password or "",)

        async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
            return self.get_credentials()

    return Asked()


def _arguments(url: _AnyRedisURL[Any, Any], opening: Opening) -> dict[str, Any]:
    given = url._client_options()
    if opening.application:
        given.setdefault(
            "client_name", "".join(c if c.isprintable() and c != " " else "-" for c in opening.application)
        )
    if opening.credentials is not None:
        given["credential_provider"] = _provider(url, opening)
    else:
        given["username"], given["password"] = opening.login(url)
    return {**given, **(opening.options or {})}


class _AnyRedis(Kind[Any, Any, Any]):
    name = "redis"
    learns_nodes = True  # by Sentinel or a cluster
    prepares = frozenset({"register_script"})  # as Dramatiq's broker does when it is made

    def ping(self, client: Any) -> None:
        client.ping()

    async def ping_async(self, client: Any) -> None:
        await client.ping()

    def identify(self, client: Any) -> Identity:
        return _identity(client.info("server"))

    async def identify_async(self, client: Any) -> Identity:
        return _identity(await client.info("server"))

    def close(self, client: Any) -> None:
        client.close()

    async def close_async(self, client: Any) -> None:
        await client.aclose()


class Redis(_AnyRedis):
    """
    One Redis, by redis-py, which notices a fork by itself.

    It is pinged by a connection of its own: the app's client tries ten times before it says what is wrong.
    """

    client = "redis.Redis"
    async_client = "redis.asyncio.Redis"

    def open(self, url: RedisURL, opening: Opening) -> redis.Redis:
        client = library("redis", "redis").Redis
        retry = library("redis.retry", "redis").Retry
        return _probed(url, opening, client, library("redis.sentinel", "redis").Sentinel, retry)  # type: ignore[no-any-return]  # one function serves both sides

    def open_async(self, url: RedisURL, opening: Opening) -> redis.asyncio.Redis:
        client = library("redis.asyncio", "redis").Redis
        retry = library("redis.asyncio.retry", "redis").Retry
        return _probed(url, opening, client, library("redis.asyncio.sentinel", "redis").Sentinel, retry)  # type: ignore[no-any-return]  # one function serves both sides

    def ping(self, client: Any) -> None:
        client.twelvefactor_probe.ping()

    async def ping_async(self, client: Any) -> None:
        await client.twelvefactor_probe.ping()

    def close(self, client: Any) -> None:
        for each in (client, client.twelvefactor_probe):
            each.close()
            each.connection_pool.disconnect()  # a Sentinel's client was given its pool and leaves it open

    async def close_async(self, client: Any) -> None:
        for each in (client, client.twelvefactor_probe):
            await each.aclose()
            await each.connection_pool.disconnect()


def _probed(url: RedisURL, opening: Opening, client: Any, sentinel: Any, retry: Any) -> Any:
    opened = _opened(url, opening, client, sentinel)
    once = {"retry": retry(library("redis.backoff", "redis").NoBackoff(), 0), "max_connections": 4}
    options = {**(opening.options or {}), **once}
    opened.twelvefactor_probe = _opened(url, replace(opening, options=options), client, sentinel)
    return opened


def _opened(url: RedisURL, opening: Opening, client: Any, sentinel: Any) -> Any:
    given = {"db": url.database, **_arguments(url, opening)}
    if url.service_name is not None:
        login = {k.removeprefix("sentinel_"): v for k, v in url._parts.query if k.startswith("sentinel_")}
        shared = {k: v for k, v in given.items() if k.startswith(("socket_", "ssl")) or k == "retry"}
        return sentinel(url.hosts, sentinel_kwargs={**shared, **login}, **given).master_for(url.service_name)
    if url.socket is not None:
        return client(unix_socket_path=url.socket, **given)
    return client(host=url.host, port=url.port, **given)


class RedisCluster(_AnyRedis):
    """A cluster of them, by redis-py's cluster client, made lazy: it asks the first nodes on first use."""

    name = "redis cluster"
    client = "redis.RedisCluster"
    async_client = "redis.asyncio.RedisCluster"

    def open(self, url: RedisClusterURL, opening: Opening) -> redis.RedisCluster:
        library("redis", "redis")
        from twelvefactor.backing_services._redis_cluster import LazyCluster

        return LazyCluster(url.hosts, _arguments(url, opening))

    def open_async(self, url: RedisClusterURL, opening: Opening) -> redis.asyncio.RedisCluster:
        library("redis", "redis")
        from redis.asyncio import RedisCluster as AsyncCluster
        from redis.asyncio.cluster import ClusterNode

        nodes = [ClusterNode(host, port or 0) for host, port in url.hosts]
        return AsyncCluster(startup_nodes=nodes, **_arguments(url, opening))


def _identity(info: dict[str, Any]) -> Identity:
    if "valkey_version" in info:
        return Identity("valkey", str(info["valkey_version"]))
    return Identity(str(info.get("server_name", "redis")), str(info.get("redis_version", "")) or None)


KIND = Redis()
CLUSTER = RedisCluster()
