"""TF605: threads, tasks, child processes, descriptors and sockets that work started and that outlive it."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import sys
import threading
import time
import weakref
from dataclasses import dataclass, field
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

from twelvefactor._core.audit import listen, unlisten
from twelvefactor.factor import Finding
from twelvefactor.processes.companions import Companion
from twelvefactor.processes.frames import direct, name_of
from twelvefactor.processes.lines import LINES
from twelvefactor.processes.looking import attributes, bases_of
from twelvefactor.processes.reporting import relative
from twelvefactor.processes.rules import TF605
from twelvefactor.processes.units import due_soon, live_tasks, work_of
from twelvefactor.work import current_work

if TYPE_CHECKING:
    from collections.abc import Callable

    from twelvefactor.processes.units import Unit
    from twelvefactor.processes.watch import StateWatch

ENOUGH = 3
PATIENCE = 0.3
"""In thorough mode, how long what was started may take to end before it counts as left."""
AGE = 10.0
"""In report mode, how old it must be."""
_THREADS = ("_thread.start_new_thread", "_thread.start_joinable_thread")
_PROCESSES = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn")
_DESCRIPTORS = ("open", "socket.__new__")
_MOST = 1_000


@dataclass(slots=True)
class Left:
    """
    One thing that a unit of work started.

    Attributes:
        what: ``thread``, ``task``, ``child process``, ``descriptor`` or ``socket``.
        name: What it runs or is, by the app's own name.
        where: The line of the app that started it.
        unit: The id of the unit.
        alive: Whether it is still there.
        since: When it was started.
    """

    what: str
    name: str
    where: str
    unit: str
    alive: functools.partial[bool]
    since: float = field(default_factory=time.monotonic)


class Opened(NamedTuple):
    """Something that a unit opened by its own line."""

    kind: str
    what: Any
    where: str
    name: str


class LeftBehind(Companion):
    """What units started, and what of it is still there when they are over."""

    def __init__(self, watch: StateWatch) -> None:
        self.watch = watch
        self.process = watch.process
        self.left: list[Left] = []
        self._reported: set[tuple[str, str]] = set()
        self._unwrap: Callable[[], None] | None = None
        self._early: weakref.WeakSet[threading.Thread] = weakref.WeakSet()

    def install(self) -> None:
        """Listen to threads, processes, files and sockets being made. Idempotent."""
        listen(self._heard, *_THREADS, *_PROCESSES, *_DESCRIPTORS)
        if sys.version_info < (3, 12) and self._unwrap is None:
            self._unwrap = _wrap_thread_start(self._thread_started)
        self.process.evidence.looked(
            TF605, "threads, tasks, processes and descriptors that work started", self.watch.not_around
        )

    def remove(self) -> None:
        """Listen no more. Idempotent."""
        unlisten(self._heard)
        if self._unwrap is not None:
            self._unwrap()
            self._unwrap = None
        self.left.clear()

    def ready(self) -> None:
        """Threads of the app that run already belong to no unit."""
        for thread in threading.enumerate():
            if self._target_is_ours(thread):
                self._early.add(thread)

    def others(self) -> list[str]:
        """The names of the functions that run for no unit of work."""
        threads = [_target_name(thread) for thread in list(self._early) if thread.is_alive()]
        tasks = [task.get_coro().__name__ for task in live_tasks() if self.owns_task(task) and _nobodys(task)]
        return [name.rpartition(".")[2] for name in (*threads, *tasks)]

    # --- what the hook hears ---

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        """Quick, and never raises."""
        work = current_work()
        if work is None and event not in _THREADS:
            return
        try:
            if event in _THREADS:
                self._thread_started(args[0] if args else None)
            elif work is not None and (unit := self.watch.units.get(work)) is not None:
                self._opened(event, args, unit)
        except Exception as error:  # noqa: BLE001 - the act goes on whatever becomes of our note
            self.process.fault("processes: left behind", error)

    def _thread_started(self, function: Any) -> None:
        thread: Any = function.__self__ if type(function) is MethodType else None
        if thread is None or threading.Thread not in bases_of(thread) or not self._target_is_ours(thread):
            return
        work = current_work()
        if work is None:
            self._early.add(thread)
            return
        LINES.threads[thread] = work
        frame = self.process.app_code.frame()
        alive = functools.partial(_alive_thread, weakref.ref(thread))
        self._add(Left("thread", _target_name(thread), self.process.app_code.where(frame), work.id, alive))

    def _opened(self, event: str, args: tuple[Any, ...], unit: Unit) -> None:
        what: Any
        if event in _PROCESSES:
            kind, what = "child process", None
        elif event == "open":
            kind, what = "descriptor", args[0] if type(args[0]) is str else ""
            if not what or what.startswith(("/proc/", "/dev/")):
                return
        else:
            kind, what = "socket", weakref.ref(args[0])
        frame = self.process.app_code.frame()
        if frame is not None and direct(frame):
            opened = Opened(kind, what, self.process.app_code.where(frame), name_of(frame))
            unit.notes.setdefault("opened", []).append(opened)

    def _add(self, left: Left) -> None:
        self.left.append(left)
        if len(self.left) > _MOST:
            self.left = [each for each in self.left if each.alive()][-_MOST:]

    # --- whose is it ---

    def _owns(self, function: Any) -> bool:
        while type(function) is functools.partial:
            function = function.func
        if type(function) is MethodType:
            function = function.__func__
        if type(function) is not FunctionType:
            return False
        return self.process.app_code.owns(function.__code__.co_filename, function.__module__)

    def _target_is_ours(self, thread: Any) -> bool:
        names = attributes(thread)
        return (
            self.watch.graph.owns_class(type(thread))
            or self._owns(names.get("_target"))
            or self._owns(names.get("function"))
        )

    def owns_task(self, task: Any) -> bool:
        """Whether *task* runs a coroutine of the app."""
        code = getattr(task.get_coro(), "cr_code", None)
        return code is not None and self.watch.graph.owns_file(code.co_filename)

    # --- units ---

    def end(self, unit: Unit) -> None:
        """Note what this unit leaves, and judge what earlier ones left."""
        self._note_tasks(unit)
        self._note_opened(unit)
        self._judge(unit)

    def _note_tasks(self, unit: Unit) -> None:
        if not (self.watch.thorough or self.watch.armed):
            return
        for task in live_tasks():
            if self.owns_task(task) and self._is_of(task, unit):
                coroutine = task.get_coro()
                name = f"{coroutine.cr_frame.f_globals.get('__name__', '')}.{coroutine.__qualname__}"
                where = self._where_spawned(coroutine.cr_code, unit)
                alive = functools.partial(_alive_task, weakref.ref(task))
                self._add(Left("task", name.replace(".<locals>", ""), where, unit.id, alive))

    def _is_of(self, task: Any, unit: Unit) -> bool:
        if hasattr(task, "get_context"):
            return work_of(task) is unit.work
        return id(task) not in unit.tasks and not any(id(task) == each for each in self._known_tasks())

    def _known_tasks(self) -> set[int]:
        return {id(each.alive.args[0]()) for each in self.left if each.what == "task"}

    def _where_spawned(self, code: Any, unit: Unit) -> str:
        """The line that made a task of the coroutine, else where the coroutine is defined."""
        sites = self.watch.spawns_of(code.co_name)
        ran = [site for site in sites if site in unit.ran]
        file, line = (ran or sites or [(code.co_filename, code.co_firstlineno)])[0]
        return relative(self.process.app_code, file, line)

    def _note_opened(self, unit: Unit) -> None:
        opened = unit.notes.pop("opened", ())
        open_now = _descriptors() if opened else {}
        for each in opened:
            if each.kind == "child process":
                self._note_children(each, unit)
            else:
                self._note_descriptor(each, unit, open_now)

    def _note_descriptor(self, opened: Opened, unit: Unit, open_now: dict[str, str]) -> None:
        if opened.kind == "socket":
            self._add(Left("socket", opened.name, opened.where, unit.id, functools.partial(_alive_socket, opened.what)))
            return
        wanted = os.path.realpath(opened.what)
        known = {each.alive.args for each in self.left if each.what == "descriptor"}
        for fd, target in open_now.items():
            if target == wanted and (fd, target) not in known:
                alive = functools.partial(_alive_descriptor, fd, target)
                self._add(Left(opened.kind, opened.name, opened.where, unit.id, alive))
                return

    def _note_children(self, opened: Opened, unit: Unit) -> None:
        known = {each.alive.args[0] for each in self.left if each.what == "child process"}
        for pid in _children() - known:
            alive = functools.partial(_alive_child, pid)
            self._add(Left(opened.kind, opened.name, opened.where, unit.id, alive))

    # --- judging ---

    def glance(self) -> None:
        """In report mode: what the audit hook told of."""
        if self.left:
            self._judge(None)

    def settle(self) -> None:
        """Judge what is still there."""
        self._judge(None)

    def _judge(self, unit: Unit | None) -> None:
        places: dict[tuple[str, str], list[Left]] = {}
        for each in self.left:
            if unit is None or each.unit != unit.id:
                places.setdefault((each.what, each.where), []).append(each)
        for place, found in places.items():
            if place not in self._reported and len({each.unit for each in found}) >= ENOUGH:
                self._judge_place(place, found)

    def _judge_place(self, place: tuple[str, str], found: list[Left]) -> None:
        alive = [each for each in found if each.alive()]
        if len(alive) < len(found):
            self.left = [each for each in self.left if each in alive or each not in found]
        if len({each.unit for each in alive}) < ENOUGH:
            return
        alive = self._stay(place[0], alive)
        if len({each.unit for each in alive}) >= ENOUGH:
            self._reported.add(place)
            self._report(alive)

    def _stay(self, what: str, alive: list[Left]) -> list[Left]:
        """Those that do not end by themselves in a moment."""
        if what in {"descriptor", "socket"}:
            return alive
        if what == "task":
            return [each for each in alive if not due_soon(each.alive.args[0]())]
        if not self.watch.thorough:
            return [each for each in alive if time.monotonic() - each.since >= AGE]
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and len({each.unit for each in alive if each.alive()}) >= ENOUGH:
            time.sleep(0.01)
        return [each for each in alive if each.alive()]

    def _report(self, alive: list[Left]) -> None:
        last = alive[-1]
        units = list(dict.fromkeys(each.unit for each in alive))
        self.process.evidence.report(
            Finding(
                TF605,
                f"{len(units)} units of work each left a {last.what} behind: {last.name}",
                culprit=last.name,
                where=last.where,
                evidence={"what": last.what, "alive": len(alive), "works": units[:8]},
                work=units[0],
                count=len(units),
            )
        )


def _nobodys(task: Any) -> bool:
    """Whether *task* was started outside of any unit of work; where Python cannot say, it may be."""
    return not hasattr(task, "get_context") or work_of(task) is None


def _target_name(thread: Any) -> str:
    names = attributes(thread)
    target = names.get("_target") or names.get("function")
    while type(target) is functools.partial:
        target = target.func
    if type(target) is MethodType:
        target = target.__func__
    if type(target) is not FunctionType:
        return f"{type(thread).__module__}.{type(thread).__qualname__}"
    return f"{target.__module__}.{target.__qualname__}".replace(".<locals>", "")


def _alive_thread(thread: weakref.ref[threading.Thread]) -> bool:
    found = thread()
    return found is not None and found.is_alive()


def _alive_task(task: weakref.ref[Any]) -> bool:
    found = task()
    return found is not None and not found.done() and not found.get_loop().is_closed()


def _alive_socket(made: weakref.ref[Any]) -> bool:
    found = made()
    return found is not None and socket.socket.fileno(found) >= 0


def _alive_descriptor(fd: str, target: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}") == target  # noqa: PTH115 - a string in, a string out
    except OSError:
        return False


def _alive_child(pid: int) -> bool:
    return pid in _children()


def _descriptors() -> dict[str, str]:
    """What every open descriptor leads to."""
    found: dict[str, str] = {}
    try:
        numbers = os.listdir("/proc/self/fd")  # noqa: PTH208 - names are enough
    except OSError:
        return found
    for number in numbers:
        with contextlib.suppress(OSError):
            found[number] = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115 - a string in, a string out
    return found


def _children() -> set[int]:
    """The child processes, dead ones that nobody waited for among them."""
    found: set[int] = set()
    try:
        threads = os.listdir("/proc/self/task")  # noqa: PTH208 - names are enough
    except OSError:
        return found
    for thread in threads:
        with contextlib.suppress(OSError), open(f"/proc/self/task/{thread}/children") as children:  # noqa: PTH123
            found.update(map(int, children.read().split()))
    return found


def _wrap_thread_start(started: Callable[[Any], None]) -> Callable[[], None]:
    """Before Python 3.12 no audit event tells that a thread starts: wrap the one function that starts them."""
    original = threading._start_new_thread  # type: ignore[attr-defined]  # noqa: SLF001

    def start(function: Any, *args: Any) -> Any:
        with contextlib.suppress(Exception):
            started(function)
        return original(function, *args)

    threading._start_new_thread = start  # type: ignore[attr-defined]  # noqa: SLF001

    def undo() -> None:
        if threading._start_new_thread is start:  # type: ignore[attr-defined]  # noqa: SLF001
            threading._start_new_thread = original  # type: ignore[attr-defined]  # noqa: SLF001

    return undo
