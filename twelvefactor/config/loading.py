"""Read the declared variables from every place, and note every problem instead of stopping at the first."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from twelvefactor.config import places
from twelvefactor.config.places import Environment, Files, Found, Origin, Trouble
from twelvefactor.config.source import UNSET, NotDecoded, Source
from twelvefactor.config.variables import Variable, declared
from twelvefactor.exceptions import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_settings import BaseSettings

    from twelvefactor.config.bindings import Bindings

_SERVICE_LINK = re.compile(r"(?:tcp|udp|sctp)://[0-9A-Fa-f.:\[\]]+:\d+")


BINDINGS = ("SERVICE_BINDING_ROOT", "VCAP_SERVICES", "VCAP_SERVICES_FILE_PATH")
"""Where a platform says what it bound."""
_PARTIAL = "nested_model_default_partial_update"
_NOT_THEIRS = frozenset(("secrets_dir", _PARTIAL))


class Plan:
    """
    What a Config class declares, worked out once.

    Args:
        cls: The class.
        options: What overrides its ``model_config`` for one load, as pydantic-settings' ``_env_prefix`` and the like.
    """

    def __init__(self, cls: type[BaseSettings], options: Mapping[str, Any]) -> None:
        self.source = Source(cls, **{key: value for key, value in options.items() if key not in _NOT_THEIRS})
        self.partial_defaults = bool(options.get(_PARTIAL, cls.model_config.get(_PARTIAL)))
        self.variables = declared(cls, self.source)
        self.leaves = tuple(leaf for variable in self.variables for leaf in variable.leaves())
        self.accepted = {name for variable in (*self.variables, *self.leaves) for name in variable.names}
        self.directories = _directories(options.get("secrets_dir", cls.model_config.get("secrets_dir")))
        self.steps = tuple(_Step(self.source, variable) for variable in self.variables)
        self.keys = {name: step.key for step in self.steps for name in (step.variable.path[0], step.key)}
        self.fields = {step.key: step.variable.path[0] for step in self.steps}
        self.nests = any(not step.simple for step in self.steps) and bool(self.source.env_nested_delimiter)

    def given(self, values: Mapping[str, Any]) -> frozenset[str]:
        """The fields that *values* gives, by name or by alias."""
        return frozenset(
            step.variable.path[0] for step in self.steps if step.key in values or step.variable.path[0] in values
        )

    def looked(self, variable: Variable) -> tuple[str, ...]:
        """Where *variable* is looked for, in few words."""
        name = variable.name
        return ("environment", f"{name}_FILE", *(f"{directory}/{name.lower()}" for directory in self.directories))

    def ordered(self, problems: Mapping[str, Problem]) -> list[Problem]:
        """*problems* in the order of the declaration."""
        everything = (each for variable in self.variables for each in variable.walk())
        rank = {each.attribute: at for at, each in enumerate(everything)}
        return [problems[key] for key in sorted(problems, key=lambda key: rank.get(key, len(rank)))]


class _Step:
    """How one field is read."""

    def __init__(self, source: Source, variable: Variable) -> None:
        accepted = source.accepted(variable.path[0], variable.info)
        self.variable = variable
        self.simple = source.is_simple(variable.info) and not any(into for _, _, into in accepted)
        self.key = variable.path[0] if accepted[0][2] else accepted[0][0]
        self.alias_keys = {name.upper(): (key, into) for key, name, into in accepted}
        self.prefixes = tuple(source.folded(f"{name}{source.env_nested_delimiter}") for name in variable.names)

    def target(self, name: str) -> tuple[str, bool]:
        """The key under which pydantic wants what *name* holds, and whether an alias path leads into it."""
        key, into = self.alias_keys.get(name.upper(), (self.key, False))
        return (key if into else self.key), into


def _directories(named: Any) -> tuple[Path, ...]:
    if named is None:
        extra: Iterable[Any] = ()
    else:
        extra = (named,) if isinstance(named, str | Path) else named
    return (*(Path(each).expanduser() for each in extra), places.RUN_SECRETS)


_plans: WeakKeyDictionary[type[Any], tuple[Any, Plan]] = WeakKeyDictionary()


def plan_of(cls: type[BaseSettings], options: Mapping[str, Any] | None = None) -> Plan:
    """The plan of *cls*; worked out anew after ``model_rebuild()``. Thread-safe."""
    if options:
        return Plan(cls, options)
    known = _plans.get(cls)
    validator = cls.__pydantic_validator__
    if known is None or known[0] is not validator:
        known = _plans[cls] = (validator, Plan(cls, {}))
    return known[1]


@dataclass(repr=False)  # a repr would show values
class Reading:
    """
    What the places held.

    Attributes:
        data: What pydantic shall validate.
        origins: Where each value was, by dotted attribute.
        raws: The texts as they were found, to be scrubbed from whatever is said.
        problems: What is wrong so far, by dotted attribute.
        general: What is wrong with a place as a whole.
        notes: Old names that were used, to be warned about once.
    """

    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    raws: dict[str, str] = field(default_factory=dict)
    problems: dict[str, Problem] = field(default_factory=dict)
    general: list[Problem] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)


class Reader:
    """
    One pass over the places for one Config class.

    Args:
        plan: What is declared.
        environ: The process environment.
    """

    def __init__(self, plan: Plan, environ: Mapping[str, str]) -> None:
        self.plan = plan
        self.environment = Environment(environ, case_sensitive=plan.source.case_sensitive)
        self.files = Files(plan.directories)
        self.reading = Reading()
        self._bindings: Bindings | None = None
        self._nested: dict[str, str] | None = None
        self._bound_somewhere = any(map(self.environment.variables.get, BINDINGS))

    @property
    def bindings(self) -> Bindings:
        """The service bindings, read when the first variable is found nowhere else."""
        if self._bindings is None:
            from twelvefactor.config import bindings

            self._bindings = bindings.read(self.environment.variables)
            self.reading.general.extend(self._bindings.problems)
        return self._bindings

    def read(self, *, without: frozenset[str] = frozenset()) -> Reading:
        """Read every field but those in *without*, which were given explicitly."""
        for step in self.plan.steps:
            if step.variable.path[0] not in without or step.variable.parts:  # the rest of a nested model
                self._field(step)
        return self.reading

    def _field(self, step: _Step) -> None:
        variable = step.variable
        found = self.find(variable)
        if isinstance(found, Problem):
            self.reading.problems[variable.attribute] = found
            return
        text = None if found is None else found.text
        if step.simple:
            value, key = (UNSET if text is None else text), step.key
        else:
            key, into = step.target(found.origin.name) if found else (step.key, False)
            nested = self._inside(step) if self.plan.nests else {}
            try:
                value = self._parser().parsed(variable.path[0], variable.info, text, nested, into=into)
            except NotDecoded as wrong:
                self._complain(variable, str(wrong), found)
                return
            except Exception as error:  # noqa: BLE001 - a parser's fault hides no other problem, and its text may hold a value
                self._complain(variable, f"cannot be parsed ({type(error).__name__})", found)
                return
        if found is not None:
            self.reading.origins[variable.attribute] = found.origin
            self.reading.raws[variable.attribute] = found.text
        if value is not UNSET:
            self.reading.data[key] = value

    def _parser(self) -> Source:
        return copy.copy(self.plan.source)  # it keeps the variables of one field, and loads may run side by side

    def _complain(self, variable: Variable, wrong: str, found: Found | None) -> None:
        self.reading.problems[variable.attribute] = Problem(
            (found.origin.name or variable.name,) if found else variable.names,
            wrong,
            expected=variable.expected,
            looked=_where(found.origin) if found else (),
        )

    def unread(self) -> list[str]:
        """The variables that are set and that nothing declared reads."""
        accepted = {name.upper() for name in self.plan.accepted}
        read = accepted | {f"{name}_FILE" for name in accepted}
        return [name for name in self.environment.variables if name.upper() not in read]

    # -- one variable

    def find(self, variable: Variable) -> Found | Problem | None:
        """The text of *variable* from the first place that has one, or what is wrong with it there."""
        found = self._written(variable) or self._mounted(variable)
        if found is None and self._bound_somewhere:
            found = self.bindings.find(variable, self.plan.leaves)
        return self._checked(variable, found) if isinstance(found, Found) else found

    def _written(self, variable: Variable) -> Found | Problem | None:
        """From the environment itself, or the file that it points at."""
        environment, accepted = self.environment, self.plan.accepted
        first: Found | Problem | None = None
        for name in variable.names:
            text = environment.get(name)
            pointer = f"{name}_FILE"
            path = None if pointer in accepted else environment.get(pointer)
            if text is None and not path:
                continue
            if first is not None:
                self.reading.notes[f"{name}:unused"] = f"{name} is set and not read, since {variable.name} is"
                continue
            if text is not None and path:
                return Problem((name,), f"is set, and {pointer} is too", hint="Unset one of the two")
            if path:
                first = self._pointed(name, pointer, path)
            else:
                assert text is not None
                first = Found(text, Origin("environment", environment.spelling(name) or name))
            if name != variable.name:
                self.reading.notes[name] = f"{name} is an old name for {variable.name}"
        if first is not None and variable.deprecated is not None:
            self.reading.notes[variable.name] = f"{variable.name} is deprecated: {variable.deprecated}"
        return first

    def _pointed(self, name: str, pointer: str, path: str) -> Found | Problem:
        text = places.read(path)
        if isinstance(text, str):
            return Found(text, Origin("file", name, path))
        trouble = text or Trouble("does not exist")
        return Problem((pointer,), f"the file it points at {trouble.wrong}", hint=trouble.hint)

    def _mounted(self, variable: Variable) -> Found | Problem | None:
        """From a file of its name among the mounted secrets."""
        if not self.files.listed:
            return None
        for name in variable.names:
            path = self.files.listed.get(name.upper())
            text = None if path is None else places.read(path)
            if path is None or text is None:
                continue
            if isinstance(text, str):
                return Found(text, Origin("secret file", name, path))
            if text.wrong != "is a directory":  # Kubernetes mounts its own directories there
                return Problem((name,), f"the file {path} {text.wrong}", hint=text.hint)
        return None

    def _checked(self, variable: Variable, found: Found) -> Found | Problem | None:
        """*found*, unless it cannot be a value; None where it counts as not set."""
        text = found.text
        if not text or (variable.secret and not text.strip()):
            return self._empty(variable, found)
        wrong = places.unreadable(text)
        if wrong:
            return self._problem(variable, found, wrong)
        if text.startswith(("tcp://", "udp://", "sctp://")) and self._is_service_link(found.origin.name, text):
            return self._problem(
                variable,
                found,
                "is the service link that Kubernetes sets for a Service of that name",
                "Set enableServiceLinks: false in the pod's spec, or rename the Service",
            )
        return found

    def _empty(self, variable: Variable, found: Found) -> Found | Problem | None:
        if variable.secret or variable.url:
            return self._problem(variable, found, "is empty")
        if variable.text and not self.plan.source.env_ignore_empty:
            return found
        if variable.required:
            return self._problem(variable, found, "is empty")
        return None

    @staticmethod
    def _problem(variable: Variable, found: Found, wrong: str, hint: str = "") -> Problem:
        name = found.origin.name or variable.name
        return Problem((name,), wrong, expected=variable.expected, looked=_where(found.origin), hint=hint)

    def _is_service_link(self, name: str, text: str) -> bool:
        service = name.upper().removesuffix("_PORT")
        has_host = self.environment.get(f"{service}_SERVICE_HOST") is not None
        return name.upper().endswith("_PORT") and bool(_SERVICE_LINK.fullmatch(text)) and has_host

    # -- what is inside a field

    @property
    def nested(self) -> dict[str, str]:
        """The variables that are written with the nested delimiter, by folded name."""
        if self._nested is None:
            delimiter = self.plan.source.env_nested_delimiter or ""
            fold = self.plan.source.folded
            self._nested = {
                fold(name): text
                for name, text in self.environment.variables.items()
                if delimiter.lower() in name.lower()
            }
        return self._nested

    def _inside(self, step: _Step) -> dict[str, str | None]:
        inside: dict[str, str | None] = {
            name: text for name, text in self.nested.items() if name.startswith(step.prefixes)
        }
        for leaf in step.variable.leaves():
            if leaf is not step.variable:
                self._leaf(leaf, inside)
        return inside

    def _leaf(self, leaf: Variable, inside: dict[str, str | None]) -> None:
        fold = self.plan.source.folded
        found = self.find(leaf)
        for name in leaf.names:
            inside.pop(fold(name), None)
            inside.pop(fold(f"{name}_FILE"), None)
        if isinstance(found, Problem):
            self.reading.problems[leaf.attribute] = found
        elif found is not None:
            inside[fold(leaf.name)] = self.plan.source.none_or(found.text)
            self.reading.origins[leaf.attribute] = found.origin
            self.reading.raws[leaf.attribute] = found.text


def _where(origin: Origin) -> tuple[str, ...]:
    return () if origin.kind == "environment" else (str(origin),)
