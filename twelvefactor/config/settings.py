"""The config of a service: a class that declares it, an object that holds it and never changes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

from pydantic._internal._utils import deep_update
from pydantic_settings import BaseSettings, SettingsConfigDict

from twelvefactor.config import exposure, unsupported
from twelvefactor.config.loading import Reader, plan_of
from twelvefactor.config.phases import phase
from twelvefactor.exceptions import ConfigError, FrozenConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic._internal._model_construction import ModelMetaclass

    from twelvefactor.config.loading import Reading
    from twelvefactor.config.phases import Phase
    from twelvefactor.config.places import Origin
    from twelvefactor.exceptions import Problem

    _Outcome = tuple[list[Problem], Mapping[str, str]]

    class _Meta(ModelMetaclass):
        """No `dataclass_transform`, so that checkers accept ``Config()``: its fields come from the environment."""
else:
    _Meta = type(BaseSettings)


class Config(BaseSettings, metaclass=_Meta):
    """
    The declared config, read from the environment once and frozen; subclass it and declare the fields.

    A field ``database_url`` is read from ``DATABASE_URL``. Places, first wins: arguments, the environment,
    ``DATABASE_URL_FILE``, ``/run/secrets/database_url``, service bindings, ``VCAP_SERVICES``. Thread-safe.

    >>> import twelvefactor as tf
    >>> class Config(tf.Config):
    ...     receipt_sender: str = "orders@example.com"
    ...     workers: int
    >>> Config.load({"WORKERS": "4"}).workers
    4
    >>> Config.load({"WORKERS": "four"})
    Traceback (most recent call last):
    ...
    twelvefactor.exceptions.ConfigError: the environment does not provide the declared config (1 problem):
      WORKERS: is not an integer

    Raises:
        ConfigError: With every problem, and no value.
    """

    __slots__ = ("_twelvefactor_origins",)

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        frozen=True,
        env_nested_delimiter="__",
        hide_input_in_errors=True,
        loc_by_alias=False,
    )

    if TYPE_CHECKING:

        def __init__(self, **values: Any) -> None: ...

    else:

        def __init__(self, /, _environ: Mapping[str, str] | None = None, **values: Any) -> None:
            if hasattr(self, "_twelvefactor_origins"):
                self.__refuse("__init__")
            problems, notes = _fill(self, _environ, values)
            del _environ, values  # a traceback that shows locals shows no value
            if problems:
                raise ConfigError(problems)
            exposure.warn(type(self), notes)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, /, **values: Any) -> Self:
        """
        The config that *environ* provides; what a test calls.

        Args:
            environ: The variables; the process environment where None.
            values: Fields given explicitly, which win over every place.

        Raises:
            ConfigError: With every problem, and no value.
        """
        moved = [environ, values.copy()]
        del environ
        values.clear()  # as above: nothing stays in this frame
        return cls(**moved.pop(), _environ=moved.pop())  # type: ignore[arg-type]  # popped in order

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        unsupported.refuse(cls)
        unsupported.circle(cls)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in type(self).__private_attributes__:
            self.__refuse(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self.__refuse(name)

    def __refuse(self, name: str) -> NoReturn:
        exposure.changed(self, name)
        raise FrozenConfigError(f"{type(self).__name__}.{name}: the config does not change while the process runs")

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            yield name, exposure.Shown(value)


def provenance(config: Config) -> Mapping[str, Origin]:
    """Where each value of *config* came from, by dotted attribute; what is not named is a default."""
    return getattr(config, "_twelvefactor_origins", {})


def _fill(config: Config, environ: Mapping[str, str] | None, values: dict[str, Any]) -> _Outcome:
    """Make *config* what the environment and *values* say; the problems that keep it from that, or what to warn of."""
    cls = type(config)
    plan = plan_of(cls, unsupported.options(values))
    environ = os.environ if environ is None else environ
    try:
        named = phase(environ)
    except ConfigError as error:
        return list(error.problems), {}
    given = plan.given(values)
    reader = Reader(plan, {} if named == "describe" else environ)
    reading = _read(cls, reader, {plan.keys.get(name, name): value for name, value in values.items()}, named)
    wrong = _validated(config, reading.data) if named == "run" else None
    object.__setattr__(config, "_twelvefactor_origins", reading.origins)
    if named != "run" or wrong is not None or reading.problems or reading.general:
        from twelvefactor.config import problems

        found = problems.explain(config, problems.Translator(plan, reading, given), wrong, named)
        if found:
            problems.nearest(found, reader.unread)
            return found, {}
    exposure.register(config, (leaf for leaf in plan.leaves if leaf.private and leaf.attribute in reading.origins))
    return [], reading.notes


def _read(cls: type[Config], reader: Reader, explicit: dict[str, Any], named: Phase) -> Reading:
    """What the places hold, under what is given explicitly; sources of the app's own are asked in a run only."""
    if named == "run" and _has_own_sources(cls):
        from twelvefactor.config import sources

        reading = sources.read(cls, reader, explicit)
    else:
        reading = reader.read(without=reader.plan.given(explicit))
        reading.data = deep_update(reading.data, explicit)
    if reader.plan.partial_defaults:
        from twelvefactor.config import sources

        reading.data = sources.over_defaults(cls, reading.data)
    return reading


def _has_own_sources(cls: type[BaseSettings]) -> bool:
    """Whether *cls* overrides pydantic-settings' hook."""
    return cls.settings_customise_sources.__func__ is not BaseSettings.settings_customise_sources.__func__  # type: ignore[attr-defined]  # a bound classmethod


def _validated(config: Config, data: dict[str, Any]) -> Exception | None:
    """Let pydantic judge *data*; what it raises is handed back, to be kept here, since it holds values."""
    try:
        type(config).__pydantic_validator__.validate_python(data, self_instance=config, by_alias=True, by_name=True)
    except Exception as error:  # noqa: BLE001 - a validator of the app may raise anything
        return error
    return None
