"""pydantic-settings' own parser of variables, told which variables there are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic_settings import EnvSettingsSource, ForceDecode, NoDecode
from pydantic_settings.sources.types import EnvNoneType

from twelvefactor.config import wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

UNSET = object()
"""Nothing is set."""


class NotDecoded(ValueError):  # noqa: N818 - what it is, not an error of ours
    """A value that is not the JSON it should be; holds no part of it."""


class Source(EnvSettingsSource):
    """
    What pydantic-settings reads from the environment, without reading the environment.

    Nested models, enumerations, strict types, decoding switches and prefixes are theirs; where a value is, is ours.
    """

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {}

    def accepted(self, name: str, info: FieldInfo) -> list[tuple[str, str, bool]]:
        """For each accepted variable: the key for pydantic, the variable, and whether an alias path leads into it."""
        return self._extract_field_info(info, name)

    def folded(self, name: str) -> str:
        """*name* as this source compares names."""
        return self._apply_case_sensitive(name)

    def field_is_complex(self, field: FieldInfo) -> bool:
        """Whether its text has to be decoded; a resource URL never is, whatever it is subscripted with."""
        return not wanted.url_types(field.annotation) and super().field_is_complex(field)

    def is_simple(self, info: FieldInfo) -> bool:
        """Whether its text is handed to pydantic as it stands, so that a load need not ask again."""
        if self.env_parse_enums or self.env_parse_none_str is not None or self.config.get("strict"):
            return False
        return wanted.is_plain(info.annotation) and not self._field_is_complex(info)[0]

    def decode_complex_value(self, field_name: str, field: FieldInfo | None, value: Any) -> Any:  # noqa: ARG002 - theirs
        """A list written with commas, or JSON."""
        if not self._decodes(field):
            return value
        if field is not None and wanted.is_list(field.annotation) and not value.lstrip().startswith("["):
            return [item.strip() for item in value.split(",") if item.strip()]
        return loads(value)

    def _decodes(self, field: FieldInfo | None) -> bool:
        metadata = [] if field is None else field.metadata
        if any(each is NoDecode or isinstance(each, NoDecode) for each in metadata):
            return False
        forced = any(each is ForceDecode or isinstance(each, ForceDecode) for each in metadata)
        return forced or self.config.get("enable_decoding") is not False

    def parsed(
        self, name: str, info: FieldInfo, text: str | None, nested: Mapping[str, str | None], *, into: bool
    ) -> Any:
        """
        What pydantic shall validate for the field, or `UNSET`.

        Args:
            name: The field's name.
            info: The field.
            text: The text of the field's own variable.
            nested: The variables of what is inside it, by folded name.
            into: Whether an alias path leads into the text.

        Raises:
            NotDecoded: When some text is not the JSON it should be.
        """
        self.env_vars = nested
        value: Any = self.none_or(text)
        value = self.prepare_field_value(name, info, value, into)
        if value is None:
            return UNSET
        if isinstance(value, EnvNoneType):
            return None
        if self.env_parse_none_str is not None and isinstance(value, dict):
            value = self._replace_env_none_type_values(value)
        if not self.case_sensitive and isinstance(value, dict):
            value = self._replace_field_names_case_insensitively(info, value)
        return value

    def none_or(self, text: str | None) -> str | None:
        """*text*, marked where it is what the class spells ``None``."""
        if self.env_parse_none_str is None or text != self.env_parse_none_str:
            return text
        return EnvNoneType(text)


def loads(text: str) -> Any:
    """*text* as JSON; what it raises holds no part of it."""
    wrong = ""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        wrong = f"is not JSON (at character {error.pos})"
    except (ValueError, RecursionError):
        wrong = "is not JSON that can be read"
    raise NotDecoded(wrong)
