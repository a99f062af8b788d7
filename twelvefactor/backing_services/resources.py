"""The attached resources of a process: opened, waited for, watched, closed."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from twelvefactor._core.lazy import load
from twelvefactor.backing_services._threads import awaited, is_elsewhere, pauses, running_loop, thread
from twelvefactor.backing_services.attaching import Attaching
from twelvefactor.backing_services.kind import Opening
from twelvefactor.backing_services.pinging import Pinger
from twelvefactor.backing_services.registry import kind_of
from twelvefactor.backing_services.resource import PING_TIMEOUT, Resource, Unbuilt
from twelvefactor.backing_services.rules import TF402
from twelvefactor.exceptions import ResourceUnavailable
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twelvefactor._core.process import Process
    from twelvefactor.backing_services.attaching import How
    from twelvefactor.backing_services.kind import Kind
    from twelvefactor.backing_services.resource import Status
    from twelvefactor.backing_services.url import URL

PING_EVERY = 10.0


_all: weakref.WeakSet[Resources] = weakref.WeakSet()
_begun: weakref.WeakSet[Process] = weakref.WeakSet()
_opening = threading.local()


def resources_of(process: Process) -> Resources | None:
    """The resources of *process*, or None where nothing was attached yet."""
    return next((each for each in tuple(_all) if each._process is process), None)


def begin(process: Process) -> None:
    """*process* starts: what it attaches from now on is watched at once. Idempotent."""
    _begun.add(process)
    resources = resources_of(process)
    if resources is not None:
        resources.begin()


def end(process: Process) -> None:
    """*process* is closed. Idempotent."""
    _begun.discard(process)


def is_opening() -> bool:
    """Whether this thread is making a client for an attached resource right now."""
    return getattr(_opening, "depth", 0) > 0


class Resources(Attaching):
    """
    The attached resources of one process. Thread-safe; iterating gives each `Resource` in the order of attaching.

    Args:
        process: Whose they are: where events, findings and faults go.
        timeout: Seconds that one ping may take.
        every: Seconds between two pings of the same resource.
    """

    def __init__(self, process: Process, *, timeout: float = PING_TIMEOUT, every: float = PING_EVERY) -> None:
        self._process = process
        self._timeout = timeout
        self._every = every
        self._resources: list[Resource] = []
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._begun = process in _begun
        self._waited = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watcher: threading.Thread | None = None
        self._pinger = Pinger(process, timeout, self._first_answer)
        self._observers: list[Callable[[Resource], None]] = []
        self._attach_observers: list[Callable[[Resource], None]] = []
        _all.add(self)

    # Attaching

    def attach_as(self, url: URL[Any, Any], how: How) -> Any:
        """`attach` and `attach_async` in one."""
        if url.is_placeholder:
            return Unbuilt(url)
        opening = Opening(how.credentials, how.options, self._process.name)
        frame = self._process.app_code.frame(2)
        kind = kind_of(url)
        with self._lock:
            known = self._same(url, opening, how)
            if known is not None:
                return known.client
            client = _opened(kind, url, opening, how)
            resource = Resource(
                self._unique(how.name or self._field_of(url) or kind.name.replace(" ", "-")),
                url,
                kind,
                client,
                opening,
                is_async=how.is_async,
                own=how.client is not None,
                readiness=how.readiness,
                where=self._process.app_code.where(frame),
                plain=how.client is None and opening.credentials is None and not opening.options,
            )
            self._resources.append(resource)
        self._closed.clear()
        if how.is_async and self._loop is None:
            self._loop = running_loop()
        for listener in tuple(self._attach_observers):
            self._guarded(listener, resource)
        if self._begun or self._waited:
            self._watch()
        return client

    def _same(self, url: URL[Any, Any], opening: Opening, how: How) -> Resource | None:
        """What was attached before in the same way."""
        if how.client is not None or opening.credentials is not None or opening.options:
            return None
        for known in self._resources:
            if known.plain and known.url == url and known.is_async == how.is_async and how.name in {None, known.name}:
                known.readiness = known.readiness or how.readiness
                return known
        return None

    def _field_of(self, url: URL[Any, Any]) -> str | None:
        try:
            fields = vars(self._process.config)
        except Exception:  # noqa: BLE001 - a name is a nicety
            return None
        return next((name for name, value in fields.items() if value is url), None)

    def _unique(self, name: str) -> str:
        taken = {resource.name for resource in self._resources}
        if name not in taken:
            return name
        return next(f"{name}-{n}" for n in range(2, len(taken) + 3) if f"{name}-{n}" not in taken)

    def observe(self, observer: Callable[[Resource], None]) -> None:
        """Call *observer* with every resource when it first answers, and now for those that did; idempotent."""
        with self._lock:
            if observer in self._observers:
                return
            self._observers.append(observer)
        for resource in self:
            if resource.answered:
                self._guarded(observer, resource)

    def unobserve(self, observer: Callable[[Resource], None]) -> None:
        """Call *observer* no more; idempotent."""
        with self._lock:
            self._observers = [each for each in self._observers if each != observer]
            self._attach_observers = [each for each in self._attach_observers if each != observer]

    def __iter__(self) -> Iterator[Resource]:
        with self._lock:
            return iter(tuple(self._resources))

    def __len__(self) -> int:
        return len(self._resources)

    def _first_answer(self, resource: Resource) -> None:
        for observer in tuple(self._observers):
            self._guarded(observer, resource)

    def observe_attaching(self, observer: Callable[[Resource], None]) -> None:
        """Call *observer* with every resource that is attached from now on, and now with those that are; idempotent."""
        with self._lock:
            if observer in self._attach_observers:
                return
            self._attach_observers.append(observer)
        for resource in self:
            self._guarded(observer, resource)

    # Waiting at start

    def begin(self) -> None:
        """Watch what is attached from now on; what is attached already is watched once somebody waited for it."""
        self._begun = True

    def wait(self, deadline: float) -> bool:
        """
        Wait up to *deadline* seconds until every resource answered; True if all did.

        ``start-deadline`` in ``[tool.twelvefactor]``, as 30 or "30s", beats *deadline*. What did not answer is a
        finding of TF402 and is tried on in the background.
        """
        self._waited = True
        deadline = self._declared(deadline)
        self._say_no_loop()
        blocking = [resource for resource in self if not resource.is_async]
        for waiting in [thread(self._wait_for, resource, deadline) for resource in blocking]:
            waiting.join(deadline + self._timeout + 1)
        return self._judge(deadline)

    async def wait_async(self, deadline: float) -> bool:
        """Like `wait`, without blocking the loop; connects the async clients."""
        self._waited = True
        deadline = self._declared(deadline)
        self._loop = asyncio.get_running_loop()
        waits = [
            self._wait_for_async(resource, deadline)
            if resource.is_async
            else awaited(self._wait_for, resource, deadline)
            for resource in self
        ]
        await asyncio.gather(*waits)
        return self._judge(deadline)

    def _wait_for(self, resource: Resource, deadline: float) -> None:
        end = time.monotonic() + deadline
        for pause in pauses():
            if self._pinger.check(resource, self._at_most(end)) or self._closed.is_set():
                return
            left = end - time.monotonic()
            if left <= 0 or self._closed.wait(min(pause, left)):
                return

    async def _wait_for_async(self, resource: Resource, deadline: float) -> None:
        end = time.monotonic() + deadline
        for pause in pauses():
            if await self._pinger.check_async(resource, self._at_most(end)):
                return
            left = end - time.monotonic()
            if left <= 0 or self._closed.is_set():
                return
            await asyncio.sleep(min(pause, left))

    def _declared(self, deadline: float) -> float:
        seconds: Callable[[str], float | None] = load("twelvefactor.disposability.budget:seconds")
        found = seconds(str(self._process.declaration.get("start-deadline", "")))
        return deadline if found is None else found

    def _at_most(self, end: float) -> float:
        """The bound of a ping that must not pass *end* by much."""
        return min(self._timeout, max(end - time.monotonic(), 0.1))

    def _judge(self, deadline: float) -> bool:
        evidence = self._process.evidence
        for resource in self:
            if not resource.answered and not (resource.is_async and self._loop is None):
                message = f"{resource.name} did not answer within {deadline:g} s: {resource.status.because}"
                hint = f"{TF402.fix} ({resource.url})"
                evidence.report(Finding(TF402, message, culprit=resource.name, where=resource.where, hint=hint))
        evidence.looked(TF402, at=f"{len(self)} attached resources at start")
        if len(self):
            self._watch()
        return self.ready

    @property
    def ready(self) -> bool:
        """Whether every resource answered once, and each one attached with ``readiness=True`` is not lost now."""
        return all(
            resource.answered and (not resource.readiness or resource.status.state != "lost")
            for resource in self
            if not (resource.is_async and self._loop is None and self._waited)
        )

    def require(self) -> None:
        """Raise `ResourceUnavailable` naming every resource that has not answered yet."""
        missing = [f"{each.name} ({each.url}): {each.status.because}" for each in self if not each.answered]
        if missing:
            raise ResourceUnavailable("no answer from " + "; ".join(missing))

    # Watching

    def ping(self) -> dict[str, Status]:
        """
        The status of each resource by name, at most `every` seconds old; asks those that are due, in parallel.

        Never raises, never takes much longer than one ping's timeout, whatever the services do.
        """
        due = [each for each in self if self._due(each)]
        if len(due) == 1:
            self._check(due[0])
        else:
            for checking in [thread(self._check, resource) for resource in due]:
                checking.join(self._timeout + 1)
        return {resource.name: resource.status for resource in self}

    async def ping_async(self) -> dict[str, Status]:
        """Like `ping`, without blocking the loop."""
        self._loop = running_loop()
        due = [each for each in self if self._due(each)]
        await asyncio.gather(
            *(self._pinger.check_async(each) if each.is_async else awaited(self._pinger.check, each) for each in due)
        )
        return {resource.name: resource.status for resource in self}

    def _due(self, resource: Resource) -> bool:
        return resource.checked_at is None or time.monotonic() - resource.checked_at >= self._every

    def _check(self, resource: Resource) -> None:
        if resource.is_async:
            self._pinger.check_from_outside(resource, self._loop)
        else:
            self._pinger.check(resource)

    def _say_no_loop(self) -> None:
        because = "attached for coroutines, and this process has no event loop; attach it with attach()"
        for resource in self:
            if resource.is_async and self._loop is None:
                self._process.event("warning", "twelvefactor.resource.no_loop", resource=resource.name, because=because)

    def _guarded(self, observer: Callable[[Resource], None], resource: Resource) -> None:
        try:
            observer(resource)
        except Exception as error:  # noqa: BLE001 - an observer never breaks a ping
            self._process.fault("resource observer", error)

    def _watch(self) -> None:
        """Keep asking, from one daemon thread, until closed."""
        with self._lock:
            if self._watcher is None or not self._watcher.is_alive():
                self._watcher = thread(self._watching)

    def _watching(self) -> None:
        backoff = pauses()
        while True:
            waiting = not all(resource.answered for resource in self)
            pause = next(backoff) if waiting else self._every
            if self._closed.wait(pause):
                return
            try:
                for resource in self:
                    if not resource.answered:
                        resource.checked_at = None
                self.ping()
            except Exception as error:  # noqa: BLE001 - the watch goes on
                self._process.fault("watching resources", error)

    # Closing

    def close(self) -> None:
        """Close every client in reverse order, each bounded, failures isolated; idempotent."""
        for resource in self._taken():
            failed = self._close_from_outside(resource) if resource.is_async else resource.close()
            if failed is not None:
                self._process.fault(f"closing {resource.name}", failed)

    async def aclose(self) -> None:
        """Like `close`, with the async clients closed in their loop."""
        for resource in self._taken():
            failed = await (_aclosed(resource) if resource.is_async else awaited(resource.close))
            if failed is not None:
                self._process.fault(f"closing {resource.name}", failed)

    def _close_from_outside(self, resource: Resource) -> BaseException | None:
        """Close an async client by another thread than its loop's; without a loop its connections are dropped."""
        loop = self._loop
        try:
            if loop is not None and is_elsewhere(loop):
                asyncio.run_coroutine_threadsafe(resource.aclose(), loop).result()
            else:
                resource.forget()
        except Exception as error:  # noqa: BLE001 - the others are closed all the same
            return error
        return None

    def _taken(self) -> list[Resource]:
        self._closed.set()
        with self._lock:
            resources, self._resources = self._resources[::-1], []
        return resources

    def _forked(self) -> None:
        """In the child: nothing of the parent's connections is used, and nothing of them is closed."""
        self._lock = threading.RLock()
        self._pinger = Pinger(self._process, self._timeout, self._first_answer)
        self._closed = threading.Event()
        self._watcher = self._loop = None
        for resource in self._resources:
            try:
                resource.forget()
            except Exception as error:  # noqa: BLE001 - a child must live
                self._process.fault(f"forgetting {resource.name} after a fork", error)


async def _aclosed(resource: Resource) -> BaseException | None:
    try:
        await resource.aclose()
    except Exception as error:  # noqa: BLE001 - the others are closed all the same
        return error
    return None


def _after_fork() -> None:
    for resources in tuple(_all):
        resources._forked()


os.register_at_fork(after_in_child=_after_fork)


def _opened(kind: Kind[Any, Any, Any], url: URL[Any, Any], opening: Opening, how: How) -> Any:
    _opening.depth = getattr(_opening, "depth", 0) + 1
    try:
        if how.client is not None:
            return how.client(url)
        return (kind.open_async if how.is_async else kind.open)(url, opening)
    finally:
        _opening.depth -= 1
