"""NATS; its client is for coroutines only."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Never

from twelvefactor.backing_services.kind import CONNECT_TIMEOUT, Identity, Kind, Opening, library
from twelvefactor.backing_services.options import Options, Wrong, flag, seconds, text
from twelvefactor.backing_services.url import URL, Parts

if TYPE_CHECKING:
    from nats.aio.client import Client


class NATSURL(URL[Never, "Client"]):
    """
    The handle of a NATS server or cluster; a user without a password is a token, as NATS itself reads it.

    >>> NATSURL("nats://a,b:4223").hosts
    (('a', 4222), ('b', 4223))
    """

    __slots__ = ()
    kind = "twelvefactor.backing_services.nats:KIND"
    schemes = MappingProxyType({"nats": "nats", "tls": "tls", "natss": "tls"})
    ports = MappingProxyType({"nats": 4222, "tls": 4222})
    many_hosts = True
    options: ClassVar[Options] = Options(
        {"connect_timeout": seconds, "ping_interval": seconds, "no_echo": flag, "name": text, "cafile": text}
    )

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "tls"

    @classmethod
    def _settled(cls, parts: Parts) -> Parts:
        if parts.path:
            raise Wrong("a nats URL has no path")
        if parts.username is not None and parts.password is None:
            parts = parts._replace(username=None, password=parts.username)  # a token is a secret
        return super()._settled(parts._replace(path=None))


class NATS(Kind[NATSURL, Never, "Client"]):
    """NATS, by nats-py."""

    name = "nats"
    learns_nodes = True
    async_client = "nats.aio.client.Client"
    async_connects = "before the service is ready"

    def open_async(self, url: NATSURL, opening: Opening) -> Client:
        client: Client = library("nats.aio.client", "nats", "nats-py").Client()
        return client

    async def connect_async(self, client: Client, url: NATSURL, opening: Opening) -> None:
        if client.is_connected or client.is_reconnecting:
            return
        given = dict(url._parts.query)
        timeout = given.get("connect_timeout", CONNECT_TIMEOUT)
        await client.connect(
            servers=[_server(url, host, port) for host, port in url.hosts],
            name=given.get("name") or opening.application or None,
            connect_timeout=timeout,
            ping_interval=given.get("ping_interval", 30),
            no_echo=given.get("no_echo", False),
            allow_reconnect=True,
            max_reconnect_attempts=1 if client._server_info == {} else -1,
            error_cb=_quiet,
            **_login(url, opening),
            **(opening.options or {}),
        )
        client.options["max_reconnect_attempts"] = -1  # once connected, it comes back however long it takes

    async def ping_async(self, client: Client) -> None:
        if not client.is_connected:
            raise ConnectionError("it is reconnecting")
        await client.flush()

    async def identify_async(self, client: Client) -> Identity:
        return Identity(self.name, str(client._server_info.get("version", "")) or None)

    async def close_async(self, client: Client) -> None:
        if client.is_connected or client.is_reconnecting:
            await client.close()


async def _quiet(error: Exception) -> None:
    """The watch reports what is lost; nats-py's own default logs it at every attempt."""


def _server(url: NATSURL, host: str, port: int | None) -> str:
    return f"{url.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _login(url: NATSURL, opening: Opening) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if url.tls:
        import ssl

        arguments["tls"] = ssl.create_default_context(cafile=dict(url._parts.query).get("cafile"))
    if opening.credentials is not None:
        return {**_asked(url, opening), **arguments}
    user, password = opening.login(url)
    if user is not None:
        return {"user": user, "password": password or "", **arguments}
    return {"token": password, **arguments} if password is not None else arguments


def _asked(url: NATSURL, opening: Opening) -> dict[str, Any]:
    """What nats-py asks whenever it connects: a user and a password where the first answer has both, else a token."""
    first = [opening.login(url)]
    last = first[0]

    def login() -> tuple[str | None, str | None]:
        nonlocal last
        last = first.pop() if first else opening.login(url)
        return last

    if last[0] is None:
        return {"token": lambda: login()[1] or ""}
    return {"user": lambda: login()[0] or "", "password": lambda: last[1] or ""}  # asked in this order, once each


KIND = NATS()
