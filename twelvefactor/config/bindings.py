"""Find a value among the services that the platform bound: service bindings and Cloud Foundry's VCAP_SERVICES."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from twelvefactor.config import places, wanted
from twelvefactor.config.places import Found, Origin, Trouble
from twelvefactor.exceptions import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from twelvefactor.config.variables import Variable

# What platforms call a kind whose URL has another scheme.
_ALSO = {
    "amqp": ("rabbitmq",),
    "redis": ("valkey", "keyval"),
    "postgresql": ("postgres", "pgsql"),
    "mysql": ("mariadb",),
    "mongodb": ("mongo",),
    "smtp": ("email", "mail"),
    "mqtt": ("mosquitto",),
}
_ENDINGS = ("-url", "-uri", "-dsn")
_ENTRIES = ("uri", "url", "connection-string", "connectionstring")


@dataclass(frozen=True, slots=True, repr=False)  # a repr would show credentials
class Binding:
    """
    One bound service.

    Attributes:
        names: What it is called, most telling first.
        types: The kinds it says it is of: type, label, tags; lower case.
        entries: Its credentials, by name with dashes.
        origin: Where it was found.
    """

    names: tuple[str, ...]
    types: frozenset[str]
    entries: Mapping[str, str | Trouble]
    origin: Origin

    def entry(self, *names: str) -> str:
        """The first of the entries *names* that is there and can be read, or an empty string."""
        found = (self.entries.get(name) for name in names)
        return next((text for text in found if isinstance(text, str) and text), "")


class Bindings:
    """
    What the platform bound.

    Args:
        bound: The bindings, service bindings before VCAP_SERVICES.
        problems: What could not be read as a whole.
    """

    def __init__(self, bound: Iterable[Binding], problems: Iterable[Problem]) -> None:
        self.bound = tuple(bound)
        self.problems = tuple(problems)

    def find(self, variable: Variable, rivals: Iterable[Variable]) -> Found | Problem | None:
        """
        The value for *variable*: an entry of its name, a binding of its name, or the only binding of its kind.

        Args:
            variable: What is looked for.
            rivals: Every other variable that is declared.
        """
        found = self._entry(variable)
        if found is not None or not variable.url:
            return found
        named = tuple(each for each in self.bound if _answers(variable, each.names))
        if named:
            return self._only(variable, named)
        of_kind = tuple(each for each in self.bound if each.types & _kinds(variable))
        others = tuple(rival for rival in rivals if rival is not variable and rival.url)
        left = tuple(each for each in of_kind if not any(_answers(rival, each.names) for rival in others))
        for rival in others:
            if left and rival.required >= variable.required and left[0].types & _kinds(rival):
                return _contested(variable, rival, left[0]) if rival.required == variable.required else None
        return self._only(variable, left) if left else None

    def _entry(self, variable: Variable) -> Found | Problem | None:
        """From an entry whose binding and name together are the variable: ``stripe`` / ``secret-key``."""
        fitting = [(binding, entry) for binding in self.bound for entry in _entries_for(variable, binding)]
        kinds = {binding.origin.kind for binding, _ in fitting}
        if len(fitting) > len(kinds):
            return Problem(
                variable.names,
                f"{len(fitting)} bindings called {fitting[0][0].names[0]} have it",
                expected=variable.expected,
                looked=tuple(sorted(kinds)),
                hint="Rename all but one",
            )
        return _as_found(variable, *fitting[0]) if fitting else None

    @staticmethod
    def _only(variable: Variable, fitting: tuple[Binding, ...]) -> Found | Problem:
        if len({binding.origin.kind for binding in fitting}) > 1:  # the same service, offered in two ways
            fitting = tuple(binding for binding in fitting if binding.origin.kind == fitting[0].origin.kind)
        if len(fitting) > 1:
            names = " and ".join(binding.names[0] for binding in fitting)
            return Problem(
                variable.names,
                f"the bindings {names} both fit" if len(fitting) == 2 else f"the bindings {names} all fit",  # noqa: PLR2004 - two
                expected=variable.expected,
                looked=(str(fitting[0].origin.kind),),
                hint=f"Name one of them {_stem(variable.name)}",
            )
        return _url(variable, fitting[0])


def _entries_for(variable: Variable, binding: Binding) -> list[str]:
    wished = {_dashed(name) for name in variable.names}
    return [entry for entry in binding.entries if any(f"{_dashed(name)}-{entry}" in wished for name in binding.names)]


def _contested(variable: Variable, rival: Variable, binding: Binding) -> Problem:
    return Problem(
        variable.names,
        f"the binding {binding.names[0]} fits it and {rival.name} alike",
        expected=variable.expected,
        looked=(binding.origin.kind,),
        hint=f"Name the binding {_stem(variable.name)} or {_stem(rival.name)}",
    )


def _as_found(variable: Variable, binding: Binding, entry: str) -> Found | Problem:
    text = binding.entries[entry]
    where = f"{binding.origin.path or binding.names[0]}/{entry}"
    if isinstance(text, Trouble):
        return Problem(variable.names, f"the binding's entry {where} {text.wrong}")
    return Found(text, Origin(binding.origin.kind, variable.name, where))


def _url(variable: Variable, binding: Binding) -> Found | Problem:
    """The URL that *binding* gives, put together from its parts where it has none."""
    for entry, text in binding.entries.items():
        if isinstance(text, Trouble) and entry in {*_ENTRIES, "host", "port", "username", "password", "database"}:
            return _as_found(variable, binding, entry)
    text = binding.entry(*_ENTRIES) or _assembled(variable, binding)
    if not text:
        return Problem(
            variable.names, f"the binding {binding.names[0]} has neither uri nor host", expected=variable.expected
        )
    return Found(text, Origin(binding.origin.kind, variable.name, binding.origin.path or binding.names[0]))


def _assembled(variable: Variable, binding: Binding) -> str:
    host = binding.entry("host", "hostname")
    if not host:
        return ""
    user = quote(binding.entry("username", "user"), safe="")
    password = quote(binding.entry("password"), safe="")
    credentials = f"{user}:{password}@" if password else f"{user}@" if user else ""
    port = binding.entry("port")
    database = quote(binding.entry("database", "dbname", "name", "vhost", "virtual-host"), safe="")
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{_schemes(variable)[0]}://{credentials}{host}{f':{port}' if port else ''}/{database}"


def _schemes(variable: Variable) -> tuple[str, ...]:
    """The schemes that *variable* takes, preferred first."""
    found: list[str] = []
    for member in wanted.members(variable.info.annotation):
        origin = getattr(member, "__origin__", member)
        found.extend(getattr(origin, "schemes", ()))
        constraints = getattr(member, "_constraints", None)  # pydantic's own DSN types
        found.extend(getattr(constraints, "allowed_schemes", None) or ())
    return tuple(found) or ("http",)


def _kinds(variable: Variable) -> frozenset[str]:
    """What a platform may call the kind of *variable*."""
    plain = {scheme.partition("+")[0] for scheme in _schemes(variable)}
    return frozenset(plain.union(*(_ALSO.get(scheme, ()) for scheme in plain)))


def _answers(variable: Variable, names: Iterable[str]) -> bool:
    """Whether one of *names* is the variable's, with or without its ending: ``database`` for ``DATABASE_URL``."""
    wished = {form for name in variable.names for form in (_dashed(name), _stem(name))}
    return any(_dashed(name) in wished for name in names)


