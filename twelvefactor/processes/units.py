"""The units of work that are watched, and what is remembered of them."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from twelvefactor.processes.lines import LINES
from twelvefactor.processes.looking import attribute, class_name
from twelvefactor.processes.tokens import of_work
from twelvefactor.work import _current  # the context of another task is asked, not ours

if TYPE_CHECKING:
    from twelvefactor.work import Work

BARRIER = 10.0
"""Seconds after which a unit no longer holds back a verdict about others."""

SOON = 1.0
"""A task that is due to wake up within so many seconds is given that time."""

_ROUTE = "twelvefactor.route"
_NUMBERED = re.compile(r"[^/]*\d[^/]*|[^/]{24,}")


class Unit:
    """
    A unit of work that is watched; once closed it holds nothing of the work but what recognises its data.

    Attributes:
        work: The unit itself; None once it is over.
        id: Its id.
        number: Its place in the order of watched units.
        warm: Whether it is the first of its route, whose changes may be lazy initialisation.
        notes: What the companions remember until its end.
        tasks: The tasks that ran when it began, where Python cannot say whose they are.
    """

    __slots__ = ("_ran", "_tokens", "id", "notes", "number", "tasks", "warm", "work")

    def __init__(self, work: Work, number: int) -> None:
        self.work: Work | None = work
        self.id = work.id
        self.number = number
        self.warm = False
        self.notes: dict[str, Any] = {}
        self.tasks: frozenset[int] = frozenset()
        self._tokens: frozenset[str] | None = None
        self._ran: frozenset[tuple[str, int]] | None = None

    @property
    def tokens(self) -> frozenset[str]:
        """What it brought, as tokens; read once, when somebody asks."""
        if self._tokens is None:
            self._tokens = frozenset() if self.work is None else of_work(self.work)
        return self._tokens

    @property
    def ran(self) -> frozenset[tuple[str, int]]:
        """The (file, line) of the app that it ran, where lines are armed."""
        if self._ran is not None:
            return self._ran
        return frozenset() if self.work is None else LINES.ran(self.work)

    @property
    def carrier(self) -> Any:
        """What brought it; None once it is over."""
        return None if self.work is None else self.work.carrier

    def close(self, *, keep_lines: bool) -> None:
        """It is over: let go of the work. *keep_lines* where a verdict still waits for it."""
        if self.work is None:
            return
        self._tokens = self.tokens
        _forget_body(self.work.carrier)
        self._ran = self.ran if keep_lines else frozenset()
        LINES.forget(self.work)
        self.work = None
        self.notes.clear()

    def __repr__(self) -> str:
        return f"<Unit {self.number} {self.id}>"


def _forget_body(carrier: Any) -> None:
    """What was copied of a body is not kept by whoever keeps the request."""
    copy = carrier.pop("twelvefactor.body", None) if type(carrier) is dict else None
    if type(copy) is bytearray:
        copy.clear()


def route_of(work: Work) -> tuple[str, str]:
    """
    What kind of work this is: the endpoint or route where the framework says it, else the shape of the name.

    Two units of one route run the same code, so what only the first of them changes is lazy initialisation.
    """
    carrier = work.carrier
    if type(carrier) is dict:
        method = carrier.get("method") or carrier.get("REQUEST_METHOD") or ""
        told = _told(carrier) or (work.name if "<" in work.name or "{" in work.name else "")
        if told:
            return (f"{work.kind} {method}", told)
        path = carrier.get("path") or carrier.get("PATH_INFO")
        if type(path) is str:
            return (f"{work.kind} {method}", shape(path))
    return (work.kind, shape(work.name))


def _told(carrier: dict[str, Any]) -> str:
    """What a framework wrote about the route: Starlette's endpoint, werkzeug's rule, Django's match."""
    endpoint = carrier.get("endpoint")
    if endpoint is not None:
        name = attribute(endpoint, "__qualname__") if type(endpoint) is type else getattr_function(endpoint)
        return name or class_name(type(endpoint))
    request = carrier.get("werkzeug.request")
    rule = attribute(attribute(request, "url_rule"), "rule") if request is not None else carrier.get(_ROUTE)
    return rule if type(rule) is str else ""


def getattr_function(value: Any) -> str:
    """The qualified name of a plain function, else an empty string."""
    import types

    return f"{value.__module__}.{value.__qualname__}" if type(value) is types.FunctionType else ""


def shape(path: str) -> str:
    """
    A path without its parameters.

    >>> shape("/orders/1234/lines")
    '/orders/*/lines'
    """
    return "/".join(_NUMBERED.sub("*", part) for part in path.split("/"))


def work_of(task: Any) -> Work | None:
    """The unit of work that *task* was started in (Python 3.12 and later), or None."""
    return task.get_context().get(_current)  # type: ignore[no-any-return]  # what it calls is typed as Any


def live_tasks() -> list[Any]:
    """The unfinished tasks of the loop that runs here, without the current one."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return []
    loop = asyncio._get_running_loop()  # the public way raises where there is none  # noqa: SLF001
    if loop is None:
        return []
    current = asyncio.current_task(loop)
    return [task for task in asyncio.all_tasks(loop) if task is not current]


def due_soon(task: Any) -> bool:
    """Whether *task* sleeps and its time is nearly over, or is about to run."""
    if task is None or task.done():
        return False
    waiter = getattr(task, "_fut_waiter", None)
    if waiter is None or waiter.done():
        return True  # it has not begun to wait, or no longer does
    loop = task.get_loop()
    if any(_wakes(handle, waiter) for handle in list(getattr(loop, "_ready", ()))):
        return True
    timers = [handle for handle in list(getattr(loop, "_scheduled", ())) if _wakes(handle, waiter)]
    return any(timer.when() - loop.time() < SOON for timer in timers)


def _wakes(handle: Any, waiter: Any) -> bool:
    return any(each is waiter for each in handle._args or ())  # a timer tells it only there  # noqa: SLF001
