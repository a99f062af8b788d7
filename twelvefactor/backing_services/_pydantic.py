"""How pydantic validates and shows a URL; imported when pydantic asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError, core_schema

from twelvefactor.exceptions import URLError

if TYPE_CHECKING:
    from twelvefactor.backing_services.url import URL


def core_schema_for(cls: type[URL[Any, Any]]) -> core_schema.CoreSchema:
    """Text or a URL of the kind in; the URL in Python mode and its mask in JSON out."""

    def validate(value: Any) -> URL[Any, Any]:
        if isinstance(value, cls):
            return value
        try:
            return _made(cls, value)
        except URLError as error:
            reason = str(error)
        del value
        raise PydanticCustomError("resource_url", "{reason}", {"reason": reason})  # outside: no chain to the text

    return core_schema.no_info_plain_validator_function(
        validate, serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json")
    )


def _made(cls: type[URL[Any, Any]], value: Any) -> URL[Any, Any]:
    from twelvefactor.backing_services.url import URL

    if isinstance(value, URL):
        raise URLError(f"expected a {cls.__name__}, not a {type(value).__name__}")
    return cls(value)
