"""
The management port: a few threads of our own, which answer also while the app cannot.

Of several processes on one machine the first has the port, and another takes it over when that one is gone; port 0
gives each its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import threading
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from twelvefactor._core import threads
from twelvefactor.management.answers import Answers, Asked
from twelvefactor.management.settings import PORT, Settings

if TYPE_CHECKING:
    from twelvefactor.management.answers import Told
    from twelvefactor.service import Service

_TICK = 1.0  # seconds between two beats, and between two tries to get the port
_AT_ONCE = 8  # callers; the next waits in the backlog
_PATIENCE = 5.0  # seconds for a caller who sends nothing, or reads nothing
_LARGEST = 4096  # bytes of a body
_JOIN = 2.0


class Management:
    """
    The management port of *service*. Idempotent; a fault of it is one event and never the app's.

    Args:
        service: Which process it tells about.

    Raises:
        ConfigError: A ``TWELVEFACTOR_MANAGEMENT_…`` variable cannot be used.
    """

    def __init__(self, service: Service[Any]) -> None:
        self._service = service
        self.settings = Settings.from_environ(service.environ)
        self.answers = Answers(service, self.settings)
        self.port: int | None = None
        self._thread: threading.Thread | None = None
        self._callers = threading.BoundedSemaphore(_AT_ONCE)
        self._listener: socket.socket | None = None
        self._wake: socket.socket | None = None

    def open(self) -> None:
        """Listen, or wait until the port is free; returns at once."""
        if self._thread is not None:
            return
        try:
            self._bind(told=False)
            reader, self._wake = socket.socketpair()
            self._thread = threads.start(self._attend, reader, name="twelvefactor management")
        except Exception as error:  # noqa: BLE001 - the app is served without it
            self._service.fault("management port", error)

    def close(self) -> None:
        """Give the port back."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._wake is not None:
            self._wake.close()
        thread.join(_JOIN)
        self._drop()

    def forget(self) -> None:
        """The parent's port is not a forked child's: who holds it open keeps others from taking it over."""
        self._thread = None
        if self._wake is not None:
            self._wake.close()
        self._drop()
        self._callers = threading.BoundedSemaphore(_AT_ONCE)
        self.answers = Answers(self._service, self.settings)

    def _drop(self) -> None:
        listener, self._listener, self.port, self._wake = self._listener, None, None, None
        if listener is not None:
            listener.close()

    # -- the port

    def _bind(self, *, told: bool) -> socket.socket | None:
        """Listen; None where the port cannot be had, which is told once."""
        settings = self.settings
        try:
            family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
            listener = socket.create_server((settings.host, settings.port), family=family, backlog=64)
        except OSError as error:
            if not told:
                self._say_refused(error)
            return None
        listener.setblocking(False)
        self._listener, self.port = listener, listener.getsockname()[1]
        guarded = "token" if settings.token else "loopback" if settings.is_local else "probes only"
        self._service.event(
            "info", "twelvefactor.management.listening", host=settings.host, port=self.port, guard=guarded
        )
        return listener

    def _say_refused(self, error: OSError) -> None:
        taken = error.errno == errno.EADDRINUSE
        self._service.event(
            "info" if taken else "warning",
            "twelvefactor.management.taken" if taken else "twelvefactor.management.refused",
            host=self.settings.host,
            port=self.settings.port,
            because=error.strerror or str(error),
            hint=f"This process takes it over when it is free; {PORT}=0 gives each process a port of its own.",
        )

    # -- its thread

    def _attend(self, woken: socket.socket) -> None:
        with woken, selectors.DefaultSelector() as selector:
            selector.register(woken, selectors.EVENT_READ)
            if self._listener is not None:
                selector.register(self._listener, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(_TICK):
                    if key.fileobj is woken:
                        return
                    self._accept()
                self._service.pulse.beat()
                if self._listener is None and (listener := self._bind(told=True)) is not None:
                    selector.register(listener, selectors.EVENT_READ)

    def _accept(self) -> None:
        listener = self._listener
        if listener is None or not self._callers.acquire(timeout=_TICK):
            return
        try:
            connection, address = listener.accept()
        except OSError:  # it left again, or we are being closed
            self._callers.release()
            return
        try:
            threads.start(self._talk, connection, address, name="twelvefactor management caller")
        except RuntimeError:  # the interpreter is on its way out
            connection.close()
            self._callers.release()

    def _talk(self, connection: socket.socket, address: Any) -> None:
        callers = self._callers
        try:
            with connection, contextlib.suppress(OSError):
                connection.setblocking(True)
                _Handler(connection, address, self.answers)
        except Exception as error:  # noqa: BLE001 - a caller never takes the service down
            self._service.fault("management", error)
        finally:
            callers.release()

    def __repr__(self) -> str:
        return f"<Management {'closed' if self.port is None else self.port} in {os.getpid()}>"


class _Handler(BaseHTTPRequestHandler):
    """One caller; each connection carries one request."""

    timeout = _PATIENCE
    server_version, sys_version = "twelvefactor", ""

    def __init__(self, connection: socket.socket, address: Any, answers: Answers) -> None:
        self._answers = answers
        super().__init__(connection, address, answers)  # type: ignore[arg-type]  # it only keeps the last one

    def _answer(self) -> None:
        length = self.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > _LARGEST:
            self.send_error(413)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(length))
        asked = Asked(self.command, self.path, headers, body, str(self.client_address[0]))
        self._send(self._answers.answer(asked))

    def _send(self, told: Told) -> None:
        self.send_response(told.status)
        always = (
            ("Content-Type", told.content_type),
            ("Content-Length", str(len(told.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        )
        for name, value in (*always, *told.headers):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(told.body)

    do_GET = do_HEAD = do_PUT = do_POST = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        """Probes are no news."""
