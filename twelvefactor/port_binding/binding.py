"""Where a web process listens, as the environment tells: `PORT`, `HOST`, `WEB_CONCURRENCY` and their like."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twelvefactor._core.platform import platform
from twelvefactor.exceptions import ConfigError, Problem, ResourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

DEFAULT_PORT = 8000
_MOST = 65535
_FIRST_FD = 3  # sd_listen_fds(3): the first descriptor that is passed in
_BACKLOG = 2048
_DUAL_STACK = ("heroku", "kubernetes", "fly", "railway")  # their routers may come in on IPv6
_ACTIVATION = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


@dataclass(frozen=True)
class Binding:
    """
    Where to listen, with how many processes, and whom to believe.

    Attributes:
        host: An address, or a path of a unix socket after ``unix:``.
        port: The TCP port.
        workers: How many processes accept.
        forwarded_allow_ips: Whose ``X-Forwarded-…`` headers are believed.
        descriptors: Sockets that the service manager passed in; they win over host and port.
    """

    host: str
    port: int = DEFAULT_PORT
    workers: int = 1
    forwarded_allow_ips: str = "127.0.0.1,::1"
    descriptors: tuple[int, ...] = ()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Binding:
        """
        What *environ* tells.

        Raises:
            ConfigError: Every variable that cannot be used, at once.

        >>> Binding.from_environ({"PORT": "8123", "HOST": "0.0.0.0"}).told
        '0.0.0.0:8123'
        """
        problems: list[Problem] = []
        port = _number(environ, "PORT", DEFAULT_PORT, (0, _MOST), problems)
        workers = _number(environ, "WEB_CONCURRENCY", 1, (1, None), problems)
        host = environ.get("HOST") or _default_host(environ)
        _check_host(host, problems)
        if problems:
            raise ConfigError(problems)
        believed = environ.get("FORWARDED_ALLOW_IPS") or cls.forwarded_allow_ips
        return cls(host, port, workers, believed, activated(environ))

    @property
    def unix(self) -> str | None:
        """The path of the unix socket, or None."""
        return self.host.removeprefix("unix:") if self.host.startswith("unix:") else None

    @property
    def told(self) -> str:
        """The address, as people write it."""
        if self.descriptors:
            return f"descriptor {', '.join(map(str, self.descriptors))} of the service manager"
        if self.unix is not None:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def open(self) -> list[socket.socket]:
        """
        The bound, listening sockets, inheritable by workers; a wildcard IPv6 address takes IPv4 too.

        Raises:
            ConfigError: The port is privileged, or the address is not one of this machine.
            ResourceUnavailable: Somebody listens there already.
        """
        if self.descriptors:
            return [_inherited(descriptor) for descriptor in self.descriptors]
        try:
            opened = self._unix() if self.unix is not None else self._tcp()
        except OSError as error:
            raise self._refused(error) from None
        opened.set_inheritable(True)
        return [opened]

    def _tcp(self) -> socket.socket:
        if ":" not in self.host:
            family = socket.AF_INET
            return socket.create_server((self.host, self.port), family=family, backlog=_BACKLOG)
        dual = self.host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(
            (self.host, self.port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=dual
        )

    def _unix(self) -> socket.socket:
        assert self.unix is not None
        _remove_stale(self.unix)
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            opened.bind(self.unix)
            opened.listen(_BACKLOG)
        except OSError:
            opened.close()
            raise
        return opened

    def _refused(self, error: OSError) -> Exception:
        name = "HOST" if self.unix is not None or error.errno == errno.EADDRNOTAVAIL else "PORT"
        if error.errno == errno.EADDRINUSE:
            return ResourceUnavailable(f"{name}: {self.told} is taken: another process listens there already")
        if error.errno in (errno.EACCES, errno.EPERM):
            wrong = f"{self.told} may not be bound by this user"
            return ConfigError([Problem((name,), wrong, hint="Ports below 1024 are privileged; choose a higher one.")])
        return ConfigError([Problem((name,), f"{self.told} cannot be bound: {error.strerror or error}")])


def _number(
    environ: Mapping[str, str], name: str, default: int, bounds: tuple[int, int | None], problems: list[Problem]
) -> int:
    text = (environ.get(name) or "").strip()
    least, most = bounds
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) < least or (most is not None and int(text) > most):
        expected = f"a number from {least} to {most}" if most else f"a number of {least} or more"
        problems.append(Problem((name,), "cannot be used", expected=expected))
        return default
    return int(text)


def _default_host(environ: Mapping[str, str]) -> str:
    where = platform(environ)
    if where is None or where.name == "systemd":
        return "127.0.0.1"
    return "::" if where.name in _DUAL_STACK and socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - the platform routes to it


def _check_host(host: str, problems: list[Problem]) -> None:
    if host == "localhost" or (host.startswith("unix:") and len(host) > len("unix:")):
        return
    try:
        ipaddress.ip_address(host)
    except ValueError:
        expected = "an IP address, such as 0.0.0.0 or ::, or unix:/path"
        problems.append(Problem(("HOST",), "is no address to listen on", expected=expected))


def activated(environ: Mapping[str, str]) -> tuple[int, ...]:
    """The descriptors that the service manager passed to this process, sd_listen_fds(3); none for another one's."""
    count, pid = environ.get("LISTEN_FDS", ""), environ.get("LISTEN_PID", "")
    if not count.isdigit() or pid != str(os.getpid()):
        return ()
    return tuple(range(_FIRST_FD, _FIRST_FD + int(count)))


def forget_activation(environ: MutableMapping[str, str]) -> None:
    """So that no child takes the sockets for its own; to be called once they are used."""
    for name in _ACTIVATION:
        environ.pop(name, None)


def _inherited(descriptor: int) -> socket.socket:
    """The socket behind *descriptor*, of whatever family it is."""
    try:
        opened = socket.socket(fileno=descriptor)
    except OSError as error:
        wrong = f"names descriptor {descriptor}, which is no socket: {error.strerror}"
        raise ConfigError([Problem(("LISTEN_FDS",), wrong)]) from None
    opened.set_inheritable(True)
    return opened


def _remove_stale(path: str) -> None:
    """A socket file that nobody listens on any more was left by a process that was killed."""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        os.unlink(path)  # noqa: PTH108 - a path of the environment, as it is
    except OSError:
        return  # not there, or not a socket: binding will tell
    finally:
        probe.close()
