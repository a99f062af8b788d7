"""How a backing service is attached: one signature, for a service and for its resources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twelvefactor.backing_services.url import URL

    Credentials = Callable[[], str | tuple[str, str]]

S = TypeVar("S")
A = TypeVar("A")
C = TypeVar("C")
U = TypeVar("U", bound="URL[Any, Any]")


@dataclass(frozen=True, slots=True)
class How:
    """How something is attached, beside its URL."""

    is_async: bool
    client: Callable[[Any], Any] | None = None
    readiness: bool = False
    name: str | None = None
    credentials: Credentials | None = None
    options: Mapping[str, Any] | None = None


class Attaching:
    """What attaches backing services: typed by the URL, or by a client of the caller's own."""

    def attach_as(self, url: URL[Any, Any], how: How) -> Any:
        """`attach` and `attach_async` in one, for whoever passes *how* on; subclasses say what it does."""
        raise NotImplementedError

    @overload
    def attach(
        self,
        url: URL[S, Any],
        *,
        client: None = None,
        readiness: bool = ...,
        name: str | None = ...,
        credentials: Credentials | None = ...,
        options: Mapping[str, Any] | None = ...,
    ) -> S: ...
    @overload
    def attach(
        self,
        url: U,
        *,
        client: Callable[[U], C],
        readiness: bool = ...,
        name: str | None = ...,
        credentials: Credentials | None = ...,
        options: Mapping[str, Any] | None = ...,
    ) -> C: ...
    def attach(self, url: Any, **how: Any) -> Any:
        """
        Attach the backing service at *url* and get its client, which connects on first use. Thread-safe.

        Attaching an equal URL again in the same way gives the same client.

        Args:
            url: A resource URL of the config.
            **how: ``client`` makes a client of your own from the URL, at once; ``readiness`` turns readiness off when a
                later ping fails, as the first answer always gates it; ``name`` is what events and probes call it, the
                config's field if not given; ``credentials`` gives the password, or user and password, anew at each
                connection; ``options`` go to the default client.

        Raises:
            MissingExtraError: The client's library is not installed.
        """
        return self.attach_as(url, How(is_async=False, **how))

    @overload
    def attach_async(
        self,
        url: URL[Any, A],
        *,
        client: None = None,
        readiness: bool = ...,
        name: str | None = ...,
        credentials: Credentials | None = ...,
        options: Mapping[str, Any] | None = ...,
    ) -> A: ...
    @overload
    def attach_async(
        self,
        url: U,
        *,
        client: Callable[[U], C],
        readiness: bool = ...,
        name: str | None = ...,
        credentials: Credentials | None = ...,
        options: Mapping[str, Any] | None = ...,
    ) -> C: ...
    def attach_async(self, url: Any, **how: Any) -> Any:
        """
        `attach` for coroutines: the client is connected by the time the service is ready.

        Args:
            url: A resource URL of the config.
            **how: As in `attach`.
        """
        return self.attach_as(url, How(is_async=True, **how))
