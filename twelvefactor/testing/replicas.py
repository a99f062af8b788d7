"""
Share nothing, proved: the same requests against one process, and against two in turn behind one URL.

What passes on one process and fails on two is sticky state: the second process does not have what the first one kept.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from twelvefactor.testing.servers import ANSWER_WITHIN, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length", "host"})


class Asked(NamedTuple):
    """One request that went through, and which process answered."""

    method: str
    path: str
    replica: int
    status: int

    def __str__(self) -> str:
        return f"{self.method} {self.path} -> {self.status} (process {self.replica + 1})"


@dataclass(frozen=True)
class Sticky:
    """
    A scenario that one process passes and two do not.

    Attributes:
        error: What failed on two processes.
        earlier: The last request before the failing one that another process answered; None where there is none.
        failing: The last request before the failure.
    """

    error: BaseException
    earlier: Asked | None
    failing: Asked | None

    def __str__(self) -> str:
        return f"sticky state: passes on one process and fails on two; first {self.earlier}, then {self.failing}"


class Replicas:
    """
    Several real processes of one app behind one URL, asked in turn, request by request.

    Args:
        command: As of `Server`; ``{port}`` becomes a free port.
        count: How many processes.
        server: What `Server` takes beside the command.

    Raises:
        ResourceUnavailable: One of them did not start.
    """

    def __init__(self, command: Sequence[str], count: int = 2, **server: Any) -> None:
        self.servers = [Server(command, **server) for _ in range(count)]
        self.asked: list[Asked] = []
        self._restart_after_first = False
        self._turn = itertools.count()
        self._lock = threading.Lock()
        self._front: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where they are asked, without a slash at the end."""
        return "" if self._front is None else f"http://127.0.0.1:{self._front.server_address[1]}"

    def start(self) -> Self:
        """Start them all, and the front that asks them in turn."""
        with contextlib.ExitStack() as undo:
            for server in self.servers:
                undo.enter_context(server)
            undo.pop_all()
        handler = type("Front", (_Front,), {"replicas": self})
        self._front = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._front.daemon_threads = True
        threading.Thread(target=self._front.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop the front and every process. Idempotent."""
        front, self._front = self._front, None
        if front is not None:
            front.shutdown()
            front.server_close()
        for server in self.servers:
            with contextlib.suppress(Exception):  # one that is gone already must not keep the others
                server.stop()

    def restart(self, replica: int = 0) -> None:
        """Kill one of them, as a platform does, and start it again: what it kept is lost."""
        self.servers[replica].kill()
        self.servers[replica].start()

    def begin(self, *, restart: bool = False) -> None:
        """A test begins: with *restart*, the process that answers its first request is killed and started again."""
        with self._lock:
            self.asked.clear()
            self._restart_after_first = restart

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Ask the next in turn."""
        with self._lock:
            if self._restart_after_first and self.asked:
                self._restart_after_first = False
                self.restart(self.asked[0].replica)
            replica = next(self._turn) % len(self.servers)
        connection = http.client.HTTPConnection("127.0.0.1", self.servers[replica].port, timeout=ANSWER_WITHIN)
        try:
            connection.request(method, path, body=body or None, headers=headers)
            answer = connection.getresponse()
            read = answer.read()
        finally:
            connection.close()
        self.asked.append(Asked(method, path.partition("?")[0], replica, answer.status))
        return answer, read

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class _Front(BaseHTTPRequestHandler):
    """Takes a request and lets the next process answer it; a connection is used once, so that turns are by request."""

    replicas: Replicas
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        try:
            answer, read = self.replicas.forward(self.command, self.path, headers, body)
        except OSError as error:
            self.send_error(502, f"the process did not answer: {type(error).__name__}")
            return
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(read)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(read)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815 - the base's protocol

    def log_message(self, *_: Any) -> None:
        """The processes say what happens."""


def share_nothing(
    command: Sequence[str], scenario: Callable[[str], object], *, restart: bool = False, **server: Any
) -> Sticky | None:
    """
    Run *scenario* with the URL of one process, then with that of two in turn.

    Args:
        command: As of `Server`.
        scenario: Makes requests below the URL that it is given and raises where an answer is wrong.
        restart: Run it once more after one of the two was killed and started again.
        server: What `Server` takes beside the command.

    Returns:
        None where both pass, else what failed on two, with the pair of requests that shows it.

    Raises:
        Exception: What *scenario* raises on one process: then it is simply wrong.
    """
    with Replicas(command, 1, **server) as one:
        scenario(one.url)
    with Replicas(command, 2, **server) as two:
        try:
            scenario(two.url)
            if restart:
                two.restart()
                scenario(two.url)
        except Exception as error:  # noqa: BLE001 - whatever the scenario raises is its verdict
            return sticky(error, two.asked)
    return None


def sticky(error: BaseException, asked: list[Asked]) -> Sticky:
    """What *error* shows, with the pair of requests among those that were *asked*."""
    failing = asked[-1] if asked else None
    earlier = next((each for each in reversed(asked) if failing is not None and each.replica != failing.replica), None)
    return Sticky(error, earlier, failing)
