"""
One unit of work: a request, a job, a tick, an admin run.

Every adapter opens one, every room that cares observes it, and what the stream says while it is open carries its ids.
"""

from __future__ import annotations

import os
import sys
import threading
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Protocol, Self
from weakref import WeakSet

from twelvefactor._core.clock import SYSTEM_CLOCK
from twelvefactor.exceptions import WorkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import Context
    from types import TracebackType

    from twelvefactor._core.clock import Clock

    class Say(Protocol):
        """Says an event on the stream; never raises."""

        def __call__(self, level: str, event: str, **fields: Any) -> None: ...


_ids: list[str] = []  # made in advance, a fourth of the cost; a forked child makes its own
_AT_ONCE = 256


def new_id() -> str:
    """
    A random id of 32 hex digits. Thread-safe.

    >>> len(new_id())
    32
    """
    while True:
        try:
            return _ids.pop()
        except IndexError:
            digits = os.urandom(16 * _AT_ONCE).hex()
            _ids.extend(digits[start : start + 32] for start in range(0, len(digits), 32))


os.register_at_fork(after_in_child=_ids.clear)


class WorkObserver(Protocol):
    """
    A room that watches work; both are called in the context of the work and must be quick.

    One that waits for a library has ``imported()`` too, called in the first unit of work and when modules have come.
    """

    def begin(self, work: Work) -> None:
        """*work* was opened."""

    def end(self, work: Work) -> None:
        """*work* was closed; its outcome and duration are known."""


class Work:
    """
    A unit of work in hand, and the context manager that opens and closes it, for sync and async code alike.

    Attributes:
        hands: The work in flight that it is counted with.
        id: Unique, minted unless given.
        kind: ``request``, ``job``, ``tick``, ``admin``, or the caller's own word.
        name: What is done: the route, the job's name.
        request_id: The id of the request that this belongs to, its own or its parent's; None without one.
        trace_id: The W3C trace it belongs to, or None.
        span_id: The caller's span in that trace, or None.
        trace_flags: The W3C flags of that trace, two hex digits, or None.
        trace_state: The W3C tracestate that came with it, or None.
        deadline: Monotonic seconds by which it should be done, or None.
        context: The fields that every event said inside carries.
        carrier: What brought it: the ASGI scope, the WSGI environ, the queue's message; None where nobody told.
        outcome: ``ok``, ``error``, ``cancelled`` or the adapter's word; None while it is open.
        duration: Seconds from begin to end; None while it is open.
    """

    __slots__ = (
        "__weakref__",
        "_token",
        "carrier",
        "closed",
        "context",
        "deadline",
        "duration",
        "error",
        "hands",
        "id",
        "kind",
        "name",
        "outcome",
        "request_id",
        "span_id",
        "started",
        "streaming",
        "trace_flags",
        "trace_id",
        "trace_state",
    )

    def __init__(
        self,
        hands: InFlight,
        kind: str,
        name: str,
        id: str | None = None,  # noqa: A002 - the word users know
        *,
        request_id: str | None = None,
        trace_id: str | None = None,
        span_id: str | None = None,
        deadline: float | None = None,
    ) -> None:
        self.hands = hands
        self._token: Token[Work | None] | None = None
        self.kind = kind
        self.name = name
        self.id = new_id() if id is None else id
        self.request_id = request_id
        self.trace_id = trace_id
        self.span_id = span_id
        self.trace_flags: str | None = None
        self.trace_state: str | None = None
        self.deadline = deadline
        self.closed = False
        self.streaming = False
        self.carrier: Any = None
        self.outcome: str | None = None
        self.error: BaseException | None = None
        self.started = 0.0
        self.duration: float | None = None
        self.context: dict[str, Any] = {"work_id": self.id}
        if request_id is not None:
            self.context["request_id"] = request_id
        if trace_id is not None:
            self.context["trace_id"] = trace_id
            self.context["span_id"] = span_id

    @property
    def should_stop(self) -> bool:
        """Whether work that can stop early should: the process is stopping, or the deadline has passed."""
        if self.hands.stop_early():
            return True
        return self.deadline is not None and self.hands.now() >= self.deadline

    def begin(self) -> None:
        """Open it: bind its context, count it as in flight, tell the observers."""
        if self._token is not None or self.closed:
            raise WorkError(f"{self!r} was entered before; open a new unit of work each time")
        hands = self.hands
        self.started = hands.now()
        self._enter()
        hands.add(self)

    def _enter(self) -> None:
        self._token = _current.set(self)

    def end(self, error: BaseException | None = None) -> None:
        """Close it: the count goes down whatever else fails, and the outer context comes back."""
        if self.closed:
            return
        hands = self.hands
        self.closed = True
        self.duration = hands.now() - self.started
        self.error = error
        if self.outcome is None:
            self.outcome = _outcome(error)
        try:
            hands.discard(self)
        finally:
            self.error = None  # a traceback would keep the request's frames alive
            self._restore()
        if error is None and hands.settle is not None:
            hands.settle(self)

    def _restore(self) -> None:
        token, self._token = self._token, None
        if token is None:
            return
        try:
            _current.reset(token)
        except ValueError:
            pass  # closed in another context than it was opened in, as a generator's finaliser does

    def copy_body(self) -> None:
        """Leave the beginning of the body with the carrier, as ``twelvefactor.body``, while the app reads it."""

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(error)

    async def __aenter__(self) -> Self:
        self.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(error)

    def __repr__(self) -> str:
        return f"<Work {self.kind} {self.name} {self.id}{' closed' if self.closed else ''}>"


