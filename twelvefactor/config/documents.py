"""Write down what a Config class declares, for a shell, a reader, a validator and a cluster; never a secret."""

from __future__ import annotations

import json
import shlex
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import TypeAdapter

from twelvefactor._core.secrets import MASK, SECRETS
from twelvefactor.config import credentials
from twelvefactor.config.exposure import value_of
from twelvefactor.config.loading import plan_of
from twelvefactor.config.placeholders import Absent, AbsentSecret, AbsentText
from twelvefactor.config.settings import provenance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twelvefactor.config.settings import Config
    from twelvefactor.config.variables import Variable

BEGIN = "<!-- twelvefactor config docs -->"
END = "<!-- /twelvefactor config docs -->"
_FILL_IN = "# Written by: twelvefactor config kubernetes. Fill in what is empty; never commit the Secret.\n"
_PATCH = (
    "# A patch for the Deployment. Without enableServiceLinks: false a Service called REDIS would set REDIS_PORT.\n"
)


def variables_of(cls: type[Config]) -> tuple[Variable, ...]:
    """The variables that *cls* declares, nested ones each on its own."""
    return plan_of(cls).leaves


def default_of(variable: Variable) -> str | None:
    """The default as it would be set; None where there is none, or where it might hold a secret."""
    if variable.required or variable.private:
        return None
    text = _as_set(variable.default)
    return None if text is None or credentials.found_in(text) else text


def _as_set(value: Any) -> str | None:
    """*value* as the environment would hold it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum) and type(value).__str__ is Enum.__str__:
        return _as_set(value.value)
    if isinstance(value, list | tuple | set | frozenset):
        items = [_as_set(item) for item in value]
        if all(isinstance(item, str) and "," not in item for item in items):
            return ",".join(str(item) for item in items)
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=str)
    return str(value)


# -- for a shell


def example(cls: type[Config]) -> str:
    """An ``.env.example``: every variable with what it must hold, those with a default commented out."""
    blocks = ["\n".join(_example(variable)) for variable in variables_of(cls)]
    head = f"# What {cls.__name__} reads from the environment. Written by: twelvefactor config example"
    return "\n\n".join([head, *blocks]) + "\n"


def _example(variable: Variable) -> Iterator[str]:
    if variable.info.description:
        yield from (f"# {line}".rstrip() for line in variable.info.description.strip().splitlines())
    if variable.deprecated is not None:
        yield f"# Deprecated: {variable.deprecated}"
    yield f"# {_sentence(variable)}"
    default = default_of(variable)
    if variable.required:
        yield f"{variable.name}="
    else:
        yield f"# {variable.name}={'' if default is None else shlex.quote(default) if default else ''}"


def _sentence(variable: Variable) -> str:
    said = variable.expected[:1].upper() + variable.expected[1:]
    old = f" Old names: {', '.join(variable.names[1:])}." if variable.names[1:] else ""
    return f"{said}.{'' if variable.required else ' Optional.'}{old}"


# -- for a reader


def table(cls: type[Config]) -> str:
    """A Markdown table of every variable."""
    rows = ["| variable | holds | default | meaning |", "|---|---|---|---|"]
    rows += [f"| {' | '.join(map(_cell, _row(variable)))} |" for variable in variables_of(cls)]
    return "\n".join(rows) + "\n"


def _row(variable: Variable) -> tuple[str, str, str, str]:
    default = default_of(variable)
    otherwise = f"`{default}`" if default else "none"
    shown = "required" if variable.required else otherwise
    names = ", ".join(f"`{name}`" for name in variable.names)
    meaning = variable.info.description or ""
    if variable.deprecated is not None:
        meaning = f"{meaning} Deprecated: {variable.deprecated}".strip()
    return names, variable.expected, shown, meaning


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def inserted(page: str, text: str) -> str:
    """*page* with *text* between the marks; just *text* where the page has none."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{text}\n{END}{tail}" if begin and end else text


# -- for a validator


def schema(cls: type[Config], name: str | None = None) -> dict[str, Any]:
    """A JSON Schema of the environment: a property for each variable, named as it must be set."""
    definitions: dict[str, Any] = {}
    properties = {variable.name: _property(variable, definitions) for variable in variables_of(cls)}
    made: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name or cls.__name__,
        "type": "object",
        "properties": properties,
        "required": [variable.name for variable in variables_of(cls) if variable.required],
    }
    if definitions:
        made["$defs"] = definitions
    return made


def _property(variable: Variable, definitions: dict[str, Any]) -> dict[str, Any]:
    info = variable.info
    annotation: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    adapter = TypeAdapter[Any](annotation, config={"arbitrary_types_allowed": True})
    made = adapter.json_schema(ref_template="#/$defs/{model}")
    definitions.update(made.pop("$defs", {}))
    if info.description:
        made["description"] = info.description
    if default_of(variable) is not None:
        made["default"] = adapter.dump_python(variable.default, mode="json", fallback=str)
    if variable.deprecated is not None:
        made["deprecated"] = True
    if variable.private:
        made["writeOnly"] = True
    return made


# -- for a cluster


def kubernetes(cls: type[Config], name: str) -> str:
    """A ConfigMap and a Secret to fill in, and the patch of a Deployment that reads both."""
    secret = [variable for variable in variables_of(cls) if variable.private]
    plain = [variable for variable in variables_of(cls) if variable not in secret]
    container = {"name": name, "envFrom": [{"configMapRef": {"name": name}}, {"secretRef": {"name": name}}]}
    config_map = _head("v1", "ConfigMap", name) + _data("data", plain)
    secrets = _head("v1", "Secret", name) + "type: Opaque\n" + _data("stringData", secret)
    patch = (
        f"{_head('apps/v1', 'Deployment', name)}spec:\n  template:\n    spec:\n      enableServiceLinks: false\n"
        f"      containers: {json.dumps([container])}\n"
    )
    return f"{_FILL_IN}{config_map}---\n{secrets}---\n{_PATCH}{patch}"


def _head(api: str, kind: str, name: str) -> str:
    return f"apiVersion: {api}\nkind: {kind}\nmetadata:\n  name: {json.dumps(name)}\n"


def _data(key: str, variables: list[Variable]) -> str:
    if not variables:
        return f"{key}: {{}}\n"
    return f"{key}:\n" + "".join(f"  {line}\n" for variable in variables for line in _entry(variable))


def _entry(variable: Variable) -> Iterator[str]:
    yield f"# {_sentence(variable)}"
    default = default_of(variable)
    if variable.required:
        yield f'{variable.name}: ""'
    else:
        yield f"# {variable.name}: {json.dumps(default or '')}"


# -- for the operator


def shown(config: Config) -> list[dict[str, str]]:
    """Each variable of *config* with its value, masked, and where the value came from."""
    origins = provenance(config)
    return [
        {
            "variable": variable.name,
            "value": _masked(variable, value_of(config, variable)),
            "from": str(origins.get(variable.attribute) or origins.get(variable.path[0]) or "default"),
        }
        for variable in variables_of(type(config))
    ]


def _masked(variable: Variable, value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, Absent | AbsentSecret | AbsentText) or getattr(value, "is_placeholder", False):
        return "absent in this phase"
    if variable.secret or (variable.private and not variable.url):
        return MASK
    text = SECRETS.mask(str(_as_set(value)))
    return MASK if credentials.found_in(text) else text
