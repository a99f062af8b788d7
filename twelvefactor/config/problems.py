"""Turn what pydantic says into problems that name the variable and never repeat a value."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from twelvefactor._core.secrets import SECRETS
from twelvefactor.config import wanted
from twelvefactor.exceptions import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pydantic_core import ErrorDetails

    from twelvefactor.config.loading import Plan, Reading
    from twelvefactor.config.phases import Phase
    from twelvefactor.config.settings import Config
    from twelvefactor.config.variables import Variable

# Errors whose words come from the declaration alone: the limits, the pattern, the choices. Any other message of
# pydantic may repeat its input.
_LIMITS = {
    "greater_than": "is not more than {gt}",
    "greater_than_equal": "is less than {ge}",
    "less_than": "is not less than {lt}",
    "less_than_equal": "is more than {le}",
    "multiple_of": "is not a multiple of {multiple_of}",
    "string_too_short": "has fewer than {min_length} characters",
    "string_too_long": "has more than {max_length} characters",
    "string_pattern_mismatch": "does not match {pattern}",
    "too_short": "has fewer than {min_length} items",
    "too_long": "has more than {max_length} items",
    "literal_error": "is none of {expected}",
    "enum": "is none of {expected}",
    "finite_number": "is not finite",
    "frozen_field": "cannot be set",
    "extra_forbidden": "is not declared",
}
_SPOKEN = {"value_error", "assertion_error"}  # the app's own validator speaks


class Translator:
    """
    Words for what pydantic found, for one load.

    Args:
        plan: What is declared.
        reading: What was read.
        explicit: The names of the fields that were given as arguments.
    """

    def __init__(self, plan: Plan, reading: Reading, explicit: Iterable[str] = ()) -> None:
        self.plan = plan
        self.reading = reading
        self.explicit = frozenset(explicit)
        self._by_path = {leaf.path: leaf for variable in plan.variables for leaf in variable.walk()}
        declared = {name for path in self._by_path for name in path}
        self._scrub = _texts(reading, declared | set(plan.keys))

    def add(self, errors: Sequence[ErrorDetails]) -> None:
        """Note a problem for each variable that *errors* tell of, unless it has one already."""
        for error in errors:
            variable, rest = self._variable(error["loc"])
            if variable and error["type"] == "missing" and not rest:
                self._missing(variable)
                continue
            key = variable.attribute if variable else ".".join(str(part) for part in error["loc"][:1])
            if not self._known(key):
                self.reading.problems[key] = self._problem(variable, rest, error)

    def _known(self, key: str) -> bool:
        """Whether *key*, or what it is inside of, or what is inside of it, has a problem already."""
        return any(
            key == known or key.startswith(f"{known}.") or known.startswith(f"{key}.")
            for known in self.reading.problems
        )

    def _variable(self, loc: tuple[int | str, ...]) -> tuple[Variable | None, tuple[int | str, ...]]:
        """The innermost declared variable that *loc* leads to, and what is left: keys of the data, perhaps secret."""
        best: Variable | None = None
        path: tuple[str, ...] = ()
        used = 0
        for at, part in enumerate(loc, 1):
            longer = (*path, str(part))
            if longer in self._by_path:
                best, path, used = self._by_path[longer], longer, at
            elif best is None or not best.parts:
                break
        return best, loc[used:]

    def _problem(self, variable: Variable | None, rest: tuple[int | str, ...], error: ErrorDetails) -> Problem:
        if variable is None:
            name = str(error["loc"][0]) if error["loc"] and error["type"] == "extra_forbidden" else self._class_name
            return Problem((name,), self._wrong(None, error))
        origin = self.reading.origins.get(variable.attribute)
        names = (origin.name,) if origin and origin.name else variable.names
        looked = (str(origin),) if origin and origin.kind != "environment" else ()
        if variable.path[0] in self.explicit and origin is None:
            names, looked = (variable.attribute,), ("arguments",)
        if error["type"] == "extra_forbidden" and rest:
            wrong = "has a part that is not declared"
        else:
            wrong = _item(rest) + self._wrong(variable, error)
        return Problem(names, wrong, expected=variable.expected, looked=looked)

    @property
    def _class_name(self) -> str:
        return self.plan.source.settings_cls.__name__

    def _missing(self, variable: Variable) -> None:
        """Note that *variable* is not set, or which variables of a nested model are not."""
        for leaf in variable.leaves():
            if (leaf.required or leaf is variable) and not self._known(leaf.attribute):
                self.reading.problems[leaf.attribute] = Problem(
                    leaf.names, "is not set", expected=leaf.expected, looked=self.plan.looked(leaf)
                )

    def _wrong(self, variable: Variable | None, error: ErrorDetails) -> str:
        kind, context = error["type"], error.get("ctx", {})
        if kind in _LIMITS:
            return _LIMITS[kind].format_map(_Words(context))
        if kind in _SPOKEN:
            return self._spoken(variable, context.get("error"))
        if variable is not None and wanted.url_types(variable.info.annotation):
            return self._scrubbed(error["msg"])  # a resource URL names the part and promises not to repeat it
        if kind in {"missing", "missing_argument"}:
            return "lacks a part"
        article = "is" if variable is None else "is not"
        return "is not valid" if variable is None else f"{article} {variable.expected}"

    def _spoken(self, variable: Variable | None, error: Any) -> str:
        said = "" if error is None else str(error)
        where = _where(error)
        if variable is not None and variable.secret:
            said = ""  # a validator of a secret may say a part of it
        said = self._scrubbed(said)
        return f"was refused{where}: {said}" if said else f"was refused{where}"

    def _scrubbed(self, text: str) -> str:
        for raw in self._scrub:
            text = text.replace(raw, "…")
        return SECRETS.mask(" ".join(text.split()))[:300]

    def escaped(self, variable: Variable | None, error: BaseException) -> None:
        """Note that the app's validator raised something that is not a verdict."""
        key = variable.attribute if variable else ""
        if not self._known(key):
            names = variable.names if variable else (self._class_name,)
            self.reading.problems[key] = Problem(names, f"its validator raised {type(error).__name__}{_where(error)}")


