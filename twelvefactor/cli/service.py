"""Find the service that a command is about: named on the command line, in the environment or in pyproject."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import tomllib
from functools import update_wrapper
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def with_service(*, phase: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    Give a command the option ``--service``, and the service as its first argument.

    Args:
        phase: The ``TWELVEFACTOR_PHASE`` to import it in, such as ``describe`` for a command that needs no environment.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, service: str | None, **kwargs: Any) -> Any:
            named = service or click.get_current_context().find_root().obj
            return command(load_service(named, phase=phase), *args, **kwargs)

        option = click.option("--service", metavar="MODULE:ATTR", help="Where the service is.")
        return option(update_wrapper(wrapped, command))

    return decorate


def load_service(reference: str | None = None, *, start: Path | None = None, phase: str | None = None) -> Any:
    """
    Import the service, as a server would: with the folder of pyproject, or the working directory, on `sys.path`.

    Args:
        reference: ``module:attribute``; else what pyproject says.
        start: Where to look for pyproject, upward from; the working directory unless given.
        phase: The ``TWELVEFACTOR_PHASE`` to import it in.

    Raises:
        UsageError: Nothing names the service, or what is named is not there.
    """
    start = Path.cwd() if start is None else start
    pyproject = find_pyproject(start)
    reference = reference or _declared(pyproject, start)
    _put_on_path(start if pyproject is None else pyproject.parent)
    if phase is not None:
        os.environ["TWELVEFACTOR_PHASE"] = phase
    return _resolve(reference)


def find_pyproject(start: Path) -> Path | None:
    """The nearest pyproject.toml, from *start* upward."""
    for folder in (start, *start.parents):
        candidate = folder / "pyproject.toml"
        if candidate.is_file():
            return candidate
    return None


def declaration(pyproject: Path) -> Mapping[str, Any]:
    """
    The ``[tool.twelvefactor]`` table of *pyproject*.

    Raises:
        UsageError: The file is not TOML; the message says where.
    """
    try:
        table = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("tool", {}).get("twelvefactor", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{pyproject}: not valid TOML: {error}") from error
    return table if isinstance(table, dict) else {}


def _declared(pyproject: Path | None, start: Path) -> str:
    if pyproject is None:
        raise UsageError(
            f"no service is named: pass --service module:attribute (no pyproject.toml from {start} upward)"
        )
    reference = declaration(pyproject).get("service")
    if not isinstance(reference, str):
        raise UsageError(
            f"no service is named: pass --service module:attribute, or put this into {pyproject}:\n"
            '  [tool.twelvefactor]\n  service = "package.module:service"'
        )
    return reference


def _put_on_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _resolve(reference: str) -> Any:
    name, _, attribute = reference.partition(":")
    if not name or not attribute:
        raise UsageError(
            f"{reference!r} does not name a service; expected module:attribute, such as orders.service:service"
        )
    _must_exist(name)
    module = importlib.import_module(name)
    try:
        return getattr(module, attribute)
    except AttributeError:
        near = difflib.get_close_matches(attribute, vars(module), n=1)
        hint = f"; did you mean {name}:{near[0]}?" if near else ""
        raise UsageError(f"module {name!r} has no attribute {attribute!r}{hint}") from None


def _must_exist(name: str) -> None:
    """Tell a module that is not there from one whose own imports fail: the latter keeps its traceback."""
    parent = name.rpartition(".")[0]
    if parent:
        _must_exist(parent)
    if name not in sys.modules and find_spec(name) is None:
        raise UsageError(f"no module named {name!r} (sys.path begins with {sys.path[0]!r})")
