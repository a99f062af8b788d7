"""Make a config where there is no environment to speak of: while an image is built or documentation is generated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model
from pydantic._internal._model_construction import ModelMetaclass

from twelvefactor.config import wanted
from twelvefactor.config.placeholders import Absent, AbsentSecret, AbsentText
from twelvefactor.exceptions import PhaseError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twelvefactor.config.phases import Phase
    from twelvefactor.config.problems import Translator
    from twelvefactor.config.settings import Config
    from twelvefactor.config.variables import Variable

_NOTHING = object()


def validate(config: Config, translator: Translator, phase: Phase) -> None:
    """Make *config* of what was read, with something that raises when used in place of what is absent."""
    reading = translator.reading
    stand_ins: dict[str, Any] = {}
    for step in translator.plan.steps:
        if step.key in reading.data or step.variable.attribute in reading.problems:
            continue
        stand_in = _stand_in(step.variable, phase)
        if isinstance(stand_in, Problem):
            reading.problems[step.variable.attribute] = stand_in
        elif stand_in is not _NOTHING:
            stand_ins[step.variable.path[0]] = stand_in
    if not reading.problems:
        _adopt(config, translator, stand_ins)


def _stand_in(variable: Variable, phase: Phase) -> Any:
    """What stands in for *variable*, nothing where it has a default, or the problem that it has neither."""
    if variable.at_build is not None:
        return variable.at_build.value
    if not variable.required:
        return _NOTHING
    if variable.secret:
        return AbsentSecret(variable.name)
    for url in wanted.url_types(variable.info.annotation):
        return url.placeholder(variable.name)
    if variable.text:
        return AbsentText(variable.name)
    if variable.parts:
        return _inside(variable, phase)
    if phase == "describe":
        return Absent(variable.name)
    return Problem(
        variable.names,
        "has nothing to stand in for it in the build phase",
        expected=variable.expected,
        hint="Give the field a default or tf.at_build(...)",
    )


def _inside(variable: Variable, phase: Phase) -> Any:
    """A nested model of stand-ins."""
    values = {part.path[-1]: _stand_in(part, phase) for part in variable.parts}
    for value in values.values():
        if isinstance(value, Problem):
            return value
    inner = wanted.model(variable.info.annotation)
    given = {name: value for name, value in values.items() if value is not _NOTHING}
    if inner is not None and issubclass(inner, BaseModel):
        return inner.model_construct(**given)
    return Absent(variable.name)


def _adopt(config: Config, translator: Translator, stand_ins: dict[str, Any]) -> None:
    cls = type(config)
    fields: Any = {name: (Any, Field(default=value, validate_default=False)) for name, value in stand_ins.items()}
    derived = create_model(cls.__name__, __base__=cls, __module__=cls.__module__, **fields)
    made = derived.__new__(derived)
    try:
        derived.__pydantic_validator__.validate_python(
            translator.reading.data, self_instance=made, by_alias=True, by_name=True
        )
    except ValidationError as error:
        translator.add(error.errors(include_url=False, include_input=False))
        return
    except PhaseError:  # a validator wanted what is absent; it runs when it is there
        made = _field_by_field(cls, translator, stand_ins)
    except Exception as error:  # noqa: BLE001 - a validator of the app may raise anything
        translator.escaped(None, error)
        return
    for slot in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__"):
        object.__setattr__(config, slot, getattr(made, slot, None))


def _field_by_field(cls: type[Config], translator: Translator, stand_ins: dict[str, Any]) -> Any:
    values: dict[str, Any] = dict(stand_ins)
    for step in translator.plan.steps:
        if step.key in translator.reading.data:
            info = step.variable.info
            try:
                adapter = TypeAdapter[Any](info.annotation or Any)
                values[step.variable.path[0]] = adapter.validate_python(translator.reading.data[step.key])
            except ValidationError as error:
                translator.add(_inside_of(step.variable, error.errors(include_url=False, include_input=False)))
    quiet: Any = ModelMetaclass(cls.__name__, (cls,), {"__module__": cls.__module__, "model_post_init": _nothing})
    return quiet.model_construct(**values)


def _nothing(self: Any, context: Any, /) -> None:
    """In the place of what the app does once a config is made, which may want what is absent."""


def _inside_of(variable: Variable, errors: Iterable[Any]) -> list[Any]:
    return [{**error, "loc": (*variable.path, *error["loc"])} for error in errors]
