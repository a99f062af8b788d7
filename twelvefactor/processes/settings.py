"""TF606: settings that belong to the whole process, compared before and after a unit of work."""

from __future__ import annotations

import locale
import logging
import os
import random
import signal
import socket
import sys
import time
import warnings
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from twelvefactor.factor import Finding
from twelvefactor.processes.companions import Companion
from twelvefactor.processes.reporting import relative
from twelvefactor.processes.rules import TF606

if TYPE_CHECKING:
    from collections.abc import Callable

    from twelvefactor.processes.units import Unit
    from twelvefactor.processes.watch import StateWatch

_TWISTS = 64
_AT_A_GLANCE = 2
_DEAR = frozenset({"umask"})
_DEAR_ROUNDS = 4
_WORDS = 624


class Setting:
    """
    One setting.

    Attributes:
        name: What it is called in a finding.
        read: How it is asked for.
        calls: The functions that change it; a change is the app's only where its code calls one of them.
        names: Their last names.
    """

    __slots__ = ("calls", "name", "names", "read")

    def __init__(self, name: str, read: Callable[[], Any], *calls: str) -> None:
        self.name = name
        self.read = read
        self.calls = frozenset(calls)
        self.names = frozenset(call.rpartition(".")[2] for call in calls)


def _cwd() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - compared, never used
    except OSError:
        return ""


def _umask() -> bytes:
    """From procfs: asking the kernel would set it."""
    try:
        with open("/proc/self/status", "rb", buffering=0) as status:  # noqa: PTH123 - as quick as possible
            _, _, rest = status.read(256).partition(b"Umask:")
    except OSError:
        return b""
    return rest.partition(b"\n")[0]


def _handlers() -> tuple[Any, ...]:
    return tuple(map(_getsignal, _SIGNALS))


_getsignal = vars(sys.modules["_signal"])["getsignal"]  # the public one makes an enumeration member of each answer
_SIGNALS = sorted(map(int, signal.valid_signals() - {signal.SIGINT, signal.SIGKILL, signal.SIGSTOP}))


def _loggers() -> dict[str, Any]:
    """Level, handlers, filters and propagation of every logger, by identity."""
    found = {"": _logger(logging.root)}
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if logging.Logger in type(logger).__mro__:
            found[name] = _logger(logger)
    return found


def _logger(logger: Any) -> tuple[Any, ...]:
    names = logger.__dict__
    handlers, filters = names.get("handlers"), names.get("filters")
    return (
        names.get("level"),
        names.get("disabled"),
        names.get("propagate"),
        tuple(map(id, handlers)) if type(handlers) is list else (),
        tuple(map(id, filters)) if type(filters) is list else (),
    )


