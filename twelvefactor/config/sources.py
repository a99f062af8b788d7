"""Let a class add sources of its own through pydantic-settings' hook, and keep each one's faults apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic._internal._utils import deep_update
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    DotEnvSettingsSource,
    InitSettingsSource,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    TomlConfigSettingsSource,
    YamlConfigSettingsSource,
)
from pydantic_settings.sources import DefaultSettingsSource

from twelvefactor.config.places import Origin
from twelvefactor.config.unsupported import CLI, DOTENV, FILE
from twelvefactor.exceptions import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from twelvefactor.config.loading import Reader, Reading

_REFUSED: tuple[tuple[type[Any], str], ...] = (
    (CliSettingsSource, CLI),
    (DotEnvSettingsSource, DOTENV),
    (PyprojectTomlConfigSettingsSource, FILE),
    (JsonConfigSettingsSource, FILE),
    (YamlConfigSettingsSource, FILE),
    (TomlConfigSettingsSource, FILE),
)


class _Ours(PydanticBaseSettingsSource):
    """The places of twelvefactor, as a source that the hook can put in its order."""

    def __init__(self, cls: type[BaseSettings], read: Callable[[], dict[str, Any]]) -> None:
        super().__init__(cls)
        self._read = read

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - theirs
        """Unused: all fields are read at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._read()


def read(cls: type[BaseSettings], reader: Reader, explicit: dict[str, Any]) -> Reading:
    """Read every source of *cls* in its order; a source that raises is one problem and hides no other."""
    reading = reader.reading
    data: dict[str, Any] = {}
    for source in _sources(cls, reader, explicit):
        got = _from(source, data, reading)
        for key in got.keys() - data.keys():
            name = reader.plan.fields.get(key, key)
            if name not in reading.origins:
                reading.origins[name] = Origin("source", type(source).__name__)
        data = deep_update(got, data)
    reading.data = data
    for name in explicit:
        reading.origins.pop(reader.plan.fields.get(name, name), None)
    return reading


def over_defaults(cls: type[BaseSettings], data: dict[str, Any]) -> dict[str, Any]:
    """*data*, where part of a nested model is set, over the rest of that model's default."""
    defaults = DefaultSettingsSource(cls, nested_model_default_partial_update=True)()
    merged = deep_update(defaults, data)
    return {key: value for key, value in merged.items() if key not in defaults or key in data}


def _sources(cls: type[BaseSettings], reader: Reader, explicit: dict[str, Any]) -> tuple[Any, ...]:
    def places() -> dict[str, Any]:
        return reader.read(without=reader.plan.given(explicit)).data

    return cls.settings_customise_sources(
        cls,
        init_settings=InitSettingsSource(cls, init_kwargs=explicit),
        env_settings=_Ours(cls, places),
        dotenv_settings=_Ours(cls, dict),  # a .env file is read by `twelvefactor dev` alone
        file_secret_settings=_Ours(cls, dict),  # files are among the places
    )


def _from(source: Any, data: dict[str, Any], reading: Reading) -> dict[str, Any]:
    name = type(source).__name__
    for refused, reason in _REFUSED:
        if isinstance(source, refused):
            reading.general.append(Problem((name,), f"is refused: {reason}"))
            return {}
    try:
        if isinstance(source, PydanticBaseSettingsSource):
            source._set_current_state(data)  # as pydantic-settings does before it asks  # noqa: SLF001
        got: dict[str, Any] = source()
    except Exception as error:  # noqa: BLE001 - a source may raise anything, and what it says may hold a value
        reading.general.append(Problem((name,), f"the source raised {type(error).__name__}"))
        return {}
    return got
