"""TF205, TF206, TF207: system tools that are declared, and what app code starts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
from typing import TYPE_CHECKING, Any

from twelvefactor._core import audit
from twelvefactor._core.enforcement import enforced
from twelvefactor._core.rounds import Rounds
from twelvefactor.dependencies import commands
from twelvefactor.dependencies.rules import TF205, TF206, TF207
from twelvefactor.exceptions import FactorViolation
from twelvefactor.factor import Finding
from twelvefactor.work import current_work

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from twelvefactor._core.process import Process

_VERSION = re.compile(r"\d+(?:\.\d+)+\w*|\d+")
_TIMEOUT = 5.0  # seconds that a tool has to say its version
_STDLIB = os.path.dirname(os.__file__) + "/"  # noqa: PTH120 - a prefix
_EVENTS = ("subprocess.Popen", "os.system", "os.posix_spawn", "os.exec")


def declared_tools(declaration: Mapping[str, Any]) -> dict[str, str]:
    """The system tools that the declaration names, and the versions it wants: a table, or a list of names."""
    told = declaration.get("system-tools") or {}
    if isinstance(told, dict):
        return {str(name): "" if wanted in {"*", "", True} else str(wanted) for name, wanted in told.items()}
    return {str(name): "" for name in told} if isinstance(told, list) else {}


class Present:
    """TF205: looks for each declared tool and asks its version, once, in the background."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._done = False
        self._rounds = Rounds(process, "system tools", self.look)

    def install(self) -> None:
        """Begin to look."""
        if not declared_tools(self._process.declaration):
            self._process.evidence.looked(TF205, "no system tool is declared")
            return
        self._rounds.begin(now=enforced(self._process.environ, TF205.id))

    def remove(self) -> None:
        """Wait for the look."""
        self._rounds.end()

    def look(self) -> None:
        """Look once."""
        if self._done:
            return
        self._done = True
        told = declared_tools(self._process.declaration)
        for tool, wanted in told.items():
            path = shutil.which(tool, path=self._process.environ.get("PATH", os.defpath))
            message = f"{tool} is declared and not on PATH" if path is None else _judge(tool, path, wanted)
            if message:
                self._process.evidence.report(Finding(TF205, message, tool))
        self._process.evidence.looked(TF205, f"{', '.join(told)} on PATH")


def _judge(tool: str, path: str, wanted: str) -> str:
    """What is wrong with the version of the tool at *path*; empty where nothing is."""
    if not wanted:
        return ""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        specifier = SpecifierSet(wanted if wanted[0] in "<>=!~" else f"=={wanted}.*")
    except InvalidSpecifier:
        return f"{tool}: {wanted!r} in system-tools is no version; write >=2.30 or *"
    version = version_of(path)
    if version is None:
        return f"{tool} {wanted} is declared, and {path} does not say its version"
    return "" if specifier.contains(version, prereleases=True) else f"{tool} {wanted} is declared; {path} is {version}"


def version_of(path: str) -> str | None:
    """What the tool at *path* says its version is, or None."""
    for option in ("--version", "-version", "-V"):
        try:
            done = subprocess.run(  # noqa: S603 - a tool that the app declares
                [path, option], capture_output=True, timeout=_TIMEOUT, check=False, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.SubprocessError):
            return None
        found = _VERSION.search((done.stdout or done.stderr).decode(errors="replace"))
        if found and done.returncode == 0:
            return re.match(r"[\d.]*\d", found[0])[0]  # type: ignore[index]  # it begins with a digit
    return None


class Started:
    """TF206 and TF207: listens for every program that this process starts."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._declared = {os.path.basename(name) for name in declared_tools(process.declaration)}  # noqa: PTH119 - a name
        self._inside = threading.local()
        self._stops = {rule.id for rule in (TF206, TF207) if enforced(process.environ, rule.id)}

    def install(self) -> None:
        """Begin to listen."""
        self._process.evidence.looked(TF206, "programs that this process starts")
        self._process.evidence.looked(TF207, "programs that app code starts")
        audit.listen(self._heard, *_EVENTS)

    def remove(self) -> None:
        """Listen no more."""
        audit.unlisten(self._heard)

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if getattr(self._inside, "judging", False):
            return
        self._inside.judging = True
        try:
            found = self._judge(_argv(event, args))
        except Exception as error:  # noqa: BLE001 - a fault of ours never stops the act
            self._process.fault("started programs", error)
            return
        finally:
            self._inside.judging = False
        if found is not None and found.rule.id in self._stops and not self._process.evidence.excuses(found):
            raise FactorViolation([found])

    def _judge(self, argv: list[str]) -> Finding | None:
        what = commands.installs(argv)
        frame = self._process.app_code.frame()
        if what:
            return self._report(TF206, f"packages are installed while the app runs: {what}", what, frame)
        starter = _starter(sys._getframe(3))  # noqa: SLF001 - past ourselves and the hook
        if starter is None or not self._owns(starter):
            return None
        tool = next((each for each in commands.tools(argv) if not self._known(each)), None)
        if tool is None:
            return None
        name = os.path.basename(tool)  # noqa: PTH119 - a name
        return self._report(TF207, f"app code starts {name}, which system-tools does not declare", name, starter)

    def _owns(self, frame: FrameType) -> bool:
        return self._process.app_code.owns(frame.f_code.co_filename, frame.f_globals.get("__name__"))

    def _known(self, tool: str) -> bool:
        """Declared, or a program of this environment or of the codebase itself."""
        if os.path.basename(tool) in self._declared:  # noqa: PTH119 - a name
            return True
        path = shutil.which(tool, path=self._process.environ.get("PATH", os.defpath)) or tool
        scripts = sysconfig.get_path("scripts")
        root = self._process.app_code.root
        homes = [f"{sys.prefix}/", f"{scripts}/", *([f"{root}/"] if root else [])]
        if sys.prefix in {"/usr", "/usr/local"}:
            del homes[:2]  # the machine's programs are no part of the environment
        return path.startswith(tuple(homes)) or os.path.realpath(path) == os.path.realpath(sys.executable)

    def _report(self, rule: Any, message: str, culprit: str, frame: FrameType | None) -> Finding:
        work = current_work()
        found = Finding(rule, message, culprit, self._process.app_code.where(frame), work=work.id if work else None)
        self._process.evidence.report(found)
        return found


def _argv(event: str, args: tuple[Any, ...]) -> list[str]:
    if event == "os.system":
        return ["sh", "-c", *commands.words(args[0])]
    program, words = args[0], commands.words(args[1])
    if words and os.path.basename(words[0]) == os.path.basename(str(program or words[0])):  # noqa: PTH119 - names
        return words
    return [str(program), *words[1:]]


def _starter(frame: FrameType | None) -> FrameType | None:
    """Who starts the program: the first frame outside the standard library."""
    while frame is not None:
        filename = frame.f_code.co_filename
        if not filename.startswith("<") and not (filename.startswith(_STDLIB) and "-packages/" not in filename):
            return frame
        frame = frame.f_back
    return None
