"""RabbitMQ over AMQP 0-9-1, its URLs by RabbitMQ's own URI specification."""

from __future__ import annotations

import ssl
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from twelvefactor.backing_services.kind import CONNECT_TIMEOUT, Identity, Kind, Opening, library
from twelvefactor.backing_services.options import Options, Wrong, flag, one_of, seconds, text, whole
from twelvefactor.backing_services.url import URL, Parts, decoded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aio_pika.abc import AbstractRobustConnection
    from kombu.connection import Connection


class AMQPURL(URL["Connection", "AbstractRobustConnection"]):
    """
    The handle of a virtual host of RabbitMQ.

    >>> [AMQPURL(url).vhost for url in ("amqp://mq", "amqp://mq/", "amqp://mq/%2F", "amqp://mq/orders")]
    ['/', '', '/', 'orders']
    """

    __slots__ = ()
    kind = "twelvefactor.backing_services.rabbitmq:KIND"
    schemes = MappingProxyType({"amqp": "amqp", "amqps": "amqps", "pyamqp": "amqp"})
    ports = MappingProxyType({"amqp": 5672, "amqps": 5671})
    options: ClassVar[Options] = Options(
        {
            "auth_mechanism": one_of("plain", "amqplain", "external"),
            "cacertfile": text,
            "certfile": text,
            "channel_max": whole,
            "connection_timeout": seconds,
            "heartbeat": whole,
            "keyfile": text,
            "server_name_indication": text,
            "verify": one_of("verify_peer", "verify_none"),
            "blocked_connection_timeout": seconds,
            "fail_if_no_peer_cert": flag,
        }
    )

    @property
    def vhost(self) -> str:
        """The virtual host: ``/`` without a path, empty with a lone slash."""
        vhost: str = self._parts.path
        return vhost

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "amqps"

    def celery(self) -> str:
        """The broker URL for Celery; it holds the password, and its TLS options go to ``broker_use_ssl``."""
        if self.is_placeholder:
            return "memory://"
        return self._of(self._parts._replace(query=())).reveal()

    @classmethod
    def _read_path(cls, path: str | None) -> Any:
        if path is None:
            return "/"
        if path == "/":
            raise Wrong("the virtual host '/' is written amqp://host/%2F, or left out with its slash")
        if "/" in path:
            raise Wrong("a '/' in the virtual host is written %2F")
        return decoded(path, "the virtual host")

    def _tail(self, parts: Parts) -> tuple[str, Iterable[tuple[str, Any]]]:
        return f"/{quote(parts.path, safe='')}", parts.query

    def _tls_context(self) -> ssl.SSLContext | None:
        if not self.tls:
            return None
        given = dict(self._parts.query)
        context = ssl.create_default_context(cafile=given.get("cacertfile"))
        if given.get("verify") == "verify_none":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if "certfile" in given:
            context.load_cert_chain(given["certfile"], given.get("keyfile"))
        return context


class RabbitMQ(Kind[AMQPURL, "Connection", "AbstractRobustConnection"]):
    """RabbitMQ, by kombu, or aio-pika for coroutines."""

    name = "rabbitmq"
    client = "kombu.Connection"
    async_client = "aio_pika.RobustConnection"
    async_connects = "before the service is ready"

    def open(self, url: AMQPURL, opening: Opening) -> Connection:
        kombu = library("kombu", "rabbitmq")
        given = dict(url._parts.query)
        user, password = opening.login(url)
        arguments: dict[str, Any] = {
            "hostname": url.host,
            "port": url.port,
            "userid": user or "guest",
            "password": "guest" if user is None and password is None else password,
            "virtual_host": url.vhost,
            "transport": "pyamqp",
            "connect_timeout": given.get("connection_timeout", CONNECT_TIMEOUT),
            "heartbeat": given.get("heartbeat", 0),
            "ssl": _kombu_tls(url),
        }
        if opening.application:
            arguments["transport_options"] = {"client_properties": {"connection_name": opening.application}}
        connection: Connection = kombu.Connection(**{**arguments, **(opening.options or {})})
        if opening.credentials is not None:
            _renew(connection, url, opening)
        return connection

    def ping(self, client: Any) -> None:
        """By a connection of its own: kombu's is not for two threads."""
        with client.clone() as probe:
            probe.connect()

    def identify(self, client: Any) -> Identity:
        with client.clone() as probe:
            probe.connect()
            return _identity(probe.connection.server_properties)

    def close(self, client: Any) -> None:
        client.release()

    def forget(self, client: Any) -> None:
        client.collect()

    def open_async(self, url: AMQPURL, opening: Opening) -> AbstractRobustConnection:
        library("aio_pika", "rabbitmq", "aio-pika")
        from twelvefactor.backing_services import _aio_pika

        return _aio_pika.Connection(url, opening)

    async def connect_async(self, client: AbstractRobustConnection, url: AMQPURL, opening: Opening) -> None:
        if not getattr(client, "begun", True):
            await client.connect()

    async def ping_async(self, client: AbstractRobustConnection) -> None:
        channel = client.channel()
        await channel.initialize()
        await channel.close()

    async def identify_async(self, client: AbstractRobustConnection) -> Identity:
        transport: Any = client.transport
        return _identity(transport.connection.server_properties)

    async def close_async(self, client: AbstractRobustConnection) -> None:
        if getattr(client, "begun", True):
            await client.close()


def _kombu_tls(url: AMQPURL) -> Any:
    if not url.tls:
        return False
    given = dict(url._parts.query)
    verify = ssl.CERT_NONE if given.get("verify") == "verify_none" else ssl.CERT_REQUIRED
    named = {"ca_certs": "cacertfile", "certfile": "certfile", "keyfile": "keyfile"}
    files = {theirs: given[ours] for theirs, ours in named.items() if ours in given}
    return {"cert_reqs": verify, "server_hostname": given.get("server_name_indication", url.host), **files}


def _renew(connection: Any, url: AMQPURL, opening: Opening) -> None:
    """Ask for the credentials before each connection that kombu makes."""
    establish = connection._establish_connection

    def established() -> Any:
        connection.userid, connection.password = opening.login(url)
        return establish()

    connection._establish_connection = established


def _identity(properties: Any) -> Identity:
    product, version = (_plain(properties.get(name, "")) for name in ("product", "version"))
    return Identity(product.lower() or "amqp", version or None)


def _plain(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


KIND = RabbitMQ()
