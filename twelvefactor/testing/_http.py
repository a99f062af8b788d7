"""As much of an HTTP/1.1 client as a drill needs: one that tells a refusal from a reset from half an answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes


class Connection:
    """One connection; after an answer ``kept`` says whether the server keeps it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.kept = True

    async def get(self, path: str, *, keep_alive: bool = False) -> Answer:
        """
        GET *path*.

        Raises:
            EOFError: The connection ended before the whole answer came.
            OSError: It was reset.
        """
        ending = "keep-alive" if keep_alive else "close"
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: drill\r\nConnection: {ending}\r\n\r\n".encode())
        await self._writer.drain()
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        self.kept = headers.get("connection", "").lower() != "close"
        return Answer(int(head[0].split(" ")[1]), await self._body(headers))

    async def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return await self._reader.readexactly(int(headers["content-length"]))
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return await self._chunks()
        self.kept = False
        return await self._reader.read()

    async def _chunks(self) -> bytes:
        body = b""
        while True:
            size = int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16)
            chunk = await self._reader.readexactly(size + 2)
            if size == 0:
                return body
            body += chunk[:-2]

    def close(self) -> None:
        """Close it, without waiting."""
        self._writer.close()


async def connect(port: int) -> Connection:
    """A new connection to the loopback."""
    return Connection(*await asyncio.open_connection(_HOST, port))


async def get(port: int, path: str) -> Answer:
    """GET *path* on a connection of its own."""
    connection = await connect(port)
    try:
        return await connection.get(path)
    finally:
        connection.close()