def _dashed(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower())


def _stem(name: str) -> str:
    dashed = _dashed(name)
    ending = next((each for each in _ENDINGS if dashed.endswith(each)), "")
    return dashed.removesuffix(ending)


def read(environ: Mapping[str, str]) -> Bindings:
    """The bindings that *environ* names; what cannot be read is one problem, not one for each variable."""
    problems: list[Problem] = []
    bound = [*_mounted(environ, problems), *_vcap(environ, problems)]
    return Bindings(bound, problems)


def _mounted(environ: Mapping[str, str], problems: list[Problem]) -> Iterator[Binding]:
    """Service bindings: a directory for each below SERVICE_BINDING_ROOT, a file for each entry."""
    root = environ.get("SERVICE_BINDING_ROOT")
    if not root:
        return
    try:
        directories = sorted(entry.path for entry in os.scandir(root) if entry.is_dir() and entry.name[0] != ".")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        problems.append(Problem(("SERVICE_BINDING_ROOT",), f"cannot be read: {reason}"))
        return
    for directory in directories:
        entries = _entries(directory)
        kind = entries.get("type")
        if isinstance(kind, str) and kind:  # the specification: without a type it is not a binding
            provider = entries.get("provider")
            types = {kind.strip().lower(), provider.strip().lower() if isinstance(provider, str) else ""}
            yield Binding(
                (directory.rpartition("/")[2],), frozenset(types - {""}), entries, Origin("binding", "", directory)
            )


def _entries(directory: str) -> dict[str, str | Trouble]:
    found: dict[str, str | Trouble] = {}
    try:
        files = sorted(entry.path for entry in os.scandir(directory) if entry.name[0] != "." and not entry.is_dir())
    except OSError:
        return {}
    for path in files:
        text = places.read(path)
        if text is not None:
            found[_dashed(path.rpartition("/")[2])] = text
    return found


def _vcap(environ: Mapping[str, str], problems: list[Problem]) -> Iterator[Binding]:
    """Cloud Foundry: one JSON document, in a variable or in a file."""
    name, text = "VCAP_SERVICES", environ.get("VCAP_SERVICES")
    path = environ.get("VCAP_SERVICES_FILE_PATH")
    if not text and path:
        name = "VCAP_SERVICES_FILE_PATH"
        got = places.read(path)
        if not isinstance(got, str):
            wrong = got.wrong if got else "does not exist"
            problems.append(Problem((name,), f"the file it points at {wrong}"))
            return
        text = got
    if text:
        yield from _services(name, text, problems)


def _services(name: str, text: str, problems: list[Problem]) -> Iterator[Binding]:
    wrong = ""
    document: Any = None
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        wrong = f"is not JSON (at character {error.pos})"
    except (ValueError, RecursionError):
        wrong = "is not JSON that can be read"
    if not wrong and not isinstance(document, dict):
        wrong = "is not a JSON object"
    if wrong:
        problems.append(Problem((name,), wrong, expected="the document that Cloud Foundry sets"))
        return
    for label, services in document.items():
        for service in services if isinstance(services, list) else ():
            if isinstance(service, dict):
                yield _service(name, str(label), service)


def _service(name: str, label: str, service: dict[str, Any]) -> Binding:
    credentials = service.get("credentials")
    entries = {
        _dashed(key): str(value)
        for key, value in (credentials.items() if isinstance(credentials, dict) else ())
        if isinstance(value, str | int | float)
    }
    called = [service.get(key) for key in ("binding_name", "instance_name", "name")]
    names = tuple(dict.fromkeys(each for each in called if isinstance(each, str) and each)) or (label,)
    tags = service.get("tags")
    said = [label, service.get("label"), *(tags if isinstance(tags, list) else ())]
    types = {
        part
        for each in said
        if isinstance(each, str)
        for part in (each.lower(), *re.split(r"[^a-z0-9]+", each.lower()))
    }
    return Binding(names, frozenset(types - {""}), entries, Origin(name, "", names[0]))
