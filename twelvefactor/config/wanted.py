"""Tell what a field's annotation asks of the environment: a secret, a URL, a list, or plain text."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.dataclasses import is_pydantic_dataclass
from typing_inspection import typing_objects
from typing_inspection.introspection import is_union_origin

from twelvefactor.config.secret import SECRET_TYPES
from twelvefactor.config.values import SPELT, Port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

_WORDS: dict[Any, str] = {str: "text", int: "an integer", float: "a number", bool: "true or false", bytes: "text"}


def members(annotation: Any) -> Iterator[Any]:
    """The types that *annotation* allows, without ``None``, ``Annotated`` and aliases."""
    if typing_objects.is_typealiastype(annotation):
        yield from members(annotation.__value__)
    elif typing_objects.is_annotated(get_origin(annotation)):
        yield from members(get_args(annotation)[0])
    elif is_union_origin(get_origin(annotation)):
        for member in get_args(annotation):
            yield from members(member)
    elif annotation is not type(None):
        yield annotation


def is_secret(annotation: Any) -> bool:
    """Whether its values are secrets."""
    return any(_subclass(get_origin(member) or member, SECRET_TYPES) for member in members(annotation))


def url_types(annotation: Any) -> tuple[type[Any], ...]:
    """The resource URL types in *annotation*, by their mark ``is_resource_url``; the base of a subscripted one."""
    found = (get_origin(member) or member for member in members(annotation))
    return tuple(each for each in found if getattr(each, "is_resource_url", False) is True)


def is_url(annotation: Any) -> bool:
    """Whether its values are URLs that may carry a password: resource URLs and pydantic's own."""
    return any(
        getattr(get_origin(member) or member, "is_resource_url", False) is True or hasattr(member, "unicode_string")
        for member in members(annotation)
    )


def is_text(annotation: Any) -> bool:
    """Whether plain text is a value as it stands, also when it is empty."""
    return any(_subclass(member, str | bytes) and not _subclass(member, enum.Enum) for member in members(annotation))


def is_plain(annotation: Any) -> bool:
    """Whether it is one class or that and ``None``, or resource URLs: nothing that a parser has to look into."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return True
    parts = tuple(part for part in get_args(annotation) if part is not type(None))
    if is_union_origin(get_origin(annotation)) and len(parts) == 1:
        return is_plain(parts[0])
    found = tuple(members(annotation))
    return bool(found) and len(url_types(annotation)) == len(found)


def is_list(annotation: Any) -> bool:
    """Whether its values are flat lists, which the environment may write with commas."""
    found = tuple(members(annotation))
    return bool(found) and all(_is_flat_list(member) for member in found)


def _is_flat_list(member: Any) -> bool:
    origin = get_origin(member) or member
    if not _subclass(origin, Sequence | AbstractSet) or _subclass(origin, str | bytes):
        return False
    return not any(_is_nested(item) for part in get_args(member) for item in members(part))


def _is_nested(item: Any) -> bool:
    return model(item) is not None or (
        _subclass(get_origin(item) or item, Mapping | Sequence | AbstractSet) and not _subclass(item, str | bytes)
    )


def model(annotation: Any) -> type[Any] | None:
    """The nested model or pydantic dataclass that *annotation* is, or None."""
    for member in members(annotation):
        if _subclass(member, BaseModel) or is_pydantic_dataclass(member):
            return member  # type: ignore[no-any-return]  # a class, as the line above says
    return None


def model_fields(cls: type[Any]) -> Mapping[str, FieldInfo]:
    """The fields of a model or pydantic dataclass."""
    return getattr(cls, "__pydantic_fields__", {})


def _subclass(candidate: Any, of: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, of)


def expected(annotation: Any) -> str:
    """
    What *annotation* wants, in words that never come from a value.

    >>> expected(int | None)
    'an integer'
    >>> expected(list[int])
    'a comma list, each an integer'
    """
    if annotation == Port:
        return "a port, 1 to 65535"
    said = dict.fromkeys(_one(member) for member in members(annotation))
    return " or ".join(said) or "nothing"


def _one(member: Any) -> str:
    if is_secret(member):
        return "a secret, not empty"
    own = SPELT.get(member) or getattr(member, "expected", None)
    if isinstance(own, str):
        return own
    origin = get_origin(member) or member
    if getattr(origin, "is_resource_url", False) is True:
        scheme = next(iter(getattr(origin, "schemes", ())), None)
        return f"a URL {scheme}://…" if scheme else "a URL"
    if hasattr(member, "unicode_string"):
        return "a URL"
    if origin is Literal:
        return _choices(get_args(member))
    if _subclass(member, enum.Enum):
        return _choices(choice.value for choice in member)
    if _is_flat_list(member):
        item = next((part for part in get_args(member) if part is not ...), str)
        return "a comma list" if item is str else f"a comma list, each {expected(item)}"
    if member in _WORDS:
        return _WORDS[member]
    if model(member) is not None or _subclass(origin, Mapping):
        return "a JSON object"
    return f"a {getattr(member, '__name__', 'value').lower()}"


def _choices(values: Any) -> str:
    return " or ".join(str(value) for value in values)
