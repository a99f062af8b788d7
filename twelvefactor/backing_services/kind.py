"""What a kind of backing service can do: open a client, ping, identify, close; one subclass per kind."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from twelvefactor._core.secrets import SECRETS
from twelvefactor.exceptions import MissingExtraError, TwelveFactorError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twelvefactor.backing_services.url import URL

U = TypeVar("U", bound="URL[Any, Any]")
S = TypeVar("S")
A = TypeVar("A")

CONNECT_TIMEOUT = 5.0
"""Seconds that a default client waits for a connection where its URL says nothing."""


def library(module: str, extra: str, distribution: str | None = None) -> Any:
    """Import *module* now; where it is not installed, say which extra has it."""
    try:
        return import_module(module)
    except ModuleNotFoundError:
        pass
    raise MissingExtraError(extra, distribution)


@dataclass(frozen=True, slots=True)
class Identity:
    """
    What a service says of itself.

    >>> str(Identity("postgresql", "16.3")), Identity("postgresql", "16.3").major
    ('postgresql 16.3', '16')
    """

    engine: str
    version: str | None = None

    @property
    def major(self) -> str | None:
        """The version up to its first dot."""
        return self.version.partition(".")[0] if self.version else None

    def __str__(self) -> str:
        return f"{self.engine} {self.version}" if self.version else self.engine


@dataclass(frozen=True, slots=True)
class Opening:
    """
    How a client is to be opened, beside what its URL says.

    Attributes:
        credentials: Gives the password, or (user, password), anew at each connection; for short-lived tokens.
        options: Keyword arguments for the client, over our own.
        application: The service's name, for engines that show who is connected.
    """

    credentials: Callable[[], str | tuple[str, str]] | None = None
    options: Mapping[str, Any] | None = None
    application: str = ""

    def login(self, url: URL[Any, Any]) -> tuple[str | None, str | None]:
        """The user and the password to connect with now."""
        if self.credentials is None:
            return url.username, url._parts.password
        given = self.credentials()
        user, password = (url.username, given) if isinstance(given, str) else given
        if password:
            SECRETS.register(password, slot=str(url))  # of a token that changes, the last few stay masked
        return user, password


class Kind(Generic[U, S, A]):
    """
    One kind of backing service. Subclass it, override what the kind has, name it in the URL class's ``kind``.

    A method either does its work or raises whatever the client raises; bounding, retrying and reporting are done
    by `Resources`. Nothing here connects before it is used.

    Attributes:
        name: The kind as people call it.
        client: The default client of `attach`, by dotted name; empty where there is none.
        async_client: The default client of `attach_async`; empty where there is none.
        connects: When a default client connects.
        async_connects: When the async one does.
        stand_in: Whether this kind itself is a stand-in for a server, as SQLite is.
        learns_nodes: Whether its client connects to nodes that the service tells it of.
        prepares: Methods of its client that do not connect, and are called as a module is imported: allowed in a build.
    """

    name: str = ""
    client: str = ""
    async_client: str = ""
    connects: str = "on first use"
    async_connects: str = "on first use"
    stand_in: bool = False
    learns_nodes: bool = False
    prepares: frozenset[str] = frozenset()

    # For code that waits

    def open(self, url: U, opening: Opening) -> S:
        """A client for *url*, not connected."""
        self._missing(url, "attach", "attach_async")

    def ping(self, client: S) -> None:
        """Ask the service something small; raise where it does not answer."""
        raise NotImplementedError

    def identify(self, client: S) -> Identity:
        """What the service says of itself."""
        return Identity(self.name)

    def close(self, client: S) -> None:
        """Close every connection; idempotent."""
        raise NotImplementedError

    def forget(self, client: S) -> None:
        """In a forked child: drop the parent's connections without touching them."""

    # For coroutines

    def open_async(self, url: U, opening: Opening) -> A:
        """An async client for *url*, not connected; needs no running loop."""
        self._missing(url, "attach_async", "attach")

    async def connect_async(self, client: A, url: U, opening: Opening) -> None:
        """Connect *client*, where its kind wants that before its first use; idempotent."""

    async def ping_async(self, client: A) -> None:
        """Ask the service something small; raise where it does not answer."""
        raise NotImplementedError

    async def identify_async(self, client: A) -> Identity:
        """What the service says of itself."""
        return Identity(self.name)

    async def close_async(self, client: A) -> None:
        """Close every connection; idempotent."""
        raise NotImplementedError

    def forget_async(self, client: A) -> None:
        """In a forked child: drop the parent's connections without touching them."""

    # What they share

    def addresses(self, url: U) -> tuple[tuple[str, int], ...]:
        """Where the service listens, for the rules that judge connections."""
        return tuple((host, port) for host, port in url.hosts if port is not None)

    def busy(self, client: S) -> str:
        """Why a ping would have to queue behind the app (its pool is exhausted); empty where it would not."""
        return ""

    def knock(self, url: U, timeout: float) -> None:
        """Reach the service's socket without speaking to it; for clients that only the app knows how to use."""
        if url.socket is not None:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(timeout)
                connection.connect(self.socket_file(url))
            return
        for host, port in self.addresses(url):
            socket.create_connection((host, port), timeout).close()
            return

    def socket_file(self, url: U) -> str:
        """The unix socket that *url* names."""
        return url.socket or ""

    def _missing(self, url: U, asked: str, other: str) -> NoReturn:
        has = f"; it has {other}" if (self.async_client if other == "attach_async" else self.client) else ""
        raise TwelveFactorError(f"{asked}({url}): {self.name} has no such client by default{has}, or pass client=")
