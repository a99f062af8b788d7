"""An aio-pika connection that can be made before a loop runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yarl
from aio_pika import RobustConnection

from twelvefactor.backing_services.kind import CONNECT_TIMEOUT

if TYPE_CHECKING:
    from aio_pika.abc import TimeoutType

    from twelvefactor.backing_services.kind import Opening
    from twelvefactor.backing_services.rabbitmq import AMQPURL


class Connection(RobustConnection):
    """aio-pika's robust connection, whose own ``__init__`` wants a running loop: `connect` calls it."""

    def __init__(self, url: AMQPURL, opening: Opening) -> None:
        self._handle = url
        self._opening = opening
        self.begun = self._asked_just_now = False

    def __getattr__(self, name: str) -> Any:
        if not self.__dict__.get("begun", True):
            raise RuntimeError(f"{self._handle} is not connected yet; it is by the time the service is ready")
        raise AttributeError(name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._handle}>"

    def __str__(self) -> str:
        return str(self._handle)

    @property
    def url(self) -> yarl.URL:
        """What aio-pika connects to, read by each attempt: with the credentials of now where they are a callable."""
        if self._opening.credentials is None or not self.begun:
            return self._target
        if self._asked_just_now:
            self._asked_just_now = False
            return self._target
        return _target(self._handle, self._opening)

    @url.setter
    def url(self, target: yarl.URL) -> None:
        self._target = target

    async def connect(self, timeout: TimeoutType = None) -> None:  # noqa: ASYNC109 - aio-pika's own shape
        """Connect; after a failure it can be called again. Later losses are repaired by aio-pika itself."""
        handle, opening = self._handle, self._opening
        super().__init__(
            _target(handle, opening),
            ssl_context=handle._tls_context(),
            client_properties={"connection_name": opening.application} if opening.application else None,
            **(opening.options or {}),
        )
        self.begun = self._asked_just_now = True
        try:
            await super().connect(timeout or dict(handle._parts.query).get("connection_timeout", CONNECT_TIMEOUT))
        except BaseException:
            self.begun = False
            await super().close()
            raise


def _target(url: AMQPURL, opening: Opening) -> yarl.URL:
    user, password = opening.login(url)
    query = {"heartbeat": str(heartbeat)} if (heartbeat := dict(url._parts.query).get("heartbeat")) else {}
    target = yarl.URL.build(
        scheme=url.scheme,
        user=user or "guest",
        password="guest" if user is None and password is None else password,
        host=url.host or "",
        port=url.port,
        query=query,
    )
    return target.with_path(f"/{url._tail(url._parts)[0][1:]}", encoded=True, keep_query=True)
