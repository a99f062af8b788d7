"""One attached backing service, and what is known of it."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from twelvefactor._core.lazy import load
from twelvefactor.backing_services._threads import thread
from twelvefactor.exceptions import PhaseError

if TYPE_CHECKING:
    import threading

    from twelvefactor.backing_services.kind import Identity, Kind, Opening
    from twelvefactor.backing_services.url import URL

PING_TIMEOUT = 2.0
_CLOSE_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Status:
    """
    What is known of one resource.

    Attributes:
        ok: Whether its last ping was answered.
        state: ``waiting`` (never answered), ``ok``, ``busy`` (its pool is exhausted) or ``lost``.
        because: Why it is not ok; empty where it is.
        engine: What it says of itself, as ``postgresql 16.3``; empty where it has not said.
        seconds: How long its last answer took, or None.
        readiness: Whether the process is unready while it is lost.
    """

    ok: bool
    state: str
    because: str = ""
    engine: str = ""
    seconds: float | None = None
    readiness: bool = False


class Resource:
    """
    One attached backing service.

    Attributes:
        name: The config's field that holds its URL, else its kind; unique in the process.
        url: Its handle.
        client: What `attach` returned.
        identity: What it said of itself when it first answered, or None.
        where: ``file:line`` of the attaching, or an empty string.
    """

    def __init__(
        self,
        name: str,
        url: URL[Any, Any],
        kind: Kind[Any, Any, Any],
        client: Any,
        opening: Opening,
        *,
        is_async: bool,
        own: bool,
        readiness: bool,
        where: str,
        plain: bool,
    ) -> None:
        self.name = name
        self.url = url
        self.kind = kind
        self.client = client
        self.opening = opening
        self.is_async = is_async
        self.own = own
        self.readiness = readiness
        self.where = where
        self.plain = plain
        self.identity: Identity | None = None
        self.answered = False
        self.status = Status(False, "waiting", "not asked yet", readiness=readiness)
        self.checked_at: float | None = None
        self.hung: threading.Thread | None = None
        self.late: BaseException | None = None
        self.attempts = 0
        self.said: set[str] = set()

    def __repr__(self) -> str:
        return f"<Resource {self.name} {self.url} {self.status.state}>"

    def ask(self) -> Identity | None:
        """One ping by a blocking client; its identity where that is not known yet."""
        if self.own:
            self.kind.knock(self.url, PING_TIMEOUT)
            return None
        self.kind.ping(self.client)
        return self.kind.identify(self.client) if self.identity is None else None

    async def ask_async(self) -> Identity | None:
        """One ping by an async client."""
        if self.own:
            await asyncio.get_running_loop().run_in_executor(None, self.kind.knock, self.url, PING_TIMEOUT)
            return None
        await self.kind.connect_async(self.client, self.url, self.opening)
        await self.kind.ping_async(self.client)
        return await self.kind.identify_async(self.client) if self.identity is None else None

    def close(self) -> BaseException | None:
        """Close the blocking client, bounded; what went wrong, or None."""
        failed: list[BaseException] = []

        def close() -> None:
            try:
                _close_own(self.client) if self.own else self.kind.close(self.client)
            except BaseException as error:  # noqa: BLE001 - the others are closed all the same
                failed.append(error)

        try:
            closing = thread(close)
        except RuntimeError:  # at the interpreter's end there are no new threads: in this one then, without a bound
            close()
            return failed[0] if failed else None
        closing.join(_CLOSE_TIMEOUT)
        if closing.is_alive():
            return TimeoutError(f"not closed in {_CLOSE_TIMEOUT:g} s")
        return failed[0] if failed else None

    async def aclose(self) -> None:
        """Close the async client, bounded."""
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            if not self.own:
                await self.kind.close_async(self.client)
                return
            closing = _close_own(self.client)
            if inspect.isawaitable(closing):
                await closing

    def forget(self) -> None:
        """In a forked child: drop the parent's connections without touching them."""
        self.hung = None
        if not self.own:
            (self.kind.forget_async if self.is_async else self.kind.forget)(self.client)


def _close_own(client: Any) -> Any:
    """Close a client that the app made, by the word that it has for it."""
    for word in ("aclose", "close", "dispose", "disconnect"):
        close = getattr(client, word, None)
        if callable(close):
            return close()
    return None


class Unbuilt:
    """What attaching gives in the build phase: a client that cannot be used, but for what only prepares."""

    def __init__(self, url: URL[Any, Any]) -> None:
        self.__url = url

    def __repr__(self) -> str:
        return f"<no client: {self.__url}>"

    def __getattr__(self, name: str) -> Any:
        if self.__url.kind and name in load(self.__url.kind).prepares:
            return lambda *_, **__: Unbuilt(self.__url)
        return self()

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        raise PhaseError(f"{self.__url} was attached while the image is built; use it only once the process runs")
