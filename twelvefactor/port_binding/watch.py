"""Look at the port when the first request has been served: TF701 to TF703."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from twelvefactor._core.platform import container
from twelvefactor.factor import Finding
from twelvefactor.port_binding.listeners import Listener, listeners
from twelvefactor.port_binding.rules import TF701, TF702, TF703

if TYPE_CHECKING:
    from twelvefactor._core.process import Process
    from twelvefactor.work import Work

_LOOPBACK = ("127.", "::1")
_WEB_SERVERS = ("apache2", "httpd", "nginx", "unitd", "lighttpd")


class PortSensor:
    """
    TF701 and TF703: looks at what is bound when the first request has been served.

    Start-up would be too early: most servers bind after the app has started.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """Wait for the first request."""
        self._process.in_flight.observe(self)

    def remove(self) -> None:
        """Wait no more."""
        self._process.in_flight.unobserve(self)

    def begin(self, work: Work) -> None:
        """Nothing yet: the answer comes first."""

    def end(self, work: Work) -> None:
        """Look, once."""
        if work.kind != "request":
            return
        self.remove()
        bound = listeners()
        if bound is None:
            for rule in (TF701, TF703):
                self._process.evidence.could_not_look(rule, "the kernel does not tell what this process listens on")
            return
        self._judge_port(bound)
        self._judge_host(bound)

    def _judge_port(self, bound: frozenset[Listener]) -> None:
        evidence, port = self._process.evidence, self._process.environ.get("PORT")
        told = _told(bound)
        if not port:
            evidence.looked(TF701, f"PORT is not set; bound {told}")
        elif not bound:
            evidence.could_not_look(TF701, "no TCP listener in this process: in process tests, or a unix socket")
        elif port in {str(each.port) for each in bound}:
            evidence.looked(TF701, f"PORT is {port}; bound {told}")
        else:
            message = f"PORT is {port}, and the process listens on {told}"
            evidence.report(Finding(TF701, message, "PORT", evidence={"bound": told}))

    def _judge_host(self, bound: frozenset[Listener]) -> None:
        evidence, inside = self._process.evidence, container(self._process.environ)
        if not inside and self._process.deploy is None:
            evidence.could_not_look(TF703, "nobody told whether this is a container; set TWELVEFACTOR_DEPLOY")
        elif not inside:
            evidence.looked(TF703, f"nothing says that this is a container; bound {_told(bound)}")
        elif bound and all(each.host.startswith(_LOOPBACK) for each in bound):
            message = f"the process listens on {_told(bound)} only, where nobody outside the container comes in"
            evidence.report(Finding(TF703, message, "HOST"))
        elif bound:
            evidence.looked(TF703, f"bound {_told(bound)}")


def _told(bound: frozenset[Listener]) -> str:
    return ", ".join(f"{host}:{port}" for host, port in sorted(bound)) or "nothing"


class EmbeddedSensor:
    """
    TF702: looks whose program this process is, once the app is loaded.

    uWSGI and the like are processes of the app, whatever protocol they speak; a module of Apache is not.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """Look, once."""
        host = embedded_in(_program())
        if host is None:
            self._process.evidence.looked(TF702, "the program of this process is Python's or the app's own")
        else:
            message = f"the app runs inside {host}, which is the machine's and not declared"
            self._process.evidence.report(Finding(TF702, message, host))

    def remove(self) -> None:
        """Nothing to undo."""


def _program() -> str:
    try:
        return Path("/proc/self/exe").readlink().name
    except OSError:
        return Path(sys.executable or "").name


def embedded_in(program: str) -> str | None:
    """
    The web server whose process this is, by its *program* or the module that it puts into the interpreter; else None.

    >>> embedded_in("apache2"), embedded_in("python3.12")
    ('apache2', None)
    """
    if program in _WEB_SERVERS:
        return program
    module = sys.modules.get("mod_wsgi")
    return "mod_wsgi" if getattr(module, "process_group", None) is not None else None