class _Words(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "allowed"


def _item(rest: tuple[int | str, ...]) -> str:
    """Where in a list it is; never a key of the data."""
    return f"item {rest[0] + 1} " if rest and isinstance(rest[0], int) else ""


def _where(error: Any) -> str:
    """``at file:line`` of the innermost frame that raised *error*."""
    traceback = getattr(error, "__traceback__", None)
    if traceback is None:
        return ""
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return f" at {traceback.tb_frame.f_code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno}"


def _texts(reading: Reading, declared: set[str]) -> tuple[str, ...]:
    """Every text of this load that must not be repeated, longest first; short ones would garble words."""
    found: set[str] = set()
    for raw in reading.raws.values():
        found.add(raw)
        found.add(repr(raw)[1:-1])
    _strings(reading.data, found, declared)
    for text in tuple(found):
        found.update(_password(text))
    return tuple(sorted((text for text in found if len(text) >= _SHORTEST), key=len, reverse=True))


_SHORTEST = 3


def _strings(data: Any, found: set[str], declared: set[str]) -> None:
    if isinstance(data, str):
        found.add(data)
    elif isinstance(data, dict):
        for key, value in data.items():
            if key not in declared:
                _strings(key, found, declared)
            _strings(value, found, declared)
    elif isinstance(data, list | tuple | set | frozenset):
        for value in data:
            _strings(value, found, declared)


def _password(text: str) -> tuple[str, ...]:
    """What stands where a password stands in a URL."""
    _, sign, rest = text.partition("://")
    credentials, at, _ = rest.rpartition("@")
    if not sign or not at:
        return ()
    return (credentials, credentials.partition(":")[2])


def explain(config: Config, translator: Translator, wrong: Exception | None, phase: Phase) -> list[Problem]:
    """
    Every problem of this load, in the order of the declaration.

    Args:
        config: What is being made.
        translator: Words for it.
        wrong: What validation raised, in a run.
        phase: Outside a run *config* is made here, with stand-ins for what is absent.
    """
    if phase != "run":
        from twelvefactor.config import absence

        absence.validate(config, translator, phase)
    elif isinstance(wrong, ValidationError):
        translator.add(wrong.errors(include_url=False, include_input=False))
    elif wrong is not None:
        _one_by_one(type(config), translator, wrong)
    return [*translator.reading.general, *translator.plan.ordered(translator.reading.problems)]


def _one_by_one(cls: type[Config], translator: Translator, escaped: Exception) -> None:
    """Find whose validator raised, and what else is wrong: pydantic stopped at the first."""
    before = len(translator.reading.problems)
    for step in translator.plan.steps:
        data = translator.reading.data
        alone = {step.key: data[step.key]} if step.key in data else {}
        apart = cls.__new__(cls)  # given, so that pydantic does not call __init__, which would read everything again
        try:
            cls.__pydantic_validator__.validate_python(alone, self_instance=apart, by_alias=True, by_name=True)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False)
            translator.add([each for each in errors if each["loc"][:1] == step.variable.path[:1]])
        except Exception as error:  # noqa: BLE001 - as above
            translator.escaped(step.variable, error)
    if len(translator.reading.problems) == before:
        translator.escaped(None, escaped)


def nearest(problems: Sequence[Problem], unread: Callable[[], list[str]]) -> None:
    """Give each missing variable the hint of the nearest one that is set but unread."""
    left = unread()
    for problem in problems:
        if problem.wrong != "is not set" or problem.hint:
            continue
        upper = {name.upper(): name for name in left}
        for name in problem.names:
            close = difflib.get_close_matches(name.upper(), upper, n=1, cutoff=0.8)
            if close:
                problem.hint = f"{upper[close[0]]} is set and nothing reads it: rename it?"
                break
