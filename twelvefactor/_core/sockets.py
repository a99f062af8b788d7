"""The TCP sockets of this process, as the kernel's tables have them."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LISTEN, ESTABLISHED = "0A", "01"  # include/net/tcp_states.h
LOCAL, PEER, STATE, INODE = 1, 2, 3, 9  # fields of a row, proc_net_tcp
_TABLES = ("/proc/self/net/tcp", "/proc/self/net/tcp6")


def is_address(host: str) -> bool:
    """
    Whether *host* is an address and no name; a zone is allowed.

    >>> is_address("fe80::1%eth0"), is_address("db")
    (True, False)
    """
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def rows(*states: str) -> Iterator[list[str]]:
    """
    The rows of the machine's table whose state is one of *states*.

    A busy machine has tens of thousands of rows, most of them of connections that are over: only what is asked for is
    taken apart.

    Raises:
        OSError: The kernel does not tell.
    """
    asked = tuple(f" {state} " for state in states)
    for table in _TABLES:
        for line in _lines(table):
            if any(state in line for state in asked):
                row = line.split()
                if row[STATE] in states:
                    yield row


def _lines(table: str) -> list[str]:
    try:
        return Path(table).read_text(encoding="ascii").splitlines()[1:]
    except FileNotFoundError:
        return []  # no IPv6 here


def inodes() -> set[str]:
    """The inodes of the sockets that this process holds."""
    return {link[8:-1] for link in _descriptors() if link.startswith("socket:[")}


def _descriptors() -> Iterator[str]:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are enough
        try:
            yield os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115 - the link's text, not a path
        except OSError:
            continue  # the descriptor of the listing itself
