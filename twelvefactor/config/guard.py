"""
See who reads the environment around the config, and who changes it after start.

``os.environ`` gets another class while somebody watches; undone, it is what it was. So ``from os import environ`` done
before is seen too, and nothing is replaced.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from twelvefactor._core import audit
from twelvefactor.config import exposure
from twelvefactor.config.known import is_known
from twelvefactor.config.rules import TF302, TF305
from twelvefactor.factor import Finding
from twelvefactor.work import current_work

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from twelvefactor._core.process import Process
    from twelvefactor.config.settings import Config

_Plain: type[Any] = type(os.environ)
_frame = sys._getframe  # the public way is ten times slower  # noqa: SLF001
_GETENV = os.getenv.__code__
_GETENVB = os.getenvb.__code__
_watchers: tuple[Reads, ...] = ()
_innocent: dict[int, CodeType] = {}  # code that is nobody's app; held, so that its id stays its own
_judged: dict[object, dict[int, CodeType]] = {}  # by name, the app's code that was seen to read it
_copies: dict[tuple[int, int], CodeType] = {}  # places in code that read everything
_MOST = 10_000  # of each; code that is made anew for ever must not fill the memory
_NONE: dict[int, CodeType] = {}
_lock = threading.Lock()
_ENCODING = sys.getfilesystemencoding()


class Observed(_Plain):  # type: ignore[misc]  # the class of os.environ has no public name
    """
    ``os.environ`` while reads of it are watched; a read costs at most twice as much.

    So encoding and decoding are written out here, where the standard library calls a function for each.
    """

    def __getitem__(self, key: str) -> Any:
        frame = _frame(1)
        spot = id(frame.f_code)
        if spot not in _innocent and spot not in _judged.get(key, _NONE):
            _judge(frame, key)
        try:
            raw = self._data[key.encode(_ENCODING, "surrogateescape")]
        except (AttributeError, KeyError):
            return _Plain.__getitem__(self, key)
        return raw.decode(_ENCODING, "surrogateescape")

    def get(self, key: str, default: Any = None) -> Any:
        """As ever; a read as well."""
        frame = _frame(1)
        code = frame.f_code
        if code is _GETENV:
            frame = frame.f_back or frame
            code = frame.f_code
        spot = id(code)
        if spot not in _innocent and spot not in _judged.get(key, _NONE):
            _judge(frame, key)
        try:
            raw = self._data.get(key.encode(_ENCODING, "surrogateescape"))
        except AttributeError:
            return _Plain.get(self, key, default)
        return default if raw is None else raw.decode(_ENCODING, "surrogateescape")

    def keys(self) -> Any:
        """As ever; ``dict(os.environ)`` asks for it first, and then reads every name in that place."""
        frame = _frame(1)
        if len(_copies) < _MOST:
            _copies[id(frame.f_code), frame.f_lasti] = frame.f_code
        return _Plain.keys(self)

    def __contains__(self, key: object) -> bool:
        frame = _frame(1)
        spot = id(frame.f_code)
        if spot not in _innocent and spot not in _judged.get(key, _NONE):
            _judge(frame, key)
        try:
            return self.encodekey(key) in self._data
        except TypeError:
            return bool(_Plain.__contains__(self, key))


class ObservedBytes(_Plain):  # type: ignore[misc]  # as above
    """``os.environb`` while reads of it are watched."""

    def __getitem__(self, key: bytes) -> Any:
        _judge_slowly(_frame(1), key)
        return _Plain.__getitem__(self, key)

    def get(self, key: bytes, default: Any = None) -> Any:
        """As ever; a read as well."""
        _judge_slowly(_frame(1), key)
        return _Plain.get(self, key, default)


_CLASSES = ((os.environ, Observed), (os.environb, ObservedBytes))


def _judge_slowly(frame: FrameType, key: object) -> None:
    if frame.f_code is _GETENVB and frame.f_back is not None:
        frame = frame.f_back
    if id(frame.f_code) not in _innocent:
        _judge(frame, key)


def _judge(frame: FrameType, key: object) -> None:
    """Tell the watchers of a read by code that may be the app's, and remember the verdict."""
    code = frame.f_code
    if (id(code), frame.f_lasti) in _copies:
        return
    watchers = [watcher for watcher in _watchers if watcher.is_app(frame)]
    known = _innocent
    if watchers:
        known = _judged.setdefault(key, {}) if len(_judged) < _MOST else {}
    if len(known) < _MOST:
        known[id(code)] = code
    for watcher in watchers:
        watcher.saw(frame, key)


def _forget() -> None:
    """What is nobody's to one watcher may be another's app."""
    for known in (_innocent, _judged, _copies):
        known.clear()


def _watch(watcher: Reads) -> None:
    global _watchers  # noqa: PLW0603 - the environment is the process's
    with _lock:
        _forget()
        _watchers = (*(each for each in _watchers if each is not watcher), watcher)
        for environ, observed in _CLASSES:
            if type(environ) is _Plain:
                environ.__class__ = observed


