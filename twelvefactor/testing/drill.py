"""
The SIGTERM drill: stop one of two real instances under load, and count what its clients noticed.

>>> # twelvefactor drill --path / -- uvicorn orders.service:app --port '{port}'
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import time
from dataclasses import dataclass, field
from signal import SIGTERM
from typing import TYPE_CHECKING, Any

from twelvefactor.exceptions import MissingExtraError
from twelvefactor.testing import _http
from twelvefactor.testing.servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

POLL_EVERY = 0.2  # seconds between two looks of the balancer at readiness
_PROBE_WITHIN = 1.0
_BELIEVED = 0.45  # seconds that a look is believed; one that held up this process is none of the service's
_LOAD_BEFORE = 1.0  # seconds of load before the signal, and after the end
_LOAD_AFTER = 0.5
_LOOK = 0.02
_NOBODY_READY = 0.05
_PAUSE = 0.2  # seconds between two messages on a WebSocket
_BEGUN, _DONE = "drill.begun", "drill.done"


@dataclass(frozen=True)
class Visitors:
    """
    Clients that do the same, over and over.

    Attributes:
        path: What they ask for.
        clients: How many there are.
        keep_alive: Whether they keep their connection; a new one for each request otherwise.
        stream: Whether an answer that breaks off counts as a stream that was cut.
        websocket: Whether they speak WebSocket: a message, its answer, a pause.
    """

    path: str = "/"
    clients: int = 50
    keep_alive: bool = False
    stream: bool = False
    websocket: bool = False


@dataclass
class Result:
    """
    What happened to the clients of an instance that was told to stop.

    Attributes:
        in_flight: Requests that the instance had in hand when it was told.
        in_flight_failed: Those that got no whole answer.
        ok: Requests begun after the signal, on either instance, that were answered.
        refused: Those that found nobody listening.
        reset: Those whose connection was closed without an answer.
        errors: Answers of 500 and above, probes aside.
        streams_cut: Streams that broke off.
        tasks_lost: What the app said to have begun (``drill.begun``) and never to have done (``drill.done``).
        websockets: How often each close code was seen by a WebSocket of the instance.
        messages_lost: Messages that the app had in hand and that were never answered.
        messages_crossed: Messages that met the close on their way; the client knows that nobody has them.
        seconds: From the signal to the end.
        status: The exit status; negative where a signal ended it.
        killed: Whether it still ran when the grace period was over.
        last_line: Whether ``twelvefactor.stopped`` was written; None where the app does not use the library.
        faults: What failed, by kind, for people.
    """

    in_flight: int = 0
    in_flight_failed: int = 0
    ok: int = 0
    refused: int = 0
    reset: int = 0
    errors: int = 0
    streams_cut: int = 0
    tasks_lost: int = 0
    websockets: dict[str, int] = field(default_factory=dict)
    messages_lost: int = 0
    messages_crossed: int = 0
    seconds: float = 0.0
    status: int | None = None
    killed: bool = False
    last_line: bool | None = None
    faults: dict[str, int] = field(default_factory=dict)

    @property
    def noticed(self) -> list[str]:
        """What a client could notice, in words; empty where the stop went unnoticed."""
        counts = {
            "requests in flight failed": self.in_flight_failed,
            "refused": self.refused,
            "reset": self.reset,
            "answers of 5xx": self.errors,
            "streams cut": self.streams_cut,
            "tasks lost": self.tasks_lost,
            "WebSocket messages in hand lost": self.messages_lost,
            "killed at the end of the grace period": int(self.killed),
            "last line not written": int(self.last_line is False),
        }
        bad_codes = sum(count for code, count in self.websockets.items() if code not in ("1000", "1001", "1012"))
        counts["WebSockets closed without 1001 or 1012"] = bad_codes
        return [f"{count} {what}" for what, count in counts.items() if count]

    def check(self) -> None:
        """
        Raise where somebody noticed.

        Raises:
            AssertionError: It names what was noticed.
        """
        if self.noticed:
            raise AssertionError(f"the stop was noticed: {', '.join(self.noticed)} ({self.faults})")


def drill(
    command: Sequence[str],
    *,
    visitors: Sequence[Visitors] = (Visitors(),),
    environ: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    ready: str = "/readyz",
    drain: float = 1.0,
    grace: float = 20.0,
    whole_group: bool = False,
) -> Result:
    """
    Start *command* twice behind a balancer that asks for readiness, load both, stop one, and tell what was noticed.

    Args:
        command: The server's; ``{port}`` in it becomes a free port, which is in ``PORT`` too.
        visitors: Who asks for what.
        environ: Set beside this process's environment.
        cwd: Where the server runs.
        ready: The path that the balancer asks.
        drain: The drain delay in seconds, told to the service; more than the balancer needs to notice.
        grace: Seconds from SIGTERM to SIGKILL, told to the service.
        whole_group: Whether every process of the instance gets the signal, as systemd and Heroku do.

    Raises:
        ResourceUnavailable: An instance did not become ready.
    """
    told = {"TWELVEFACTOR_DRAIN_DELAY": f"{drain}s", "TWELVEFACTOR_GRACE_PERIOD": f"{grace}s", "LOG_FORMAT": "json"}
    servers = [Server(command, environ={**told, **(environ or {})}, cwd=cwd, ready=ready) for _ in range(2)]
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
        run = _Run(servers, visitors, ready, grace, whole_group)
        return asyncio.run(run.run())


class Balancer:
    """Knows which instances are ready: asks each in turn, and believes the first failure."""

    def __init__(self, servers: Sequence[Server], path: str) -> None:
        self._servers = servers
        self._path = path
        self._ready = dict.fromkeys(range(len(servers)), time.monotonic())  # since when that is known
        self._turn = itertools.count()

    def pick(self) -> int | None:
        """The next instance that was ready a moment ago, or None."""
        since = time.monotonic() - _BELIEVED
        ready = sorted(index for index, looked in self._ready.items() if looked >= since)
        return ready[next(self._turn) % len(ready)] if ready else None

    def is_ready(self, index: int) -> bool:
        """Whether traffic goes to this instance."""
        return index in self._ready

    async def watch(self) -> None:
        """Ask all of them, for ever."""
        await asyncio.gather(*(self._watch(index) for index in range(len(self._servers))))

    async def _watch(self, index: int) -> None:
        while True:
            looked = time.monotonic()
            try:
                async with asyncio.timeout(_PROBE_WITHIN):
                    answer = await _http.get(self._servers[index].port, self._path)
                ready = answer.status == 200  # noqa: PLR2004 - OK
            except (OSError, EOFError, TimeoutError):
                ready = False
            if ready:
                self._ready[index] = looked
            else:
                self._ready.pop(index, None)
            await asyncio.sleep(POLL_EVERY)


@dataclass
class _Asked:
    """A request: on which instance, since when, and how it ended."""

    index: int
    began: float
    stream: bool
    ended: float | None = None
    fault: str | None = None


class _Run:
    """One drill."""

    def __init__(
        self, servers: Sequence[Server], visitors: Sequence[Visitors], ready: str, grace: float, whole_group: bool
    ) -> None:
        self._servers = servers
        self._visitors = visitors
        self._grace = grace
        self._whole_group = whole_group
        self._balancer = Balancer(servers, ready)
        self._asked: list[_Asked] = []
        self._sockets: list[_Socket] = []
        self._over = False
        self._signalled = float("inf")
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> Result:
        """Load, stop the first instance, load on, count."""
        result = Result()
        watch = asyncio.create_task(self._balancer.watch())
        clients = [asyncio.create_task(self._client(each)) for each in self._visitors for _ in range(each.clients)]
        await asyncio.sleep(_LOAD_BEFORE)
        self._signalled = time.monotonic()
        in_flight = [each for each in self._asked if each.index == 0 and each.ended is None]
        self._send_signal()
        await self._wait_for_the_end(result)
        await asyncio.sleep(_LOAD_AFTER)
        self._over = True
        _, hanging = await asyncio.wait(clients, timeout=self._grace)
        watch.cancel()
        for task in hanging:
            task.cancel()
        await asyncio.gather(watch, *clients, return_exceptions=True)
        self._count(result, in_flight)
        return result

    def _send_signal(self) -> None:
        if self._whole_group:
            os.killpg(self._servers[0].pid, SIGTERM)
        else:
            self._servers[0].send_signal(SIGTERM)

    async def _wait_for_the_end(self, result: Result) -> None:
        first = self._servers[0].process
        while first.poll() is None:
            if time.monotonic() - self._signalled > self._grace:
                result.killed = True
                break
            await asyncio.sleep(_LOOK)
        result.seconds = time.monotonic() - self._signalled
        await asyncio.to_thread(self._servers[0].kill)  # what it may have left behind, and its last lines
        result.status = first.returncode

    # -- clients

    async def _client(self, visitors: Visitors) -> None:
        if visitors.websocket:
            await self._speak(visitors)
            return
        connections: dict[int, _http.Connection] = {}
        while not self._over:
            index = self._balancer.pick()
            if index is None:
                await asyncio.sleep(_NOBODY_READY)
                continue
            await self._ask(visitors, index, connections)
        for connection in connections.values():
            connection.close()

    async def _ask(self, visitors: Visitors, index: int, connections: dict[int, _http.Connection]) -> None:
        asked = _Asked(index, time.monotonic(), visitors.stream)
        self._asked.append(asked)
        connection = connections.pop(index, None)
        reused = connection is not None
        try:
            connection = connection or await _http.connect(self._servers[index].port)
            answer = await connection.get(visitors.path, keep_alive=visitors.keep_alive)
        except ConnectionRefusedError:
            asked.fault = "refused"
        except (OSError, EOFError) as error:
            asked.fault = f"reset{' on a kept connection' if reused else ''}: {type(error).__name__}"
        else:
            if answer.status >= 500:  # noqa: PLR2004 - a server's error
                asked.fault = f"status {answer.status}"
        asked.ended = time.monotonic()
        if connection is not None and visitors.keep_alive and asked.fault is None and connection.kept:
            connections[index] = connection
        elif connection is not None:
            connection.close()

    async def _speak(self, visitors: Visitors) -> None:
        """Speak on one socket after the other; each numbers its messages."""
        number = len(self._sockets)
        while not self._over:
            index = self._balancer.pick()
            if index is None:
                await asyncio.sleep(_NOBODY_READY)
                continue
            socket = _Socket(index, f"socket-{number}-{len(self._sockets)}")
            self._sockets.append(socket)
            await socket.speak(self._servers[index].port, visitors.path, lambda: self._over)

    # -- the count

    def _count(self, result: Result, in_flight: list[_Asked]) -> None:
        result.in_flight = len(in_flight)
        before = {id(each) for each in in_flight}
        for asked in self._asked:
            fault = asked.fault if asked.ended is not None else "no answer"
            if fault is None:
                result.ok += asked.began >= self._signalled
                continue
            result.faults[fault] = result.faults.get(fault, 0) + 1
            result.streams_cut += asked.stream and not fault.startswith(("refused", "status"))
            if id(asked) in before:
                result.in_flight_failed += 1
            elif fault == "refused":
                result.refused += 1
            elif fault.startswith("status"):
                result.errors += 1
            else:
                result.reset += 1
        self._count_events(result)

    def _count_events(self, result: Result) -> None:
        events = [json.loads(line) for line in self._servers[0].lines if line.startswith("{")]
        named = [(event.get("event"), event.get("id")) for event in events]
        begun = {what for name, what in named if name == _BEGUN}
        done = {what for name, what in named if name == _DONE}
        sockets = [socket for socket in self._sockets if socket.index == 0 and socket.opened]
        answered = {message for socket in sockets for message in socket.answered}
        lost = begun - done - answered
        messages = {message for socket in sockets for message in socket.sent}
        result.tasks_lost = len(lost - messages)
        result.messages_lost = len((begun & messages) - answered)
        result.messages_crossed = len(messages - begun - answered)
        for socket in sockets:
            code = str(socket.code)
            result.websockets[code] = result.websockets.get(code, 0) + 1
        states = [name for name, _ in named if str(name).startswith("twelvefactor.")]
        result.last_line = "twelvefactor.stopped" in states if "twelvefactor.starting" in states else None


class _Socket:
    """One WebSocket, and what was said on it."""

    def __init__(self, index: int, name: str) -> None:
        self.index = index
        self.name = name
        self.opened = False
        self.code: int | None = None
        self.sent: list[str] = []
        self.answered: set[str] = set()

    async def speak(self, port: int, path: str, over: Callable[[], bool]) -> None:
        """Say something, wait for the answer, pause; until the server closes, or everything is over."""
        try:
            from websockets.asyncio.client import connect
            from websockets.exceptions import ConnectionClosed, InvalidHandshake
        except ImportError:
            raise MissingExtraError("uvicorn", "websockets") from None
        try:
            async with connect(f"ws://127.0.0.1:{port}{path}", compression=None, close_timeout=1) as socket:
                self.opened = True
                try:
                    await self._converse(socket, over)
                    self.code = 1000
                except ConnectionClosed as closed:
                    self.code = None if closed.rcvd is None else closed.rcvd.code
        except (OSError, InvalidHandshake, EOFError):
            await asyncio.sleep(_NOBODY_READY)

    async def _converse(self, socket: Any, over: Callable[[], bool]) -> None:
        for count in itertools.count():
            if over():
                return
            message = f"{self.name}-{count}"
            self.sent.append(message)
            await socket.send(message)
            async with asyncio.timeout(10):
                self.answered.add(await socket.recv())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE):
                    await socket.wait_closed()
                await socket.recv()  # raises what it was closed with


def told(results: Mapping[str, Sequence[Result]]) -> Iterator[str]:
    """The rows of a Markdown table: each name with the sum of its runs."""
    yield (
        "| configuration | runs | in flight: failed | ok after | refused | reset | 5xx | streams cut | tasks lost "
        "| WebSocket codes | messages in hand lost (crossed) | exit s min/max | status | killed |"
    )
    yield "|---|" + "---|" * 13
    for name, runs in results.items():
        yield _row(name, runs)


def _row(name: str, runs: Sequence[Result]) -> str:
    def total(what: str) -> int:
        return sum(getattr(run, what) for run in runs)

    codes: dict[str, int] = {}
    for run in runs:
        for code, count in run.websockets.items():
            codes[code] = codes.get(code, 0) + count
    cells = [
        name,
        len(runs),
        f"{total('in_flight_failed')} of {total('in_flight')}",
        total("ok"),
        total("refused"),
        total("reset"),
        total("errors"),
        total("streams_cut"),
        total("tasks_lost"),
        ", ".join(f"{count} of {code}" for code, count in sorted(codes.items())) or "-",
        f"{total('messages_lost')} ({total('messages_crossed')})",
        f"{min(run.seconds for run in runs):.1f}/{max(run.seconds for run in runs):.1f}",
        ", ".join(sorted({str(run.status) for run in runs})),
        total("killed"),
    ]
    return f"| {' | '.join(map(str, cells))} |"
