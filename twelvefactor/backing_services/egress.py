"""TF401: the app reaches an address that no attached resource and no declared egress names."""

from __future__ import annotations

import ipaddress
import math
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from twelvefactor._core import audit, sockets
from twelvefactor.backing_services._threads import thread
from twelvefactor.backing_services.resources import resources_of
from twelvefactor.backing_services.rules import TF401
from twelvefactor.factor import Finding
from twelvefactor.work import current_work, nothing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

    from twelvefactor._core.process import Process
    from twelvefactor.work import Work

_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_TELEMETRY = {
    "opentelemetry",
    "sentry_sdk",
    "ddtrace",
    "datadog",
    "prometheus_client",
    "newrelic",
    "elasticapm",
    "statsd",
}
_TELEMETRY_VARIABLES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "SENTRY_DSN",
    "DD_TRACE_AGENT_URL",
)
_RECENT = 10.0
_EVERY = 5.0
_MOST = 4096
"""Peers that are remembered; a crawler has more, and then some are looked at again."""
_DNS = 53


class _Sighting:
    """A connection that may be a finding."""

    __slots__ = ("name", "port", "where", "who", "work")

    def __init__(self, name: str, port: int, where: str, who: str) -> None:
        work = current_work()
        self.name, self.port, self.where, self.who = name, port, where, who
        self.work = None if work is None else work.id


class Egress:
    """
    Listen for name look-ups and connections of Python code, and look through the process's own sockets for the rest.

    A connection is judged by the app's innermost frame and by the name that was resolved for it; one that a client
    written in C made has no frame and is judged by its address. Unix sockets, loopback and link-local are not judged.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._names: list[tuple[float, int, str]] = []
        self._seen: set[tuple[str, int]] = set()
        self._judged: set[tuple[str, int]] = set()
        self._resolved: dict[str, frozenset[str]] = {}
        self._looked_at = -math.inf
        self._quiet = threading.local()
        self._proxied = False

    def install(self) -> None:
        """Listen, unless a proxy hides what is reached."""
        proxy = next((name for name in _PROXIES if self._process.environ.get(name)), None)
        self._proxied = proxy is not None
        if proxy is not None:
            self._process.evidence.could_not_look(TF401, f"{proxy} is set: a proxy hides what the app reaches")
            return
        audit.listen(self._hear, "socket.getaddrinfo", "socket.connect")
        self._process.in_flight.observe(self)
        sees = "connections by Python code, and by C code as far as /proc shows them"
        if "uvloop" in sys.modules:
            sees += "; uvloop's own only while they are open"
        self._process.evidence.looked(TF401, at=sees)

    def remove(self) -> None:
        """Listen no more."""
        audit.unlisten(self._hear)
        self._process.in_flight.unobserve(self)

    begin = staticmethod(nothing)

    def end(self, work: Work) -> None:
        """Now and then, look at the sockets that no Python code connected."""
        if work.started - self._looked_at >= _EVERY:
            self._looked_at = work.started
            thread(self._look_through_sockets)  # reads tables that may be long

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if getattr(self._quiet, "on", False):
            return
        self._quiet.on = True  # what we resolve ourselves is not the app's
        try:
            if event == "socket.getaddrinfo":
                self._note(args[0])
            else:
                self._connect(args[0], args[1])
        except Exception as error:  # noqa: BLE001 - an audit hook that raises stops the act
            self._process.fault("watching connections", error)
        finally:
            self._quiet.on = False

    def _note(self, host: Any) -> None:
        name = host.decode(errors="replace") if isinstance(host, bytes) else host
        if isinstance(name, str):
            self._names = [*self._names[-15:], (time.monotonic(), threading.get_ident(), name.lower().rstrip("."))]

    def _connect(self, connection: Any, address: Any) -> None:
        if not isinstance(address, tuple) or connection.family not in {socket.AF_INET, socket.AF_INET6}:
            return
        host, port = str(address[0]), int(address[1])
        if len(self._seen) > _MOST:
            self._seen.clear()
        self._seen.add((_plain(host), port))
        if port == _DNS or _is_near(host):
            return
        frame, through = self._blame()
        if frame is None or through & _TELEMETRY or self._learnt(through):
            return
        name = self._name_for(host)
        if self._allows(name, host, port):
            return
        sighting = _Sighting(name, port, self._process.app_code.where(frame), f"{frame.f_code.co_qualname} reaches")
        if sockets.is_address(name):
            thread(self._judge_address, sighting)  # asks for names, and whoever connects must not wait for that
        else:
            self._report(sighting)

    def _judge_address(self, sighting: _Sighting) -> None:
        """Report an address unless an allowed host has it."""
        self._quiet.on = True  # what we resolve ourselves is not the app's
        try:
            if not any(sighting.name in self._addresses(each) for each in self._hosts()):
                self._report(sighting)
        except Exception as error:  # noqa: BLE001 - nothing of ours ends a thread of the app's process
            self._process.fault("judging an address", error)

    def _blame(self) -> tuple[FrameType | None, set[str]]:
        """The app's innermost frame, and the libraries between it and the connection."""
        through: set[str] = set()
        frame: FrameType | None = sys._getframe(3)
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if self._process.app_code.owns(frame.f_code.co_filename, module):
                return frame, through
            through.add(module.partition(".")[0])
            frame = frame.f_back
        return None, through

    def _learnt(self, through: set[str]) -> bool:
        """Whether an attached client that learns its nodes from its service made the connection."""
        for resource in resources_of(self._process) or ():
            if resource.kind.learns_nodes and resource.kind.client.partition(".")[0] in through:
                return True
        return False

    def _name_for(self, host: str) -> str:
        """The name that was resolved for a connection to *host*: by this thread, else lately by any."""
        if not sockets.is_address(host):
            return host.lower().rstrip(".")
        since, here = time.monotonic() - _RECENT, threading.get_ident()
        recent = [(thread, name) for when, thread, name in reversed(self._names) if when >= since]
        own = [name for thread, name in recent if thread == here]
        if own:
            return own[0]
        allowed = self._hosts()
        known = [name for _, name in recent if name in allowed]
        return (known or [name for _, name in recent] or [host])[0]

    def _allows(self, name: str, host: str, port: int) -> bool:
        hosts = self._hosts()
        if name in hosts or host in hosts or f"{name}:{port}" in hosts:
            return True
        return any(each.startswith("*.") and name.endswith(each[1:]) for each in hosts)

    def _hosts(self) -> frozenset[str]:
        """Every host that is attached, declared as egress, or takes telemetry."""
        declared = self._process.declaration.get("egress", ())
        attached = [host for each in resources_of(self._process) or () for host in _attached_hosts(each)]
        return frozenset(host.lower() for host in (*attached, *declared, *self._telemetry()))

    def _telemetry(self) -> Iterable[str]:
        for variable in _TELEMETRY_VARIABLES:
            host = urlsplit(self._process.environ.get(variable, "")).hostname
            if host:
                yield host
        agent = self._process.environ.get("DD_AGENT_HOST")
        if agent:
            yield agent

    def _addresses(self, host: str) -> frozenset[str]:
        """What *host* resolves to, asked once."""
        found = self._resolved.get(host)
        if found is None:
            try:
                found = frozenset(_plain(str(each[4][0])) for each in socket.getaddrinfo(host, None))
            except OSError:
                found = frozenset()
            self._resolved[host] = found
        return found

    def _look_through_sockets(self) -> None:
        """Clients written in C connect unseen by Python; their sockets are in the process's own tables."""
        self._quiet.on = True
        try:
            for host, port in sorted(_peers() - self._judged - self._seen):
                self._judged.add((host, port))
                if not _is_near(host) and not self._allows(host, host, port):
                    self._judge_address(_Sighting(host, port, "", "code written in C reaches"))
        except OSError as error:
            self._process.evidence.could_not_look(TF401, f"the process's sockets are not readable: {error.strerror}")
        except Exception as error:  # noqa: BLE001 - nothing of ours ends a thread of the app's process
            self._process.fault("looking through the process's sockets", error)

    def _report(self, sighting: _Sighting) -> None:
        target = f"{sighting.name}:{sighting.port}"
        message = f"{sighting.who} {target}, which is neither attached nor declared as egress"
        self._process.evidence.report(Finding(TF401, message, culprit=target, where=sighting.where, work=sighting.work))