class ToldWork(Work):
    """
    A unit of work whose end is one event, where no adapter says it.

    Args:
        hands: The work in flight that it is counted with.
        say: Called with level, event and fields, inside the work's context.
        kind: As for `Work`, and the event's name.
        name: As for `Work`.
        id: As for `Work`.
    """

    __slots__ = ("_say",)

    def __init__(self, hands: InFlight, say: Say, kind: str, name: str, id: str | None = None) -> None:  # noqa: A002
        super().__init__(hands, kind, name, id)
        self._say = say

    def end(self, error: BaseException | None = None) -> None:
        """Say how it went, then close it."""
        if not self.closed:
            duration = self.hands.now() - self.started
            fields: dict[str, Any] = {"name": self.name, "duration_ms": round(duration * 1000, 3)}
            if isinstance(error, Exception):
                self._say("error", self.kind, **fields, outcome="error", exc_info=error)
            else:
                self._say("info", self.kind, **fields, outcome=self.outcome or _outcome(error))
        super().end(error)


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "ok"
    return "error" if isinstance(error, Exception) else "cancelled"


_current: ContextVar[Work | None] = ContextVar("twelvefactor.work", default=None)


threads_of_work: WeakSet[threading.Thread] = WeakSet()
"""The threads that were started in a unit of work, where the event stream carries work along."""


def current_work() -> Work | None:
    """
    The unit of work that this code runs in, or None.

    A task that outlives its work still sees it, with ``closed`` set. Cheap, thread-safe.
    """
    return _current.get()


def work_of(context: Context) -> Work | None:
    """The unit of work that code in *context* runs in, such as a task's that somebody else holds; or None."""
    return context.get(_current)


def _ignore(where: str, error: BaseException) -> None:
    """Nobody listens to faults yet."""


def nothing(work: Work) -> None:
    """What an observer has that does not care for one of its two moments: it is not called at all."""


