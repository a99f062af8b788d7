"""Memcached, one or several servers."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Never

from twelvefactor.backing_services.kind import CONNECT_TIMEOUT, Identity, Kind, Opening, library
from twelvefactor.backing_services.options import Options, Wrong, flag, seconds, text, whole
from twelvefactor.backing_services.url import URL, Parts

if TYPE_CHECKING:
    from pymemcache import HashClient  # type: ignore[import-untyped]  # pymemcache has no types


class MemcachedURL(URL["HashClient", Never]):
    """
    The handle of memcached servers; keys are spread over them.

    >>> MemcachedURL("memcached://a,b:11212").django()["LOCATION"]
    ['a:11211', 'b:11212']
    """

    __slots__ = ()
    kind = "twelvefactor.backing_services.memcached:KIND"
    schemes = MappingProxyType({"memcached": "memcached", "memcache": "memcached", "pymemcache": "memcached"})
    ports = MappingProxyType({"memcached": 11211})
    many_hosts = True
    options: ClassVar[Options] = Options(
        {"connect_timeout": seconds, "timeout": seconds, "key_prefix": text, "max_pool_size": whole, "no_delay": flag}
    )

    def django(self) -> dict[str, Any]:
        """The entry for Django's ``CACHES``."""
        if self.is_placeholder:
            return {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
        location = [f"unix:{self.socket}"] if self.socket else [f"{host}:{port}" for host, port in self.hosts]
        return {"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache", "LOCATION": location}

    def _authority(self, parts: Parts) -> str:
        from urllib.parse import quote

        return quote(parts.socket, safe="") if parts.socket else super()._authority(parts)

    @classmethod
    def _settled(cls, parts: Parts) -> Parts:
        if parts.username is not None or parts.password is not None:
            raise Wrong("memcached takes no user and no password here; its SASL is not supported")
        if parts.path and not parts.hosts and parts.socket is None:
            parts = parts._replace(socket=f"/{parts.path}", path=None)
        if parts.path:
            raise Wrong("a memcached URL has no path after its hosts")
        return super()._settled(parts)


class Memcached(Kind[MemcachedURL, "HashClient", Never]):
    """Memcached, by pymemcache's pooled hash client."""

    name = "memcached"
    client = "pymemcache.HashClient"

    def open(self, url: MemcachedURL, opening: Opening) -> HashClient:
        pymemcache = library("pymemcache", "memcached")
        given = {"connect_timeout": CONNECT_TIMEOUT, "timeout": CONNECT_TIMEOUT, **dict(url._parts.query)}
        if "key_prefix" in given:
            given["key_prefix"] = given["key_prefix"].encode()
        servers: list[Any] = [url.socket] if url.socket else list(url.hosts)
        # A server that came back is used again within a second; the default is a minute.
        arguments = {"use_pooling": True, "dead_timeout": 1, **given, **(opening.options or {})}
        client: HashClient = pymemcache.HashClient(servers, **arguments)
        return client

    def ping(self, client: HashClient) -> None:
        for server in client.clients.values():
            server.version()

    def identify(self, client: HashClient) -> Identity:
        version = next(iter(client.clients.values())).version()
        return Identity(self.name, version.decode())

    def close(self, client: HashClient) -> None:
        for server in client.clients.values():
            server.close()

    def forget(self, client: HashClient) -> None:
        self.close(client)  # only closes this process's copies of the descriptors; memcached has no goodbye


KIND = Memcached()