def _unwatch(watcher: Reads) -> None:
    global _watchers  # noqa: PLW0603 - as above
    with _lock:
        _watchers = tuple(each for each in _watchers if each is not watcher)
        if not _watchers:
            _forget()
            for environ, observed in _CLASSES:
                if type(environ) is observed:  # only if nobody came after us
                    environ.__class__ = _Plain


class Reads:
    """TF302: single variables that app code reads around the config, by the line that reads."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._places: set[tuple[int, int]] = set()

    def install(self) -> None:
        """Begin to look."""
        if type(os.environ) not in {_Plain, Observed}:
            self._process.evidence.could_not_look(
                TF302, f"os.environ is a {type(os.environ).__name__} that somebody else put there"
            )
            return
        _watch(self)
        self._process.evidence.looked(TF302, "reads of os.environ by app code since the start")

    def remove(self) -> None:
        """Look no more; os.environ is what it was."""
        _unwatch(self)

    def is_app(self, frame: FrameType) -> bool:
        """Whether *frame* is the app's."""
        try:
            return self._process.app_code.owns(frame.f_code.co_filename, frame.f_globals.get("__name__"))
        except Exception as error:  # noqa: BLE001 - a read never fails because of us
            self._process.fault("environment guard", error)
            return False

    def saw(self, frame: FrameType, key: object) -> None:
        """The app reads *key*; reported unless it is exempt."""
        try:
            self._report(frame, key)
        except Exception as error:  # noqa: BLE001 - as above
            self._process.fault("environment guard", error)

    def _report(self, frame: FrameType, key: object) -> None:
        name = key.decode(errors="replace") if isinstance(key, bytes) else str(key)
        place = (id(frame.f_code), frame.f_lasti)
        if is_known(name) or place in self._places:
            return  # a loop over names is one place
        self._places.add(place)
        work = current_work()
        function = f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}"
        self._process.evidence.report(
            Finding(
                TF302,
                f"{function} reads {name} from the environment itself",
                culprit=f"{function}:{name}",
                where=self._process.app_code.where(frame),
                hint=_hint(self._process, name),
                work=None if work is None else work.id,
            )
        )


def _hint(process: Process, name: str) -> str:
    """What to read instead, where it is declared."""
    config = process.config
    if config is None:
        return ""
    from twelvefactor.config.loading import plan_of

    for variable in plan_of(type(config)).leaves:
        if name.upper() in variable.names:
            return f"read service.config.{variable.attribute} instead"
    return f"declare {name.lower()} on {type(config).__name__} and read service.config.{name.lower()}"


class Writes:
    """TF305: app code that changes the environment or the config after start."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._before: dict[str, str] = {}

    def install(self) -> None:
        """Begin to look."""
        audit.listen(self._environment, "os.putenv", "os.unsetenv")
        exposure.watch(self._assigned)
        self._before = exposure.fingerprints(self._process.config)
        self._process.evidence.looked(TF305, "changes of the environment and of the config since the start")

    def remove(self) -> None:
        """Look once more for values that changed in place, then no more."""
        audit.unlisten(self._environment)
        exposure.unwatch(self._assigned)
        after = exposure.fingerprints(self._process.config)
        for name in self._before:
            if after.get(name) != self._before[name]:
                self._report(f"config.{name}", f"service.config.{name} was changed in place", None)
        self._before = {}

    def _environment(self, event: str, args: tuple[Any, ...]) -> None:
        try:
            frame = _changer()
            if frame is None or not self._process.app_code.owns(
                frame.f_code.co_filename, frame.f_globals.get("__name__")
            ):
                return
            name = os.fsdecode(args[0])
            verb = "sets" if event == "os.putenv" else "unsets"
            function = f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}"
            self._report(f"{function}:{name}", f"{function} {verb} {name} in the environment after start", frame)
        except Exception as error:  # noqa: BLE001 - a listener's fault would stop the act
            self._process.fault("environment guard", error)

    def _assigned(self, config: Config, name: str) -> None:
        if config is self._process.config:
            frame = self._process.app_code.frame(2)
            self._report(f"config.{name}", f"something tried to assign service.config.{name}", frame)

    def _report(self, culprit: str, message: str, frame: FrameType | None) -> None:
        work = current_work()
        self._process.evidence.report(
            Finding(
                TF305,
                message,
                culprit=culprit,
                where=self._process.app_code.where(frame),
                work=None if work is None else work.id,
            )
        )


_PASSED_ON = (os.__file__, "<frozen os>", "<frozen _collections_abc>", __file__, audit.__file__)


def _changer() -> FrameType | None:
    """The frame that changed the environment, past those of ``os`` itself, which only pass it on."""
    frame: FrameType | None = _frame(2)
    while frame is not None and (
        frame.f_code.co_filename in _PASSED_ON or frame.f_code.co_filename.endswith("_collections_abc.py")
    ):
        frame = frame.f_back
    return frame
