"""TF504: app code that is written, reloaded or executed from a data directory while the app runs."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from twelvefactor._core import audit
from twelvefactor._core.enforcement import enforced
from twelvefactor._core.reloading import reloader
from twelvefactor.build_release_run.rules import TF504
from twelvefactor.exceptions import FactorViolation
from twelvefactor.factor import Finding
from twelvefactor.work import current_work

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from twelvefactor._core.process import Process
    from twelvefactor.codebase.places import Places

_WRITES = os.O_WRONLY | os.O_RDWR
_IMPORTLIB = "<frozen importlib._bootstrap>"


class Generated:
    """Listens for files that are opened for writing or put in place, and for code that is executed."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._enforced = enforced(process.environ, TF504.id)
        self._places: Places | None = None
        self._inside = threading.local()

    def install(self) -> None:
        """Begin to listen."""
        root = self._process.app_code.root
        found = reloader(self._process.environ)
        if found is not None or root is None:
            why = f"a development server reloads ({found})" if found else "nobody knows the codebase root"
            self._process.evidence.could_not_look(TF504, why)
            return
        self._process.evidence.looked(
            TF504, "files opened for writing, code that is executed, modules that are reloaded"
        )
        audit.listen(self._heard, "open", "os.rename", "exec")

    def remove(self) -> None:
        """Listen no more."""
        audit.unlisten(self._heard)

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            if not (isinstance(args[2], int) and args[2] & _WRITES):
                return  # nearly all of them
            told = self._guarded(self._written, args[0])
        elif event == "exec":
            told = self._guarded(self._executed, args[0], audit.caller(2))  # past ourselves and the hook
        else:
            told = self._guarded(self._written, args[1])
        if told is not None and self._enforced and not self._process.evidence.excuses(told):
            raise FactorViolation([told])

    def _guarded(self, judge: Any, *args: Any) -> Finding | None:
        """A fault of ours never stops the act, and what judging does itself is not judged."""
        if getattr(self._inside, "judging", False):
            return None
        self._inside.judging = True
        try:
            found: Finding | None = judge(*args)
            if found is not None:
                self._process.evidence.report(found)
        except Exception as error:  # noqa: BLE001 - as the docstring says
            self._process.fault("generated code", error)
            return None
        else:
            return found
        finally:
            self._inside.judging = False

    def _written(self, target: Any) -> Finding | None:
        if isinstance(target, int):
            return None
        path = os.fsdecode(target)
        if not path.endswith(".py"):
            return None
        path = os.path.abspath(path)  # noqa: PTH100 - links stay as they are
        if not self._process.app_code.owns(path):
            return None
        return self._finding(f"{self._process.app_code.relative(path)} was written while the app runs", path)

    def _executed(self, code: CodeType, frame: FrameType | None) -> Finding | None:
        path = code.co_filename
        if frame is None or path.startswith("<") or code.co_name != "<module>":
            return None
        if frame.f_code.co_filename == _IMPORTLIB:
            return self._reloaded(path, frame)
        caller = frame.f_code.co_filename
        if not (self._process.app_code.owns(caller, frame.f_globals.get("__name__")) or "runpy" in caller):
            return None  # a library that compiles, such as a template engine
        path = os.path.abspath(path)  # noqa: PTH100 - as above
        if self._allowed(path) or self._process.app_code.frame() is None or not os.path.exists(path):  # noqa: PTH110 - quick
            return None
        return self._finding(f"{path} was executed: code from outside the codebase", path)

    def _reloaded(self, path: str, frame: FrameType | None) -> Finding | None:
        app_code = self._process.app_code
        for _ in range(6):
            if frame is None or not app_code.owns(path):
                return None
            if frame.f_code.co_name == "reload" and frame.f_globals.get("__name__") == "importlib":
                return self._finding(f"{app_code.relative(path)} was reloaded while the app runs", path)
            frame = frame.f_back
        return None

    def _allowed(self, path: str) -> bool:
        from twelvefactor.codebase.places import Places

        root = self._process.app_code.root
        assert root is not None
        self._places = self._places or Places(root, self._process.environ)
        return self._places.allowed(path)

    def _finding(self, message: str, culprit: str) -> Finding:
        app_code, work = self._process.app_code, current_work()
        where = app_code.where(app_code.frame())
        return Finding(TF504, message, app_code.relative(culprit), where, work=work.id if work else None)
