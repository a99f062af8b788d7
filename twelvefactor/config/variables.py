"""List the variables that a Config class declares, nested ones included, as they must be set."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from annotated_types import Ge, Le
from pydantic import AliasChoices, AliasPath

from twelvefactor.config import wanted
from twelvefactor.config.placeholders import AtBuild
from twelvefactor.config.values import PORT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo
    from pydantic_settings import BaseSettings

    from twelvefactor.config.source import Source

_TELLTALE = re.compile(
    r"(?:^|_)(?:password|passwd|pwd|passphrase|secret|token|api_?key|(?:private|access|secret|signing)_key)$",
    re.IGNORECASE,
)
_OPTIONAL = object()
"""The default of a nested model that is absent unless something of it is set."""


@dataclass(frozen=True, eq=False)
class Variable:
    """
    One value that the environment provides.

    Attributes:
        path: Where it lands: the field's name, then the names inside nested models.
        names: The variables that are accepted, spelt as they must be set; the first is the preferred one.
        info: The field.
        parts: What is inside, where the field is a nested model.
        around: The default of the nested model that it is inside of, or None where that has none.
    """

    path: tuple[str, ...]
    names: tuple[str, ...]
    info: FieldInfo
    parts: tuple[Variable, ...] = field(default=(), repr=False)
    around: Any = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The preferred variable."""
        return self.names[0]

    @property
    def attribute(self) -> str:
        """The dotted path of the value in the config."""
        return ".".join(self.path)

    @cached_property
    def secret(self) -> bool:
        """Whether its value is a secret."""
        return wanted.is_secret(self.info.annotation)

    @cached_property
    def private(self) -> bool:
        """Whether its value is not for showing: a secret, a URL, or text that is called one."""
        return self.secret or self.url or (self.text and _TELLTALE.search(self.path[-1]) is not None)

    @cached_property
    def url(self) -> bool:
        """Whether its value is a URL that may carry a password."""
        return wanted.is_url(self.info.annotation)

    @cached_property
    def text(self) -> bool:
        """Whether plain text is a value as it stands."""
        return wanted.is_text(self.info.annotation)

    @cached_property
    def expected(self) -> str:
        """What it must hold, in words."""
        info = self.info
        if info.annotation is int and [each for each in info.metadata if isinstance(each, Ge | Le)] == list(PORT):
            return "a port, 1 to 65535"
        return wanted.expected(info.annotation)

    @property
    def required(self) -> bool:
        """Whether there is no default, neither its own nor that of the nested model it is inside of."""
        return self.info.is_required() and self.around is None

    @property
    def default(self) -> Any:
        """What it holds where nothing is set; None as well where that depends on other fields."""
        if self.around is not None and self.around is not _OPTIONAL:
            return vars(self.around).get(self.path[-1]) if hasattr(self.around, "__dict__") else None
        if self.info.is_required() or self.info.default_factory_takes_validated_data:
            return None
        return self.info.get_default(call_default_factory=True, validated_data={})

    @property
    def deprecated(self) -> str | None:
        """What is said about its deprecation, None where it is not deprecated."""
        said = self.info.deprecated
        if not said:
            return None
        return said if isinstance(said, str) else getattr(said, "message", "it is deprecated")

    @property
    def at_build(self) -> AtBuild | None:
        """What stands in for it while the image is built."""
        return next((each for each in self.info.metadata if isinstance(each, AtBuild)), None)

    def walk(self) -> Iterator[Variable]:
        """Itself and everything inside."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def leaves(self) -> Iterator[Variable]:
        """Itself, or what is inside where it is a nested model."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()


def declared(cls: type[BaseSettings], source: Source) -> tuple[Variable, ...]:
    """The variables of *cls*, one for each field, with the names that *source* would accept."""
    return tuple(
        _variable(source, (name,), _names(source, name, info), info, above=(cls,))
        for name, info in cls.model_fields.items()
    )


def _names(source: Source, name: str, info: FieldInfo) -> tuple[str, ...]:
    found = (accepted for _, accepted, _ in source.accepted(name, info))
    return tuple(dict.fromkeys(found if source.case_sensitive else (each.upper() for each in found)))


def _variable(
    source: Source,
    path: tuple[str, ...],
    names: tuple[str, ...],
    info: FieldInfo,
    *,
    above: tuple[type[Any], ...],
    around: Any = None,
) -> Variable:
    inside = wanted.model(info.annotation)
    delimiter = source.env_nested_delimiter
    here = Variable(path, names, info, around=around)
    if inside is None or not delimiter or inside in above:  # a model inside itself has no last variable
        return here
    joint = delimiter if source.case_sensitive else delimiter.upper()
    default = None if here.required else (_OPTIONAL if here.default is None else here.default)
    parts = tuple(
        _variable(
            source,
            (*path, name),
            tuple(f"{outer}{joint}{inner}" for outer in names for inner in _inner_names(source, name, part)),
            part,
            above=(*above, inside),
            around=default,
        )
        for name, part in wanted.model_fields(inside).items()
    )
    return replace(here, parts=parts)


def _inner_names(source: Source, name: str, info: FieldInfo) -> tuple[str, ...]:
    alias = info.validation_alias
    if isinstance(alias, str):
        found: tuple[str, ...] = (alias,)
    elif isinstance(alias, AliasChoices):
        found = tuple(choice for choice in alias.choices if isinstance(choice, str)) or (name,)
    elif isinstance(alias, AliasPath):
        found = (str(alias.path[0]),)
    else:
        found = (name,)
    return found if source.case_sensitive else tuple(each.upper() for each in found)
