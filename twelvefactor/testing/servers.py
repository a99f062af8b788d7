"""Real servers for tests: started on a free port, ready when they say so, stopped by SIGTERM, never left behind."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from signal import SIGKILL, SIGTERM
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from twelvefactor.exceptions import ResourceUnavailable
from twelvefactor.testing import guard
from twelvefactor.testing.engines import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

READY_WITHIN = 30.0  # seconds
STOPPED_WITHIN = 20.0
ANSWER_WITHIN = 10.0
_POLL = 0.02
_PORT_TAKEN = ("address already in use", "in use")
_TRIES = 3

ASGI_SERVERS: dict[str, tuple[str, ...]] = {
    "uvicorn": ("-m", "uvicorn", "{app}", "--port", "{port}"),
    "uvicorn-2": ("-m", "uvicorn", "{app}", "--port", "{port}", "--workers", "2"),
    "gunicorn-uvicorn": (
        "-m", "gunicorn", "{app}", "-b", "127.0.0.1:{port}", "-k", "uvicorn_worker.UvicornWorker",
        "--no-control-socket",
    ),
    "gunicorn-asgi": ("-m", "gunicorn", "{app}", "-b", "127.0.0.1:{port}", "-k", "asgi", "--no-control-socket"),
    "granian": ("-m", "granian", "{app}", "--port", "{port}", "--interface", "asgi"),
    "hypercorn": ("-m", "hypercorn", "{app}", "-b", "127.0.0.1:{port}"),
}  # fmt: skip
"""How each server is started on ``{app}`` (``module:attribute``) and ``{port}``; it finds the interface out itself."""

WSGI_SERVERS: dict[str, tuple[str, ...]] = {
    "gunicorn-sync": ("-m", "gunicorn", "{app}", "-b", "127.0.0.1:{port}", "--no-control-socket"),
    "gunicorn-gthread": (
        "-m", "gunicorn", "{app}", "-b", "127.0.0.1:{port}", "-k", "gthread", "--threads", "4",
        "--no-control-socket",
    ),
    "granian-wsgi": ("-m", "granian", "{app}", "--port", "{port}", "--interface", "wsgi"),
    "waitress": ("-m", "waitress", "--listen=127.0.0.1:{port}", "{app}"),
}  # fmt: skip
"""Likewise for WSGI applications."""


class Response(NamedTuple):
    """What a server answered; names of headers are in lower case, and each ``Set-Cookie`` stands in ``cookies``."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class Server:
    """
    A real server as a child process; its group is gone when the block ends, however it ends.

    ``{port}`` in the command becomes a free port of the loopback, which is in ``PORT`` too. What it writes on stdout is
    read all the time, so that a full pipe never holds it up.

    Args:
        command: The program and its arguments; see `python_server` for the known ones.
        environ: Set beside this process's environment, of which ``TWELVEFACTOR_…`` and ``LOG_…`` are left out.
        inherited: The environment that it gets beside; this process's own, as above, if not given.
        cwd: Where it runs.
        ready: The path that answers 200 once it is ready; None to wait for nothing.
        within: Seconds until it must be ready.

    Raises:
        ResourceUnavailable: It ended first, or was not ready in time; the end of what it said is in the message.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environ: Mapping[str, str] | None = None,
        inherited: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        ready: str | None = "/readyz",
        within: float = READY_WITHIN,
    ) -> None:
        self._command = tuple(command)
        self._environ = dict(environ or {})
        self._inherited = inherited
        self._cwd = cwd
        self._ready = ready
        self._within = within
        self.port = 0
        self.lines: list[str] = []
        self.stderr: list[str] = []
        self._said = threading.Condition()
        self._readers: list[threading.Thread] = []
        self.process: subprocess.Popen[bytes]

    # -- its life

    def start(self) -> Self:
        """Start it and wait until it is ready; another port is tried where somebody took this one meanwhile."""
        for tries_left in reversed(range(_TRIES)):
            self._spawn()
            try:
                self._wait_ready()
            except ResourceUnavailable as error:
                self.kill()
                if not tries_left or not any(words in str(error).lower() for words in _PORT_TAKEN):
                    raise
            except BaseException:
                self.kill()
                raise
            else:
                break
        return self

    def _spawn(self) -> None:
        self.port = free_port()
        kept = _without_ours(os.environ) if self._inherited is None else dict(self._inherited)
        self.lines, self.stderr = [], []
        self.process = guard.start(
            [part.replace("{port}", str(self.port)) for part in self._command],
            env={**kept, "PORT": str(self.port), **self._environ},
            cwd=self._cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        pipes = ((self.process.stdout, self.lines), (self.process.stderr, self.stderr))
        self._readers = [threading.Thread(target=self._read, args=each, daemon=True) for each in pipes]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: Any, lines: list[str]) -> None:
        with pipe:
            for line in pipe:
                with self._said:
                    lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                    self._said.notify_all()
        with self._said:
            self._said.notify_all()

    def _wait_ready(self) -> None:
        ends = time.monotonic() + self._within
        while self._ready is not None and not self._answers(self._ready):
            if self.process.poll() is not None:
                self._join()
                raise ResourceUnavailable(f"the server ended with status {self.process.returncode}: {self.tail()}")
            if time.monotonic() > ends:
                raise ResourceUnavailable(f"the server is not ready after {self._within:g} s: {self.tail()}")
            time.sleep(_POLL)

    def _answers(self, path: str) -> bool:
        try:
            return self.get(path).status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def send_signal(self, signum: int = SIGTERM) -> None:
        """Send *signum* to the server's first process, as a platform does."""
        self.process.send_signal(signum)

    def stop(self, signum: int = SIGTERM, within: float = STOPPED_WITHIN) -> int:
        """
        Send *signum*, wait for the end and for the last line; the exit status, negative where a signal ended it.

        Raises:
            TimeoutError: It still ran after *within* seconds; it was killed.
        """
        if self.process.poll() is None:
            self.send_signal(signum)
        return self.wait(within)

    def wait(self, within: float = STOPPED_WITHIN) -> int:
        """Wait for the end and for the last line; the exit status."""
        try:
            status = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"the server still ran after {within:g} s and was killed: {self.tail()}") from None
        self._end()
        return status

    def kill(self) -> None:
        """End the server and all it started, at once. Idempotent."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, SIGKILL)
            self.process.wait(STOPPED_WITHIN)
        self._end()

    def _end(self) -> None:
        """Nothing of the group stays: neither worker nor guard."""
        guard.dismiss(self.process)
        try:
            os.killpg(self.process.pid, SIGKILL)
        except ProcessLookupError:
            pass  # as it should be
        self._join()

    def _join(self) -> None:
        for reader in self._readers:
            reader.join(STOPPED_WITHIN)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    # -- what it says

    @property
    def pid(self) -> int:
        """The process id of the server's first process."""
        return self.process.pid

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events on stdout so far."""
        return events_in(self.lines)

    @property
    def noise(self) -> list[str]:
        """The lines on stdout so far that are no events."""
        return [line for line in tuple(self.lines) if _event(line) is None]

    def wait_event(
        self, event: str, *, where: Callable[[dict[str, Any]], bool] | None = None, within: float = READY_WITHIN
    ) -> dict[str, Any]:
        """
        The first *event* for which *where* holds, said before or within *within* seconds.

        Raises:
            TimeoutError: It was not said; the end of what was is in the message.
        """
        seen = 0
        ends = time.monotonic() + within
        with self._said:
            while True:
                for line in self.lines[seen:]:
                    found = _event(line)
                    if found is not None and found.get("event") == event and (where is None or where(found)):
                        return found
                seen = len(self.lines)
                if not self._said.wait(ends - time.monotonic()):
                    raise TimeoutError(f"no event {event!r} within {within:g} s: {self.tail()}")

    def tail(self, count: int = 10) -> str:
        """The last lines of stdout and stderr."""
        return "\n".join((*self.lines[-count:], *self.stderr[-count:])) or "it said nothing"

    # -- what it is asked

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Response:
        """GET *path* on a connection of its own."""
        return self.request("GET", path, headers=headers)

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """Ask once, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_WITHIN)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            cookies = tuple(value for name, value in answer.getheaders() if name.lower() == "set-cookie")
            return Response(answer.status, names, answer.read(), cookies)
        finally:
            connection.close()

    def __repr__(self) -> str:
        return f"<Server {self.url} {' '.join(self._command)}>"


def events_in(lines: Sequence[str]) -> list[dict[str, Any]]:
    """The events among *lines*."""
    return [event for line in tuple(lines) if (event := _event(line)) is not None]


def _without_ours(environ: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environ.items() if not key.startswith(("TWELVEFACTOR_", "LOG_"))}


def _event(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def python_server(name: str, app: str) -> tuple[str, ...]:
    """
    The command that starts *app* on the server called *name*.

    >>> python_server("waitress", "shop:app")[1:]
    ('-m', 'waitress', '--listen=127.0.0.1:{port}', 'shop:app')
    """
    return (sys.executable, *(part.replace("{app}", app) for part in {**ASGI_SERVERS, **WSGI_SERVERS}[name]))