def _attached_hosts(resource: Any) -> Iterable[str]:
    for host, _ in resource.kind.addresses(resource.url):
        yield host
    if resource.kind.name == "s3" and resource.url.host is None:
        yield "*.amazonaws.com"


def _plain(host: str) -> str:
    """An address without its zone, and an IPv4 one without its IPv6 clothes."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _is_near(host: str) -> bool:
    if host in {"localhost", ""}:
        return True
    try:
        address = ipaddress.ip_address(_plain(host))
    except ValueError:
        return False
    return address.is_loopback or address.is_link_local or address.is_unspecified


def _peers() -> set[tuple[str, int]]:
    """Who this process is connected to, by connections that it opened."""
    own = sockets.inodes()
    rows = list(sockets.rows(sockets.LISTEN, sockets.ESTABLISHED))
    listening = {_port(row[sockets.LOCAL]) for row in rows if row[sockets.STATE] == sockets.LISTEN}
    return {
        (_address(row[sockets.PEER]), _port(row[sockets.PEER]))
        for row in rows
        if row[sockets.STATE] == sockets.ESTABLISHED
        and row[sockets.INODE] in own
        and _port(row[sockets.LOCAL]) not in listening
    }


def _port(field: str) -> int:
    return int(field.rpartition(":")[2], 16)


def _address(field: str) -> str:
    raw = bytes.fromhex(field.rpartition(":")[0])
    words = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))  # each word in the machine's order
    return _plain(str(ipaddress.ip_address(words)))
