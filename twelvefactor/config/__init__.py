"""III. Store config in the environment: typed, read once, validated at start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.config.phases import Phase, phase

if TYPE_CHECKING:
    from twelvefactor._core.process import Process, Sensor
    from twelvefactor.config.placeholders import at_build
    from twelvefactor.config.places import Origin
    from twelvefactor.config.rules import RULES
    from twelvefactor.config.secret import Secret
    from twelvefactor.config.settings import Config, provenance
    from twelvefactor.config.values import ByteSize, Duration, LogLevel, Port

__all__ = [
    "RULES",
    "ByteSize",
    "Config",
    "Duration",
    "LogLevel",
    "Origin",
    "Phase",
    "Port",
    "Secret",
    "at_build",
    "phase",
    "provenance",
    "sensors",
]

_HOMES = {
    "RULES": "rules",
    "ByteSize": "values",
    "Config": "settings",
    "Duration": "values",
    "LogLevel": "values",
    "Origin": "places",
    "Port": "values",
    "Secret": "secret",
    "at_build": "placeholders",
    "provenance": "settings",
}


def sensors(process: Process) -> tuple[Sensor, ...]:
    """What watches the config of *process*: the environment guard and the checks at start."""
    from twelvefactor.config.watch import sensors as watching

    return watching(process)


if not TYPE_CHECKING:  # pydantic is imported by the first service that declares a config, not before

    def __getattr__(name: str):  # noqa: ANN202 - whatever the name means
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'twelvefactor.config' has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"twelvefactor.config.{home}"), name)
        return value
