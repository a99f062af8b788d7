"""
The source of the app's modules beside the live objects: what is written where, and what a name in it leads to.

A module is read when it is first asked for, and once.
"""

from __future__ import annotations

import ast
import gc
import os
import sys
import tokenize
from contextvars import ContextVar
from functools import cached_property
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

from twelvefactor.processes.looking import attribute, function_dict, is_class, is_module, namespace
from twelvefactor.processes.scopes import THIS_MODULE
from twelvefactor.processes.sites import Site, SiteReader

if TYPE_CHECKING:
    from collections.abc import Iterable

_STEPS = 3
_WIDE = 200


class Sources:
    """The app's modules as source, read when they are asked for."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[Any, SiteReader | None]] = {}

    def module(self, name: str) -> SiteReader | None:
        """The sites of one module; None where its source cannot be read."""
        file = (namespace(sys.modules.get(name)) or {}).get("__file__")
        if type(file) is not str:
            return None
        stamp, reader = self._read.get(name, (None, None))
        now = _stamp(file)
        if stamp != now or stamp is None:
            reader = self._parse(name, file)
            self._read[name] = now, reader
        return reader

    def _parse(self, name: str, file: str) -> SiteReader | None:
        try:
            with tokenize.open(file) as source:
                tree = ast.parse(source.read(), file)
        except (OSError, SyntaxError, UnicodeDecodeError, ValueError):
            return None
        reader = SiteReader(file, name)
        for each in tree.body:
            reader.visit(each)
        return reader

    def calls(self, patterns: Iterable[str], modules: Iterable[str]) -> list[tuple[str, int, int, str]]:
        """The (file, first line, last line, function) of calls whose dotted name ends with one of *patterns*."""
        wanted = [tuple(pattern.split(".")) for pattern in patterns]
        found = []
        for module in modules:
            reader = self.module(module)
            for names, line, last, function in reader.calls if reader is not None else ():
                if any(names[-len(each) :] == each for each in wanted) and reader is not None:
                    found.append((reader.file, line, last, function))
        return found

    def reachable(self, start: str, modules: Iterable[str]) -> set[str]:
        """The functions, by their last name, that the function of that name may lead to."""
        edges: dict[str, set[str]] = {}
        for module in modules:
            reader = self.module(module)
            for names, _, _, function in reader.calls if reader is not None else ():
                edges.setdefault(function.rpartition(".")[2], set()).add(names[-1])
        found, waiting = {start}, [start]
        while waiting:
            for name in edges.get(waiting.pop(), ()):
                if name not in found:
                    found.add(name)
                    waiting.append(name)
        return found

    def spawns(self, name: str, modules: Iterable[str]) -> list[tuple[str, int]]:
        """The (file, line) where a coroutine of that name becomes a task."""
        readers = [reader for module in modules if (reader := self.module(module)) is not None]
        return [(reader.file, line) for reader in readers for spawned, line in reader.spawns if spawned == name]

    def resolve(self, site: Site, chain: tuple[str, ...], depth: int = 0) -> Any:
        """The live object that *chain* names at *site*, or None where only the running code knows."""
        root, *rest = chain
        names = namespace(sys.modules.get(site.module)) or {}
        if root == THIS_MODULE:
            value: Any = sys.modules.get(site.module)
        elif root == "globals()":
            value = names
        elif root.endswith("()"):
            value = self._returned(names.get(root[:-2]), depth)
        elif site.scope in {"parameter", "local", "nonlocal", "self"} and depth == 0:
            return None
        else:
            value = names.get(root)
        for part in rest:
            if value is None:
                return None
            if part == "type()":
                value = type(value)
            elif part == "[]":
                return None
            elif part.endswith("()"):
                value = self._returned(attribute(value, part[:-2]), depth)
            else:
                value = _stored(value, part)
        return value

    def given_by(self, site: Site) -> tuple[str, ...]:
        """The entry of a container of its module that the function gives which a chain begins with, or nothing."""
        root = site.chain[0]
        function = (namespace(sys.modules.get(site.module)) or {}).get(root[:-2]) if root.endswith("()") else None
        if type(function) is not FunctionType:
            return ()
        reader = self.module(function.__module__)
        chains = reader.returns.get(function.__name__, ()) if reader is not None else ()
        names = namespace(sys.modules.get(site.module)) or {}
        return next((chain for chain in chains if "[]" in chain and chain[0] in names), ())

    def _returned(self, function: Any, depth: int) -> Any:
        """What a function of the app plainly returns: a name of its module."""
        if type(function) in (staticmethod, classmethod, MethodType):
            function = function.__func__
        if type(function) is not FunctionType or depth > 3:  # noqa: PLR2004 - calls that return calls
            return None
        reader = self.module(function.__module__)
        for chain in reader.returns.get(function.__name__, ()) if reader is not None else ():
            site = Site("", function.__module__, 0, 0, "", None, chain, "", "global")
            found = self.resolve(site, chain, depth + 1)
            if found is not None:
                return found
        return None


def _stamp(file: str) -> tuple[int, int] | None:
    """What tells a file that was edited and loaded anew."""
    try:
        status = os.stat(file)  # noqa: PTH116 - as the import system does
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _stored(value: Any, name: str) -> Any:
    """The attribute as it is stored; None where code works it out."""
    found = attribute(value, name)
    if type(found) is _tuplegetter:
        return tuple.__getitem__(value, found.__reduce__()[1][0])
    return None if type(found) in _WORKED_OUT else found


class _Named(NamedTuple):
    field: int


_tuplegetter: Any = type(_Named.__dict__["field"])  # how a named tuple reads one
_WORKED_OUT = (property, cached_property, GetSetDescriptorType, MemberDescriptorType)


def leads_to(value: Any, holder: Any) -> bool:
    """Whether *holder* hangs at *value*, a few steps down: the dicts of a bag, what a bound method is bound to."""
    layer = _first_layer(value)
    for _ in range(_STEPS):
        if any(each is holder for each in layer):
            return True
        layer = [each for each in gc.get_referents(*layer) if _may_hold(each)][:_WIDE]
        if any(each is holder for each in layer):
            return True
    return False


def _first_layer(value: Any) -> list[Any]:
    if type(value) is FunctionType:
        return _of_function(value)
    if type(value) is ContextVar:
        return [value, value.get(None)]
    return [value] if _may_hold(value) else []


def _of_function(function: FunctionType) -> list[Any]:
    """What a function closes over, and what hangs at it; not the module that it refers to."""
    own = function_dict(function) or {}
    return [each for each in (*(function.__closure__ or ()), *own.values()) if _may_hold(each)]


def _may_hold(value: Any) -> bool:
    """Whether what *value* refers to is its own: a function refers to its whole module."""
    return type(value) is not FunctionType and not is_class(value) and not is_module(value)