class InFlight:
    """
    The work that a process has in hand. Thread-safe; iterating gives the open units.

    >>> hands = InFlight()
    >>> with hands.work("job", "send_receipt") as work:
    ...     len(hands), work.closed
    (1, False)
    >>> hands.idle
    True
    """

    def __init__(self, clock: Clock | None = None, stop_early: Callable[[], bool] = lambda: False) -> None:
        self.clock = clock or SYSTEM_CLOCK
        self.now = self.clock.monotonic
        self.stop_early = stop_early
        self.observers: tuple[WorkObserver, ...] = ()
        self._begins: tuple[Callable[[Work], None], ...] = ()
        self._ends: tuple[Callable[[Work], None], ...] = ()
        self.on_fault: Callable[[str, BaseException], None] = _ignore
        self.settle: Callable[[Work], None] | None = None
        self.worked = False  # whether there ever was a unit: without one, nothing that work may do was looked at
        self._imported: tuple[Callable[[], None], ...] = ()
        self._modules = 0
        self._every = self._until = 0
        self._sampled: Callable[[Work], None] = nothing
        self._open: set[Work] = set()
        self._went_idle = threading.Condition()
        self._waiting = 0

    def work(self, kind: str, name: str, id: str | None = None, **ids: Any) -> Work:  # noqa: A002
        """A new unit of work, to be entered with ``with`` or ``async with``."""
        return Work(self, kind, name, id, **ids)

    def observe(self, observer: WorkObserver) -> None:
        """Tell *observer* about every unit from now on; idempotent."""
        if observer not in self.observers:
            self._observed_by(*self.observers, observer)

    def unobserve(self, observer: WorkObserver) -> None:
        """Tell *observer* no more; idempotent."""
        self._observed_by(*(each for each in self.observers if each is not observer))

    def observe_anew(self) -> None:
        """Some observer began or ceased to care for one of its moments; cheap enough for now and then."""
        self._observed_by(*self.observers)

    def sample(self, every: int, sampled: Callable[[Work], None]) -> None:
        """Call *sampled* at the end of one unit in *every*: a count here is cheaper than a call for each unit."""
        self._every = self._until = every
        self._sampled = sampled

    def _observed_by(self, *observers: WorkObserver) -> None:
        """Bind their methods once, and not with every unit of work."""
        self.observers = observers
        self._imported = tuple(imported for each in observers if (imported := getattr(each, "imported", None)))
        self._modules = 0
        self._begins = tuple(begin for each in observers if (begin := each.begin) is not nothing)
        self._ends = tuple(end for each in observers if (end := each.end) is not nothing)

    def add(self, work: Work) -> None:
        """*work* begins; an observer's fault is reported, never raised."""
        self._open.add(work)
        self.worked = True
        if self._modules != len(sys.modules):
            self._look_at_imports()
        for begin in self._begins:
            try:
                begin(work)
            except Exception as error:  # noqa: BLE001 - an observer never breaks work
                self.on_fault("work observer", error)

    def _look_at_imports(self) -> None:
        self._modules = len(sys.modules)
        for imported in self._imported:
            try:
                imported()
            except Exception as error:  # noqa: BLE001 - nor does whoever waits for a library
                self.on_fault("work observer", error)

    def discard(self, work: Work) -> None:
        """*work* ends; wakes those who wait for idle hands."""
        try:
            for end in self._ends:
                try:
                    end(work)
                except Exception as error:  # noqa: BLE001 - an observer never breaks work
                    self.on_fault("work observer", error)
            self._until = until = self._until - 1
            if until == 0:
                self._sample(work)
        finally:
            self._open.discard(work)
            if self._waiting and not self._open:
                with self._went_idle:
                    self._went_idle.notify_all()

    def _sample(self, work: Work) -> None:
        self._until = self._every
        try:
            self._sampled(work)
        except Exception as error:  # noqa: BLE001 - nor does whoever samples it
            self.on_fault("work sample", error)

    @property
    def idle(self) -> bool:
        """Whether nothing is in hand."""
        return not self._open

    def wait_idle(self, timeout: float) -> bool:
        """Wait up to *timeout* seconds until nothing is in hand; False where something still is."""
        with self._went_idle:
            self._waiting += 1
            try:
                return self._went_idle.wait_for(lambda: not self._open, timeout)
            finally:
                self._waiting -= 1

    def forget(self) -> None:
        """Drop everything; for a forked child, which did not take its parent's work over."""
        self._open = set()
        self._went_idle = threading.Condition()
        self._waiting = 0

    def __iter__(self) -> Iterator[Work]:
        return iter(tuple(self._open))

    def __len__(self) -> int:
        return len(self._open)
