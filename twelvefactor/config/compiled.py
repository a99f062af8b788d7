"""Read what the app's modules were compiled to: constants with their lines, without comments and docstrings."""

from __future__ import annotations

import dis
import importlib.util
import sys
from dataclasses import dataclass
from types import CodeType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twelvefactor._core.appcode import AppCode


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the app as it was compiled."""

    name: str
    filename: str
    code: CodeType

    def bodies(self) -> Iterator[CodeType]:
        """The module's code and that of everything defined in it."""
        yield from _bodies(self.code)


def _bodies(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _bodies(constant)


class Reader:
    """
    The app's modules among those imported so far, each once.

    Args:
        app_code: Whose code it is.
    """

    def __init__(self, app_code: AppCode) -> None:
        self._app_code = app_code
        self._read: set[str] = set()
        self.unreadable: list[str] = []

    def new(self) -> Iterator[Module]:
        """Those that were imported since the last call."""
        for name, module in list(sys.modules.items()):
            filename = getattr(module, "__file__", None)
            if not filename or name in self._read or not self._app_code.owns(filename, name):
                continue
            self._read.add(name)
            code = _code_of(name, module, filename)
            if code is None:
                self.unreadable.append(name)
            else:
                yield Module(name, filename, code)


def _code_of(name: str, module: Any, filename: str) -> CodeType | None:
    """The code of a module, from its cached bytecode where there is some."""
    spec = getattr(module, "__spec__", None)
    loader = getattr(spec, "loader", None)
    try:
        if spec is not None and loader is not None and hasattr(loader, "get_code"):
            code = loader.get_code(spec.name)
        else:  # __main__ has no spec
            found = importlib.util.spec_from_file_location(name, filename)
            code = None if found is None or found.loader is None else found.loader.get_code(name)  # type: ignore[attr-defined]  # a source loader
    except (ImportError, OSError, SyntaxError, ValueError):
        return None
    return code if isinstance(code, CodeType) else None


def strings(code: CodeType, suspicious: Callable[[str], object]) -> Iterator[tuple[str, int]]:
    """
    The constants of *code* that are *suspicious* and used, each with its line.

    A docstring of a function is a constant that nothing loads; that of a module or class is only stored as ``__doc__``.
    """
    wanted = {text for constant in code.co_consts for text in _texts(constant) if suspicious(text)}
    if not wanted:
        return  # disassembling is what costs
    steps = list(dis.get_instructions(code))
    for at, step in enumerate(steps):
        if not step.opname.startswith("LOAD_CONST") and step.opname != "RETURN_CONST":
            continue
        after = steps[at + 1] if at + 1 < len(steps) else None
        if after is not None and after.argval == "__doc__":
            continue
        line = 0 if step.positions is None else step.positions.lineno or 0
        yield from ((text, line) for text in _texts(step.argval) if text in wanted)


def _texts(constant: Any) -> Iterator[str]:
    if isinstance(constant, str):
        yield constant
    elif isinstance(constant, bytes):
        yield constant.decode("latin-1")
    elif isinstance(constant, tuple | frozenset):
        for each in constant:
            yield from _texts(each)
