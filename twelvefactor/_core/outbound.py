"""
Refuse connections to anywhere but where this process may go, for a process that must not touch production.

An audit hook sees what Python's own sockets do. It does not see native code that connects by itself (libpq, librdkafka,
gRPC, uvloop) nor programs that are not Python; who starts the process must keep from it what they would need to know.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

from twelvefactor._core import sockets

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "TWELVEFACTOR_CONNECT_ONLY"
NOTES = "TWELVEFACTOR_CONNECT_NOTES"
_CONNECTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_RESOLVES = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})


class OutboundRefusedError(ConnectionRefusedError):
    """A connection that this process may not make."""


class Outbound:
    """
    Where a process may connect to.

    Args:
        allowed: ``host:port`` of each place, with commas.
        notes: A folder in which each refusal is noted, or empty.

    >>> only = Outbound("127.0.0.1:5432")
    >>> only.may_connect("127.0.0.1", 5432), only.may_connect("10.0.0.7", 5432), only.may_resolve("db.internal")
    (True, False, False)
    """

    def __init__(self, allowed: str, notes: str = "") -> None:
        self._notes = notes
        pairs = [each.rpartition(":") for each in allowed.split(",") if each]
        self._hosts = {host.strip("[]").lower() for host, _, _ in pairs}
        self._places = {(host.strip("[]").lower(), int(port)) for host, _, port in pairs}
        self._own = {"", "localhost", socket.gethostname().lower(), "0.0.0.0", "::"}  # noqa: S104 - to be asked, not bound
        self._places |= {(address, port) for host, port in tuple(self._places) for address in self._addresses(host)}

    def _addresses(self, host: str) -> set[str]:
        with contextlib.suppress(OSError):
            return {str(each[4][0]) for each in socket.getaddrinfo(host, None)}
        return set()

    def install(self) -> None:
        """From now on, and for the life of the process: an audit hook cannot be removed."""
        sys.addaudithook(self._heard)

    def may_connect(self, host: str, port: int) -> bool:
        """Whether a connection there is one of those that were allowed."""
        host = host.lower()
        return (host, port) in self._places or (host in self._own and ("127.0.0.1", port) in self._places)

    def may_resolve(self, host: str) -> bool:
        """Whether the name may be asked for: asking tells a resolver, and resolvers are outside."""
        return host.lower() in self._own | self._hosts or sockets.is_address(host)

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _CONNECTS:
            self._judge_connection(args[1])
        elif event in _RESOLVES and args[0] is not None:
            host = args[0].decode("ascii", "replace") if isinstance(args[0], bytes) else str(args[0])
            if not self.may_resolve(host):
                self._refuse(host)

    def _judge_connection(self, address: Any) -> None:
        if isinstance(address, tuple) and len(address) > 1:  # else a unix socket, or a netlink of the machine
            host, port = str(address[0]), address[1]
            if isinstance(port, int) and not self.may_connect(host.partition("%")[0], port):
                self._refuse(f"{host}:{port}")

    def _refuse(self, where: str) -> None:
        if self._notes:
            with contextlib.suppress(OSError), open(f"{self._notes}/refused-{os.getpid()}.txt", "a") as file:  # noqa: PTH123 - quick
                file.write(f"{where}\n")
        raise OutboundRefusedError(f"{where}: only what `twelvefactor check --exercise` started may be connected to")


def begin(environ: Mapping[str, str]) -> None:
    """Refuse what `TWELVEFACTOR_CONNECT_ONLY` does not allow; nothing without it."""
    if VARIABLE in environ:
        Outbound(environ[VARIABLE], environ.get(NOTES, "")).install()
