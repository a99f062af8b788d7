"""
Finish what is in hand before the process exits.

SIGTERM → readiness withdrawn, the listener open for the drain delay → streams and sockets told → the server's own
handler → work in flight and the tasks it spawned finish, or are cut at the end of the budget and named → hooks, last in
first out → resources → stream.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Protocol

from twelvefactor._core import threads
from twelvefactor.disposability import hooks as _hooks
from twelvefactor.disposability.flag import DrainFlag
from twelvefactor.disposability.hand_back import HandBack
from twelvefactor.disposability.lifecycle import Lifecycle, State
from twelvefactor.disposability.lineage import Lineage
from twelvefactor.disposability.notify import Notifier
from twelvefactor.disposability.rules import TF903
from twelvefactor.disposability.sigterm import TERMINATED, Sigterm
from twelvefactor.disposability.spawned import Spawned, name_of
from twelvefactor.disposability.stopping import Stopping
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twelvefactor._core.process import Process
    from twelvefactor._core.signals import Signals
    from twelvefactor.disposability.budget import Budget
    from twelvefactor.disposability.hooks import Hook, Outcome
    from twelvefactor.work import Work

_POLL = 0.01  # seconds between two looks at the work in flight
_SETTLING = (*(ms / 1000 for ms in range(1, 50)), 0.1, 0.2)
"""Seconds: granian runs start-up and serving one after the other, and its loop takes the signals anew in between."""

_QUEUE_MAY = 2.0  # seconds for who waits to be accepted; without a balancer there is always somebody
_LIBRARIES_MAY = 1.0  # seconds for a library's task, which may be one that never ends


class Closable(Protocol):
    """What is closed after the hooks: the attached resources."""

    def close(self) -> None:
        """Close everything, failures isolated."""

    async def aclose(self) -> None:
        """Close everything from the event loop."""


class Shutdown:
    """
    The way from SIGTERM to the end of the process.

    Args:
        process: Whose work is finished.
        budget: How long each part may take.
        signals: The process's signals, or a test's.
        cut: Called with a unit of work whose time is over.
        open_sockets: How many WebSockets are still to be closed, by each adapter.
        waiting: How many connections wait to be accepted.
        last_words: Called before the process is ended by force: what must be written is written now.
    """

    def __init__(
        self,
        process: Process,
        budget: Budget,
        signals: Signals,
        *,
        cut: Callable[[Work], None],
        open_sockets: Sequence[Callable[[], int]] = (),
        waiting: Callable[[], int] = lambda: 0,
        last_words: Callable[[], None] = lambda: None,
    ) -> None:
        self.process = process
        self.budget = budget
        self.stopping = Stopping()
        self.hooks: list[Hook] = []
        self.hand_back = HandBack(process.fault)
        self.listeners: list[Callable[[], object]] = []
        self.delays = True
        self.may_catch = True
        self.lineage: Lineage | None = None
        self.follows = False
        self._open_sockets = open_sockets
        self._waiting = waiting
        self.sigterm = Sigterm(signals, self._on_signal, self.begin)
        self.flag = DrainFlag(process.environ)
        self.notifier = Notifier(process.environ)
        self.spawned = Spawned(process.app_code)
        self.resources: Closable | None = None
        self._signals = signals
        self._cut = cut
        self._last_words = last_words
        self._renew()

    def _renew(self) -> None:
        self.lifecycle = Lifecycle(self.process.clock, self._say)
        self._begun: float | None = None
        self._draining = threading.Lock()
        self._told_draining = threading.Lock()
        self._forced = threading.Event()
        self.let_go = threading.Event()
        self._finished = threading.Event()
        self._gone = threading.Event()
        self._finishing = threading.Lock()
        self.hand_back.renew()

    def _say(self, event: str, fields: dict[str, object]) -> None:
        self.process.event("info", event, **fields)

    # -- the signal ------------------------------------------------------------------------------------------------

    def catch(self) -> str | None:
        """Stand before the handler of SIGTERM; None, or the reason why it cannot be. Idempotent."""
        if self.follows:
            return "the parent process has it, and tells this one when it stops"
        if not self.may_catch:
            return "the worker sets its own handler later, and ours goes over that"
        return self.sigterm.install()

    def serves_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start-up is over on *loop*: what was spawned so far is no work's, and the loop may take its signals now."""
        self.spawned.ready_on_loop()
        self.notifier.watch(loop)
        self.sigterm.ensure()
        for seconds in _SETTLING:
            loop.call_later(seconds, self.sigterm.ensure)

    def notice(self) -> None:
        """The process has been told to stop: say so to whoever probes. Safe in a signal handler, idempotent."""
        if self._begun is None:
            self._begun = self.process.clock.monotonic() - self.flag.age()
            self.lifecycle.set(State.DRAINING)

    def _on_signal(self) -> None:
        self.notice()

    def begin(self) -> None:
        """Begin to drain, as SIGTERM does; returns at once, `let_go` is set when the delay is over. Idempotent."""
        if self.let_go.is_set():  # it began by hand, and the signal came after that
            self._in_thread(self._hand_over)
        elif self._draining.acquire(blocking=False):
            self.notice()
            self._in_thread(self._drain, self._finished)

    def _in_thread(self, target: Callable[..., None], *args: object) -> None:
        try:
            threads.start(target, *args, name="twelvefactor drain")
        except RuntimeError:  # the interpreter is on its way out: nobody is served any more
            self.let_go.set()
            self._hand_over()

    def _hand_over(self) -> None:
        if self.sigterm.signalled:
            self.sigterm.hand_over(self._finished.wait)

    def _drain(self, finished: threading.Event) -> None:
        try:
            self.drain()
            self._wait_for_who_would_be_cut()
        except Exception as error:  # noqa: BLE001 - the signal must reach the server whatever happens here
            self.process.fault("drain", error)
        finally:
            self.stopping.set()
            self.let_go.set()
            self._hand_over()
        self._watch_deadline(finished)

    # -- parents and children --------------------------------------------------------------------------------------

    def lead(self) -> None:
        """Let children that are forked from now on know when this process stops. Idempotent."""
        if self.lineage is None:
            self.lineage = Lineage()
            self.listeners.append(self._tell_children)

    def _tell_children(self) -> None:
        if self.lineage is not None and self.ends is not None and not self.follows:
            self.lineage.tell(self.ends)

    def follow(self) -> None:
        """Stop when the parent does, in a child that it forked. Idempotent."""
        if not self.follows:
            self.follows = True
            if self.lineage is not None:
                threads.start(self._wait_for_parent, self.lineage, name="twelvefactor lineage")

    def _wait_for_parent(self, line: Lineage) -> None:
        if line.wait(None):
            self._begun = line.ends - self.budget.drain - self.budget.work
            self._tell_deadline()
            self.stopping.set()

    # -- draining --------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Withdraw readiness, keep serving for the drain delay, then tell everybody to stop."""
        self.notice()
        if self._told_draining.acquire(blocking=False):
            in_flight = len(self.process.in_flight)
            self.lifecycle.tell(State.DRAINING, in_flight=in_flight, delay=self.budget.drain)
            self.notifier.stopping(self._left_of(self.budget.grace))
        if self.delays:
            self._forced.wait(self._left_of(self.budget.drain))
        self._stop()

    def _stop(self) -> None:
        if self._begun is None:
            self._begun = self.process.clock.monotonic()
        first = self.lifecycle.move(State.STOPPING, in_flight=len(self.process.in_flight))
        self._tell_deadline()
        self.stopping.set()
        if first:
            for listener in self.listeners:
                self._isolated(listener, "stopping")

    def _tell_deadline(self) -> None:
        """Work in hand may know by when it is cut or handed back."""
        ends = self.ends
        assert ends is not None
        for work in self.process.in_flight:
            work.deadline = ends if work.deadline is None else min(work.deadline, ends)

    def force(self) -> None:
        """Skip the rest of the drain delay; idempotent."""
        self._forced.set()

    def _wait_for_who_would_be_cut(self) -> None:
        """
        Before the server knows: it would cut a WebSocket whose message is in hand, and reset who waits to be accepted.

        Where no server stands behind us, nobody else waits for the work that is in hand now.
        """
        nobody_else = self.sigterm.signalled and not self.sigterm.owned_by_server
        in_hand = tuple(self.process.in_flight) if nobody_else else ()
        self._wait(lambda: self._waiting() == 0, min(self.remaining(), _QUEUE_MAY))
        self._wait(lambda: not any(count() for count in self._open_sockets), self.remaining())
        self._wait(lambda: all(work.closed for work in in_hand), self.remaining())
        if nobody_else:  # who was read from a kept connection meanwhile; the next step ends the threads
            self._wait(lambda: self.process.in_flight.idle, min(self.remaining(), _QUEUE_MAY))

    def _wait(self, until: Callable[[], bool], seconds: float) -> None:
        ends = time.monotonic() + seconds
        while not until() and time.monotonic() < ends:
            if self._finished.wait(_POLL):
                return

    def _left_of(self, seconds: float) -> float:
        """What is left of the first *seconds* of the stop."""
        begun = self.process.clock.monotonic() if self._begun is None else self._begun
        return max(0.0, begun + seconds - self.process.clock.monotonic())

    def left(self) -> float:
        """Seconds until the platform kills the process."""
        return self._left_of(self.budget.grace)

    def remaining(self) -> float:
        """Seconds that work in flight still has."""
        return self._left_of(self.budget.drain + self.budget.work)

    @property
    def ends(self) -> float | None:
        """The monotonic second at which the time of work is over; None while the process does not stop."""
        return None if self._begun is None else self._begun + self.budget.drain + self.budget.work

    # -- the deadline ----------------------------------------------------------------------------------------------

    def _watch_deadline(self, finished: threading.Event) -> None:
        """Cut what is left, finish if the server does not, and end the process before the platform kills it."""
        if finished.wait(max(0.0, self.remaining() - self.hand_back.early)):
            return
        if self.hand_back.do():
            self._end()
        if finished.wait(self.remaining()):
            return
        self.cut_what_is_left()
        if not finished.wait(self._left_of(self.budget.grace - self.budget.flush) / 2):
            self.process.event("error", "twelvefactor.deadline", in_flight=len(self.process.in_flight))
            try:
                self.finish()
            except Exception as error:  # noqa: BLE001 - whatever fails now, the process must end
                self.process.fault("finish", error)
        if self.sigterm.signalled and not self._gone.wait(self._left_of(self.budget.grace - self.budget.flush / 2)):
            self._last_words()
            self._signals.end_process(TERMINATED)

    def _end(self) -> None:
        """End the process now: what runs on is somebody else's job by now, and would be done twice."""
        if not self.sigterm.signalled:
            return
        self._isolated(lambda: self.finish(wait=False), "finish")
        self._last_words()
        self._signals.end_process(TERMINATED)

    def cut_what_is_left(self) -> None:
        """Cut each unit of work whose time is over, and name it (TF903) unless it was given back."""
        self.hand_back.do()
        for work in self.process.in_flight:
            if work.outcome is None:
                self.name_cut(f"{work.kind} {work.name}", work.id)
            try:
                self._cut(work)
            except Exception as error:  # noqa: BLE001 - the next one must be cut too
                self.process.fault("cut", error)

    def name_cut(self, what: str, work: str | None) -> None:
        """Report that *what* was cut (TF903)."""
        message = f"{what} still ran when its time was over, and was cut"
        self.process.evidence.report(Finding(TF903, message, what, work=work))

    # -- finishing -------------------------------------------------------------------------------------------------

    def finish(self, *, wait: bool = True) -> None:
        """Wait for the work in flight, run the hooks, close the resources; idempotent, from a thread without a loop."""
        if not self._claim():
            return
        self._stop()
        if not self.process.in_flight.wait_idle(self.remaining() if wait else 0):
            self.cut_what_is_left()
        while wait and self.spawned.threads_left() and self.remaining():
            time.sleep(_POLL)
        self._tell_threads()
        for hook in reversed(self.hooks):
            self._report(_hooks.run(hook, self._limit(hook)))
        if self.resources is not None:
            self._isolated(self.resources.close, "closing resources")
        self._done()

    async def finish_async(self) -> None:
        """`finish` on the event loop."""
        if not self._claim():
            return
        await self.settle()
        for hook in reversed(self.hooks):
            self._report(await _hooks.run_async(hook, self._limit(hook)))
        if self.resources is not None:
            try:
                await self.resources.aclose()
            except Exception as error:  # noqa: BLE001 - the stream is still to be flushed
                self.process.fault("closing resources", error)
        self._done()

    def _claim(self) -> bool:
        return self.lifecycle.state < State.STOPPED and self._finishing.acquire(blocking=False)

    async def settle(self) -> None:
        """Wait on the event loop until work and the tasks it spawned are over; cut what is left then. Idempotent."""
        self._stop()
        clock, ends = self.process.clock, self.process.clock.monotonic() + self.remaining()
        while self.process.in_flight and clock.monotonic() < ends:  # noqa: ASYNC110 - threads end work too
            await asyncio.sleep(_POLL)
        if self.process.in_flight:
            self.cut_what_is_left()
            await asyncio.sleep(0)  # the cancelled run once more, to clean up
        await self._settle_spawned()

    async def _settle_spawned(self) -> None:
        left = self.spawned.left()
        if left.by_libraries:
            await asyncio.wait(left.by_libraries, timeout=min(_LIBRARIES_MAY, self.remaining()))
        while left.by_the_app and self.remaining():
            await asyncio.wait(left.by_the_app, timeout=self.remaining())
            left = self.spawned.left()  # one task may have spawned the next
        for task in left.by_the_app:
            self.name_cut(f"task {name_of(task)}", None)
            task.cancel()

        while self.spawned.threads_left() and self.remaining():  # noqa: ASYNC110 - a thread tells no loop
            await asyncio.sleep(_POLL)
        self._tell_threads()

    def _tell_threads(self) -> None:
        for thread in self.spawned.threads_left():
            self.process.event("warning", "twelvefactor.thread.left", thread=thread.name)

    def _limit(self, hook: Hook) -> float:
        return min(hook.limit, self._left_of(self.budget.grace - self.budget.flush))

    def _report(self, outcome: Outcome) -> None:
        fields = {"hook": outcome.hook.name, "seconds": round(outcome.seconds, 3)}
        if outcome.error is None:
            self.process.event("debug", "twelvefactor.hook", **fields)
        elif outcome.timed_out:
            self.process.event("error", "twelvefactor.hook.timeout", **fields, limit=outcome.hook.limit)
        else:
            self.process.event("error", "twelvefactor.hook.failed", **fields, exc_info=outcome.error)

    def _isolated(self, act: Callable[[], object], what: str) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - the rest is still to be done
            self.process.fault(what, error)

    def _done(self) -> None:
        self.process.evidence.looked(TF903, f"every unit of work was over when the {self.budget.grace:g} s were")
        self.lifecycle.move(State.STOPPED)
        self._finished.set()

    # -- ends ------------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Begin a new life in the same process, as a test client does."""
        self._leave_threads()
        self.stopping.clear()
        self._renew()

    def forget(self) -> None:
        """Begin the life of a forked child: none of the parent's threads and signals are its own."""
        self.sigterm.forget()
        self.stopping = Stopping()
        self.follows = False
        self._renew()

    def close(self) -> None:
        """Stand before SIGTERM no more; idempotent."""
        self.sigterm.remove()
        self._leave_threads()

    def _leave_threads(self) -> None:
        self.notifier.close()
        self._finished.set()
        self._gone.set()
        self._forced.set()
