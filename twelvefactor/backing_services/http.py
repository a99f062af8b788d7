"""HTTP APIs: the base URL with its credentials."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from twelvefactor.backing_services.kind import CONNECT_TIMEOUT, Identity, Kind, Opening, library
from twelvefactor.backing_services.options import Options
from twelvefactor.backing_services.url import URL, Parts, decoded

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable

    import httpx


class HTTPURL(URL["httpx.Client", "httpx.AsyncClient"]):
    """
    The handle of an HTTP API: its base URL; what looks like a key in the query is masked.

    >>> url = HTTPURL("https://api.example.com/v1?api_key=a-key-of-the-app")
    >>> url, url.path
    (HTTPURL('https://api.example.com:443/v1?api_key=********'), '/v1')
    """

    __slots__ = ()
    kind = "twelvefactor.backing_services.http:KIND"
    schemes = MappingProxyType({"http": "http", "https": "https"})
    ports = MappingProxyType({"http": 80, "https": 443})
    options: ClassVar[Options] = Options(open=True)

    @property
    def path(self) -> str:
        """The path that every request's begins with, decoded."""
        path: str = self._parts.path
        return path

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "https"

    @property
    def base_url(self) -> str:
        """The URL without credentials and options, for any client."""
        return self._of(self._parts._replace(username=None, password=None, query=())).reveal()

    @classmethod
    def _check_stray(cls, scheme: str, found: re.Match[str]) -> None:
        """An '@' is at home in a path and a query; it strayed where what stands before them is no host and port."""
        hosts, fragment = found.group(4, 7)
        port = hosts.rpartition(":")[2] if ":" in hosts and not hosts.endswith("]") else ""
        if fragment is None and "@" not in hosts and not (port and not port.isdigit()):
            return
        super()._check_stray(scheme, found)

    @classmethod
    def _read_path(cls, path: str | None) -> Any:
        return f"/{decoded(path, 'the path')}"

    def _tail(self, parts: Parts) -> tuple[str, Iterable[tuple[str, Any]]]:
        return quote(parts.path, safe="/:@!$&'()*+,;=~"), parts.query


class HTTP(Kind[HTTPURL, "httpx.Client", "httpx.AsyncClient"]):
    """An HTTP API, by httpx. Any answer below 500 means that it is there."""

    name = "http"
    client = "httpx.Client"
    async_client = "httpx.AsyncClient"

    def open(self, url: HTTPURL, opening: Opening) -> httpx.Client:
        return library("httpx", "http").Client(**_arguments(url, opening))  # type: ignore[no-any-return]  # loaded by name

    def open_async(self, url: HTTPURL, opening: Opening) -> httpx.AsyncClient:
        return library("httpx", "http").AsyncClient(**_arguments(url, opening))  # type: ignore[no-any-return]  # loaded by name

    def ping(self, client: httpx.Client) -> None:
        _judge(client.head("", timeout=CONNECT_TIMEOUT))

    async def ping_async(self, client: httpx.AsyncClient) -> None:
        _judge(await client.head("", timeout=CONNECT_TIMEOUT))

    def identify(self, client: httpx.Client) -> Identity:
        return _identity(client.head("", timeout=CONNECT_TIMEOUT))

    async def identify_async(self, client: httpx.AsyncClient) -> Identity:
        return _identity(await client.head("", timeout=CONNECT_TIMEOUT))

    def close(self, client: httpx.Client) -> None:
        client.close()

    async def close_async(self, client: httpx.AsyncClient) -> None:
        await client.aclose()

    def forget(self, client: httpx.Client) -> None:
        _new_transport(client)

    def forget_async(self, client: httpx.AsyncClient) -> None:
        _new_transport(client)


def _arguments(url: HTTPURL, opening: Opening) -> dict[str, Any]:
    agent = {"User-Agent": opening.application} if opening.application.isascii() and opening.application else {}
    return {
        "base_url": url.base_url,
        "params": dict(url._parts.query),
        "auth": _auth(url, opening),
        "headers": agent,
        "timeout": library("httpx", "http").Timeout(30.0, connect=CONNECT_TIMEOUT),
        **(opening.options or {}),
    }


def _auth(url: HTTPURL, opening: Opening) -> Any:
    if opening.credentials is None:
        user, password = opening.login(url)
        return None if user is None and password is None else (user or "", password or "")
    httpx = library("httpx", "http")

    class Asked(httpx.Auth):  # type: ignore[misc, name-defined]  # loaded by name
        """Credentials that are asked for at each request."""

        def auth_flow(self, request: Any) -> Any:
            user, password = opening.login(url)
            yield from httpx.BasicAuth(user or "", password or "").auth_flow(request)

    return Asked()


def _judge(answer: Any) -> None:
    if answer.status_code >= 500:  # noqa: PLR2004 - HTTP's own line between "you" and "me"
        raise OSError(f"it answered {answer.status_code}")


def _identity(answer: Any) -> Identity:
    name, _, version = str(answer.headers.get("server", "")).partition(" ")[0].partition("/")
    return Identity(name.lower() or "http", version or None)


def _new_transport(client: Any) -> None:
    """A pool without the parent's connections; closing those here would end them there."""
    old = client._transport
    fresh = type(client)(base_url=client.base_url)
    pool = getattr(old, "_pool", None)
    if pool is not None:
        fresh._transport._pool._ssl_context = pool._ssl_context
        old._pool = fresh._transport._pool


KIND = HTTP()
