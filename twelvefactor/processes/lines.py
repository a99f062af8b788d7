"""
Which lines of the app ran, and for whom: ``sys.monitoring`` (Python 3.12 and later), for as long as somebody asks.

Only lines that may write are listened to; the others disable themselves the first time they run. Nothing is armed while
nothing is suspected in production; in thorough mode each function of the app arms itself when it first runs.
"""

from __future__ import annotations

import inspect
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from twelvefactor.processes.probes import SOMEONE
from twelvefactor.work import current_work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

    from twelvefactor.processes.probes import Probe
    from twelvefactor.work import Work

monitoring: Any = getattr(sys, "monitoring", None)
AVAILABLE = monitoring is not None
MOST_HITS = 200
"""After so many hits in one unit a line is known to be hot, and rests until the next unit."""
FEW_HITS = 16
"""The same while nothing is suspected; it then rests until something is."""

_WRITES = frozenset(
    {
        "STORE_GLOBAL",
        "STORE_ATTR",
        "STORE_SUBSCR",
        "STORE_SLICE",
        "STORE_DEREF",
        "STORE_NAME",
        "DELETE_GLOBAL",
        "DELETE_ATTR",
        "DELETE_SUBSCR",
        "DELETE_DEREF",
        "BINARY_OP",
        "FOR_ITER",
    }
)


def _opcodes() -> tuple[frozenset[int], int]:
    import dis

    calls = {code for name, code in dis.opmap.items() if name.startswith("CALL") and "INTRINSIC" not in name}
    return frozenset({dis.opmap[name] for name in _WRITES if name in dis.opmap} | calls), dis.opmap["BINARY_OP"]


_writing: frozenset[int] = frozenset()
_binary = 0


def writing_lines(code: CodeType) -> frozenset[int]:
    """The lines of *code* that store into something or call something."""
    global _writing, _binary
    if not _writing:
        _writing, _binary = _opcodes()
    raw = code.co_code
    found = set()
    for start, stop, line in code.co_lines():
        if line is not None and line not in found:
            for offset in range(start, stop, 2):
                opcode = raw[offset]
                if opcode in _writing and (opcode != _binary or raw[offset + 1] >= _FIRST_INPLACE):
                    found.add(line)
                    break
    return frozenset(found)


def codes(code: CodeType) -> Iterator[CodeType]:
    """*code* and the functions that it makes."""
    yield code
    for inner in code.co_consts:
        if type(inner) is type(code):
            yield from codes(inner)


def stored_names(code: CodeType) -> set[str]:
    """The attribute names that *code* binds; where it calls ``setattr``, every text in it may be one."""
    import dis

    store = {dis.opmap["STORE_ATTR"], dis.opmap["DELETE_ATTR"]}
    raw, names = code.co_code, code.co_names
    found, extended = set(), 0
    for offset in range(0, len(raw), 2):
        opcode, argument = raw[offset], raw[offset + 1] | extended
        extended = argument << 8 if opcode == dis.EXTENDED_ARG else 0
        if opcode in store and argument < len(names):
            found.add(names[argument])
    if "setattr" in names or "delattr" in names or "__dict__" in names:
        found.update(each for each in code.co_consts if type(each) is str)
    return found


_FIRST_INPLACE = 13  # NB_INPLACE_ADD: += and its like

_key_of: Callable[[CodeType], int] = object.__hash__
"""By address: a code object's own hash reads all of its instructions each time."""

Hit = tuple[int, int]


