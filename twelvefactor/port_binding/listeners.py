"""What this process listens on, as the kernel tells it."""

from __future__ import annotations

import sys
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from twelvefactor._core import sockets

if TYPE_CHECKING:
    from collections.abc import Iterator


class Listener(NamedTuple):
    """An address on which this process accepts connections."""

    host: str
    port: int


def listeners() -> frozenset[Listener] | None:
    """
    The TCP addresses on which this process listens, read from the kernel; None where it cannot be asked.

    An inherited socket counts: whoever holds the descriptor can accept on it.
    """
    try:
        return frozenset(_address(row[sockets.LOCAL]) for row in _listening())
    except OSError:
        return None


def waiting() -> int:
    """
    How many connections wait to be accepted on the sockets on which this process listens; 0 where nobody can tell.

    A server that closes its socket resets them.
    """
    try:
        return sum(int(row[4].partition(":")[2], 16) for row in _listening())
    except OSError:
        return 0


def _listening() -> Iterator[list[str]]:
    """The kernel's rows of the sockets on which this process listens."""
    own = sockets.inodes()
    return (row for row in sockets.rows(sockets.LISTEN) if row[sockets.INODE] in own)


def _address(text: str) -> Listener:
    """
    The address that the kernel writes as hex words in host byte order.

    >>> _address("0100007F:1F90")
    Listener(host='127.0.0.1', port=8080)
    """
    host, _, port = text.partition(":")
    words = [int(host[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(host), 8)]
    return Listener(str(ip_address(b"".join(words))), int(port, 16))
