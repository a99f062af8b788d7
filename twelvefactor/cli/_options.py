"""Turn a typed function into a command: its parameters are the options, its docstring is the help."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import inspect
import re
import types
import typing
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import click

from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN: dict[Any, Any] = {
    str: str,
    int: int,
    float: float,
    bool: bool,
    uuid.UUID: click.UUID,
    Path: click.Path(path_type=Path),
    dt.datetime: click.DateTime(),
}


class _Parsed(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """A type that is made from text by calling it."""

    def __init__(self, name: str, make: Callable[[str], Any]) -> None:
        self.name = name
        self._make = make

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._make(value)
        except (ValueError, ArithmeticError, KeyError):
            self.fail(f"{value!r} is no {self.name}", param, ctx)


class _Member(_Parsed):
    """A member of an enumeration, by its name in lower case."""

    def __init__(self, kind: type[enum.Enum]) -> None:
        members = {each.name.lower().replace("_", "-"): each for each in kind}
        super().__init__("|".join(members), lambda text: members[text.lower()])


def command(
    name: str, function: Callable[..., Any], summary: str, run: Callable[[dict[str, Any]], Any]
) -> click.Command:
    """
    The command *name* whose options are the parameters of *function*.

    Args:
        name: Of the command.
        function: A typed function; a parameter without a default is a required option, a positional-only one an
            argument.
        summary: What it does.
        run: Called with the parsed arguments by name.

    Raises:
        UsageError: A parameter has a type that no text can be turned into; says which.
    """
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise UsageError(f"admin process {name!r}: its signature names {error.name!r}, which is not there") from None
    told = _documented(function)
    params = [
        _parameter(name, each, hints.get(each.name, str), told.get(each.name, ""))
        for each in inspect.signature(function).parameters.values()
    ]
    return click.Command(name, params=params, help=summary, callback=lambda **given: run(given))


def _parameter(process: str, parameter: inspect.Parameter, hint: Any, told: str) -> click.Parameter:
    kinds = inspect.Parameter
    if parameter.kind is kinds.VAR_KEYWORD:
        raise UsageError(f"admin process {process!r}: **{parameter.name} has no names to make options of")
    hint, told = _annotated(hint, told)
    hint, optional = _optional(hint)
    required = parameter.default is kinds.empty
    default = None if required else parameter.default
    if parameter.kind is kinds.VAR_POSITIONAL:
        return click.Argument([parameter.name], nargs=-1, type=_type(process, parameter.name, hint))
    inner = _items(hint)
    kind = _type(process, parameter.name, hint if inner is None else inner)
    if parameter.kind is kinds.POSITIONAL_ONLY:
        return click.Argument(
            [parameter.name], type=kind, required=required, default=default, nargs=1 if inner is None else -1
        )
    option = f"--{parameter.name.replace('_', '-')}"
    if hint is bool:
        return click.Option(
            [f"{option}/--no-{option[2:]}" if default is True else option, parameter.name],
            is_flag=True, default=bool(default), help=told,
        )  # fmt: skip
    shown = default is not None and default not in ((), [])
    if isinstance(default, enum.Enum):
        default = default.name.lower().replace("_", "-")
    return click.Option(
        [option, parameter.name],
        type=kind,
        required=required and not optional and inner is None,
        default=default,
        multiple=inner is not None,
        show_default=shown,
        help=told,
        prompt=_is_secret(hint) and required,
        hide_input=_is_secret(hint),
    )


def _annotated(hint: Any, told: str) -> tuple[Any, str]:
    if get_origin(hint) is Annotated:
        words = [each for each in hint.__metadata__ if isinstance(each, str)]
        return get_args(hint)[0], words[0] if words else told
    return hint, told


def _optional(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in {Union, types.UnionType}:
        rest = [each for each in get_args(hint) if each is not type(None)]
        if len(rest) == 1:
            return rest[0], True
    return hint, False


def _items(hint: Any) -> Any:
    """The type of the items of a list or a tuple of any length; None for anything else."""
    origin, args = get_origin(hint), get_args(hint)
    if hint in {list, tuple, set, frozenset}:
        return str
    if origin in {list, set, frozenset}:
        return args[0]
    return args[0] if origin is tuple and len(args) == 2 and args[1] is ... else None  # noqa: PLR2004 - tuple[X, ...]


def _is_secret(hint: Any) -> bool:
    return isinstance(hint, type) and hasattr(hint, "get_secret_value")


def _type(process: str, name: str, hint: Any) -> Any:
    if hint in _PLAIN:
        return _PLAIN[hint]
    if get_origin(hint) is Literal:
        choices = {str(each): each for each in get_args(hint)}
        return (
            click.Choice(list(choices))
            if set(choices) == set(choices.values())
            else _Parsed("|".join(choices), choices.__getitem__)
        )
    if isinstance(hint, type):
        if issubclass(hint, enum.Enum):
            return _Member(hint)
        if hint is dt.date:
            return _Parsed("date", dt.date.fromisoformat)
        if issubclass(hint, decimal.Decimal | int | float | str) or _is_secret(hint):
            return _Parsed(hint.__name__.lower(), getattr(hint, "parse", hint))
    raise UsageError(
        f"admin process {process!r}: no option can be made of {name}: {getattr(hint, '__name__', hint)}; "
        "use str, int, float, bool, Path, date, datetime, UUID, Decimal, Enum, Literal, a list of them, or tf.Secret"
    )


_SECTION = re.compile(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", re.MULTILINE)


def _documented(function: Callable[..., Any]) -> dict[str, str]:
    """What the docstring says of each argument."""
    found = _SECTION.search(inspect.getdoc(function) or "")
    if found is None:
        return {}
    told: dict[str, str] = {}
    current = ""
    for line in inspect.cleandoc(f"\n{found[1]}").splitlines():
        match = re.match(r"\*{0,2}(\w+)(?: \([^)]*\))?:\s*(.*)", line)
        if match:
            current = match[1]
            told[current] = match[2]
        elif current and line.strip():
            told[current] = f"{told[current]} {line.strip()}"
    return told