class LineWatch:
    """
    The one listener to lines of this process; units of work that are tracked have a set of the lines they ran.

    Thread-safe; a fault of a callback disables what raised it.
    """

    def __init__(self) -> None:
        self._tool: int | None = None
        self._users = 0
        self._lock = threading.RLock()
        self._owners: list[Callable[[CodeType], bool]] = []
        self._lines: dict[int, frozenset[int]] = {}
        self._codes: dict[int, CodeType] = {}
        self._rested: set[int] = set()
        self.hits: dict[Work | None, dict[Hit, int]] = {None: {}}
        self.threads: weakref.WeakKeyDictionary[threading.Thread, Work] = weakref.WeakKeyDictionary()
        self.outside = 0
        self.probes: tuple[Probe, ...] = ()

    @property
    def armed(self) -> bool:
        """Whether lines are listened to."""
        return self._tool is not None

    def arm(self, owns: Callable[[CodeType], bool]) -> bool:
        """Listen to the app's functions as they run; False where no monitoring tool is free. Counted."""
        if not AVAILABLE:
            return False
        with self._lock:
            if self._tool is None and not self._take():
                return False
            self._users += 1
            self._owners.append(owns)
            monitoring.restart_events()
            self._arm_what_runs()
            return True

    def _arm_what_runs(self) -> None:
        """The functions that threads are in already will not start again."""
        for top in sys._current_frames().values():  # the only way  # noqa: SLF001
            frame: FrameType | None = top
            while frame is not None:
                self._started(frame.f_code, 0)
                frame = frame.f_back

    def _take(self) -> bool:
        tool = next((each for each in (4, 3, 5, 2, 1, 0) if monitoring.get_tool(each) is None), None)
        if tool is None:
            return False
        monitoring.use_tool_id(tool, "twelvefactor")
        events = monitoring.events
        monitoring.register_callback(tool, events.PY_START, self._started)
        monitoring.register_callback(tool, events.PY_RESUME, self._started)
        monitoring.register_callback(tool, events.LINE, self._line)
        monitoring.register_callback(tool, events.PY_RETURN, self._returned)
        monitoring.register_callback(tool, events.PY_YIELD, self._returned)
        monitoring.set_events(tool, events.PY_START | events.PY_RESUME)
        self._tool = tool
        return True

    def disarm(self, owns: Callable[[CodeType], bool]) -> None:
        """One user less; with the last, every function has its plain speed again."""
        with self._lock:
            if owns not in self._owners:
                return
            self._owners.remove(owns)
            self._users -= 1
            if self._users == 0:
                self._release()

    def _release(self) -> None:
        tool, self._tool = self._tool, None
        if tool is None:
            return
        monitoring.set_events(tool, 0)
        for code in list(self._codes.values()):
            monitoring.set_local_events(tool, code, 0)
        monitoring.register_callback(tool, monitoring.events.PY_START, None)
        monitoring.register_callback(tool, monitoring.events.PY_RESUME, None)
        monitoring.register_callback(tool, monitoring.events.LINE, None)
        monitoring.register_callback(tool, monitoring.events.PY_RETURN, None)
        monitoring.register_callback(tool, monitoring.events.PY_YIELD, None)
        monitoring.free_tool_id(tool)
        self._lines.clear()
        self._codes.clear()
        self._rested.clear()
        self.hits.clear()
        self.hits[None] = {}

    def track(self, work: Work) -> None:
        """Note the lines that *work* runs from now on."""
        if self._tool is not None:
            self.hits[work] = {}
            if self._rested and self.probes:
                self._wake()  # while nothing is suspected, what is hot may go on resting

    def forget(self, work: Work) -> None:
        """Note them no longer, and let go of what was noted."""
        self.hits.pop(work, None)

    def ran(self, work: Work | None) -> frozenset[tuple[str, int]]:
        """The (file, line) that *work* ran, or that ran for nobody."""
        return frozenset((self._codes[key].co_filename, line) for key, line in list(self.hits.get(work, ())))

    def _wake(self) -> None:
        """Lines that rested are heard again, and those of background code are counted anew."""
        self.hits[None] = dict.fromkeys(self.hits.get(None, ()), 1)
        rested, self._rested = self._rested, set()
        for key in rested:
            code = self._codes[key]
            monitoring.set_local_events(self._tool or 0, code, 0)
            monitoring.set_local_events(self._tool or 0, code, _events_of(code))

    def _owned(self, code: CodeType) -> bool:
        return any(owns(code) for owns in self._owners)

    def _started(self, code: CodeType, _: int) -> Any:
        """A function runs for the first time: the app's own are armed, the rest is left alone for good."""
        tool = self._tool
        if tool is not None and _key_of(code) not in self._lines and self._owned(code):
            lines = writing_lines(code)
            if lines:
                self._codes[_key_of(code)] = code  # alive, so that its address stays its own
                self._lines[_key_of(code)] = lines
                monitoring.set_local_events(tool, code, _events_of(code))
        return monitoring.DISABLE

    def _by_thread(self) -> Any:
        """Whose code a thread runs that knows no context: that of the unit that started it, or that feeds the pool."""
        thread = threading.current_thread()
        work = self.threads.get(thread)
        if work is not None or not _is_pool(thread):
            return work
        units = [each for each in list(self.hits) if each is not None]
        return units[0] if len(units) == 1 else SOMEONE if units else None

    def _returned(self, code: CodeType, _: int, __: object) -> Any:
        """A function of the app ends, or a generator gives way: its caller's line runs on without another event."""
        if not self.probes:
            self._rested.add(_key_of(code))
            return monitoring.DISABLE  # until something is suspected
        caller = sys._getframe(1).f_back  # noqa: SLF001 - the only way
        if caller is not None and _key_of(caller.f_code) in self._lines:
            work = self._work()
            for probe in self.probes:
                probe.returned(caller, work)
        return None

    def _work(self) -> Any:
        work = current_work()
        return self._by_thread() if work is None else work

    def _line(self, code: CodeType, line: int) -> Any:
        key = _key_of(code)
        lines = self._lines.get(key)
        if lines is None or line not in lines:
            return monitoring.DISABLE
        work = self._work()
        hits = self.hits.get(work)
        for probe in self.probes:
            probe(code, line, work)
        if work is None or hits is None:
            self.outside += 1
        if hits is None:
            return None  # a unit that nobody tracks, or one that is over
        hit = (key, line)
        seen = hits[hit] = hits.get(hit, 0) + 1
        if seen >= (MOST_HITS if self.probes else FEW_HITS):
            self._rested.add(key)
            return monitoring.DISABLE
        return None


def _events_of(code: CodeType) -> int:
    events = monitoring.events
    ends = events.PY_YIELD if code.co_flags & inspect.CO_GENERATOR else 0
    return int(events.LINE | events.PY_RETURN | ends)


def _is_pool(thread: threading.Thread) -> bool:
    target = thread.__dict__.get("_target")
    return getattr(target, "__module__", "") == "concurrent.futures.thread"


LINES = LineWatch()
"""The line watch of this process: monitoring tools are few, and several services share it."""