def _known_loggers_changed(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether a logger that was there is set up differently; one that appears inherits, unless it has handlers."""
    plain = (0, False, True, (), ())
    return any(new[name] != old.get(name, plain) for name in new if name in old or new[name][3] or new[name][0] != 0)


SETTINGS = (
    Setting("cwd", _cwd, "chdir", "fchdir"),
    Setting("umask", _umask, "umask"),
    Setting("locale", lambda: locale.setlocale(locale.LC_ALL), "setlocale"),
    Setting("time zone", lambda: (time.tzname, time.timezone), "tzset"),
    Setting("signal handlers", _handlers, "signal", "siginterrupt", "add_signal_handler"),
    Setting(
        "sys.path",
        lambda: tuple(sys.path),
        "path.append",
        "path.insert",
        "path.extend",
        "path.remove",
        "path.pop",
        "addsitedir",
        "sys.path",
    ),
    Setting("recursion limit", sys.getrecursionlimit, "setrecursionlimit"),
    Setting(
        "warnings filter",
        lambda: tuple(map(id, warnings.filters)),
        "simplefilter",
        "filterwarnings",
        "resetwarnings",
    ),
    Setting(
        "logging",
        _loggers,
        "setLevel",
        "addHandler",
        "removeHandler",
        "basicConfig",
        "dictConfig",
        "fileConfig",
        "addFilter",
        "removeFilter",
        "level",
        "handlers",
        "propagate",
        "disabled",
        "handlers.clear",
        "handlers.append",
    ),
    Setting("logging.disable", lambda: logging.root.manager.disable, "disable"),
    Setting("socket default timeout", socket.getdefaulttimeout, "setdefaulttimeout"),
    Setting("switch interval", sys.getswitchinterval, "setswitchinterval"),
    Setting(
        "standard streams",
        lambda: (id(sys.stdout), id(sys.stderr), id(sys.stdin)),
        "sys.stdout",
        "sys.stderr",
        "sys.stdin",
    ),
    Setting("hooks", lambda: (id(sys.excepthook), id(sys.displayhook)), "excepthook", "displayhook"),
    Setting("random seed", random.getstate, "seed", "setstate"),
)


Call = tuple[str, int, int, str]


class Settings(Companion):
    """Compares the settings at the begin and the end of watched units."""

    def __init__(self, watch: StateWatch) -> None:
        self.watch = watch
        self._able: tuple[Setting, ...] = SETTINGS
        self._last: list[Any] = []
        self._turn = 0
        self._round = 0

    def install(self) -> None:
        """Say that somebody looks."""
        self.watch.process.evidence.looked(TF606, "process-wide settings before and after work", self.watch.not_around)

    def ready(self) -> None:
        """Remember how start-up left them."""
        mentions = self.watch.graph.mentions()
        self._able = tuple(setting for setting in SETTINGS if setting.names & mentions)
        self._last = [] if self.watch.thorough else [setting.read() for setting in self._able]

    def _possible(self) -> tuple[Setting, ...]:
        """The settings that some line of the app could change."""
        if self.watch.graph.grew():
            self.ready()
        return self._able

    def glance(self) -> None:
        """In report mode: two of the settings, in turn, against the last time; nobody is blamed."""
        for _ in range(_AT_A_GLANCE if self._last else 0):
            self._turn = (self._turn + 1) % len(self._last)
            self._round += self._turn == 0
            if self._able[self._turn].name in _DEAR and self._round % _DEAR_ROUNDS:
                continue
            setting, old = self._able[self._turn], self._last[self._turn]
            self._last[self._turn] = new = setting.read()
            if new != old and self._is_news(setting, old, new):
                self._report(setting, None)

    def begin(self, unit: Unit) -> None:
        """Remember how they are."""
        if not self.watch.thorough:
            return
        unit.notes["settings"] = [(setting, setting.read()) for setting in self._possible()]

    def end(self, unit: Unit) -> None:
        """Report what is different, where the app's code can have made it so."""
        before = unit.notes.pop("settings", None)
        if before is None:
            return
        for setting, old in before:
            new = setting.read()
            if new != old and self._is_news(setting, old, new):
                self._report(setting, unit)

    def _is_news(self, setting: Setting, old: Any, new: Any) -> bool:
        if setting.name == "logging":
            return _known_loggers_changed(old, new)
        if setting.name == "signal handlers":
            return any(
                was is not now and (self._ours(now) or now in (signal.SIG_IGN, signal.SIG_DFL))
                for was, now in zip(old, new, strict=True)
            )
        if setting.name == "random seed":
            return seeded(old, new)
        return True

    def _ours(self, handler: Any) -> bool:
        if type(handler) is MethodType:
            handler = handler.__func__
        return type(handler) is FunctionType and self.watch.process.app_code.owns(
            handler.__code__.co_filename, handler.__module__
        )

    def _report(self, setting: Setting, unit: Unit | None) -> None:
        sites = self.watch.calls_of(setting.calls)
        if sites:  # else no line of the app can have done it
            self._report_sites(setting, unit, sites)

    def _report_sites(self, setting: Setting, unit: Unit | None, sites: list[Call]) -> None:
        ran_lines = frozenset() if unit is None else unit.ran
        ran = [site for site in sites if any((site[0], line) in ran_lines for line in range(site[1], site[2] + 1))]
        if not ran and ran_lines and self.watch.armed:
            return  # lines are known, and none of those ran for this unit
        file, line, _, function = (ran or sites)[0]
        blamed = unit.id if unit is not None and (ran or self.watch.alone(unit)) else None
        self.watch.process.evidence.report(
            Finding(
                TF606,
                f"the {setting.name} of the process was changed during work",
                culprit=setting.name,
                where=relative(self.watch.process.app_code, file, line),
                evidence={
                    "certainty": "certain" if len(ran) == 1 else "likely",
                    "function": function,
                    "works": [blamed] if blamed else [],
                },
                work=blamed,
            )
        )


def seeded(old: tuple[Any, ...], new: tuple[Any, ...]) -> bool:
    """
    Whether the global generator was seeded between two states, and not only drawn from.

    >>> state = random.getstate()
    >>> _ = random.random()
    >>> seeded(state, random.getstate())
    False
    """
    if old[1][:_WORDS] == new[1][:_WORDS]:
        return bool(new[1][_WORDS] < old[1][_WORDS])
    twin = random.Random()  # noqa: S311 - to draw what the other may have drawn
    twin.setstate(old)
    for _ in range(_TWISTS):
        twin.getrandbits(32 * _WORDS)
        state = twin.getstate()[1]
        if state[:_WORDS] == new[1][:_WORDS]:
            return False
    return True
