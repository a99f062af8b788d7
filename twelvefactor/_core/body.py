"""
What a request brings in its body, copied as the app reads it, and never read ahead of the app.

Only where somebody asks at the begin of the work; what the app does not read is not seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Receive = Callable[[], Awaitable[Any]]

BODY = "twelvefactor.body"
"""Where the carrier has the copy."""

MOST = 65_536
"""Bytes; the rest passes uncopied."""


def copied_receive(receive: Receive, carrier: dict[str, Any]) -> Receive:
    """An ASGI *receive* that leaves the beginning of the body with *carrier*."""
    copy = carrier[BODY] = bytearray()

    async def copied() -> Any:
        message = await receive()
        if message["type"] == "http.request":
            _take(copy, message.get("body"))
        return message

    return copied


class CopiedInput:
    """A ``wsgi.input`` that leaves the beginning of what is read from it with *carrier*; else the stream it was."""

    def __init__(self, stream: Any, carrier: dict[str, Any]) -> None:
        self._stream = stream
        self._copy = carrier[BODY] = bytearray()

    def read(self, *size: Any) -> bytes:
        """Read on."""
        return self._passing(self._stream.read(*size))

    def readline(self, *size: Any) -> bytes:
        """Read a line."""
        return self._passing(self._stream.readline(*size))

    def readlines(self, *hint: Any) -> list[bytes]:
        """Read the lines."""
        return [self._passing(line) for line in self._stream.readlines(*hint)]

    def readinto(self, buffer: Any) -> int | None:
        """Read into *buffer*, where the stream can."""
        size: int | None = self._stream.readinto(buffer)
        self._passing(bytes(memoryview(buffer)[: min(size or 0, MOST)]))
        return size

    def __iter__(self) -> Iterator[bytes]:
        for line in self._stream:
            yield self._passing(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _passing(self, data: bytes) -> bytes:
        _take(self._copy, data)
        return data


def _take(copy: bytearray, data: Any) -> None:
    if data and len(copy) < MOST:
        copy += data[: MOST - len(copy)]
