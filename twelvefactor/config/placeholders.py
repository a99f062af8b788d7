"""Stand in for what a build does not have, and raise as soon as somebody uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn, Self

from pydantic import Field
from pydantic.fields import FieldInfo

from twelvefactor.config.secret import Secret
from twelvefactor.exceptions import PhaseError


@dataclass(frozen=True, slots=True)
class AtBuild:
    """What a field holds while the image is built."""

    value: Any


def at_build(value: Any, /, **field: Any) -> Any:
    """
    A field that the environment must set, except in the build phase, where it is *value*.

    Args:
        value: What stands in for it while the image is built or documentation is generated.
        field: Whatever pydantic's ``Field`` takes, but a default.

    >>> import twelvefactor as tf
    >>> class Config(tf.Config):
    ...     shards: int = tf.at_build(1, ge=1)
    >>> Config.load({"TWELVEFACTOR_PHASE": "build"}).shards
    1
    >>> Config.load({"SHARDS": "4"}).shards
    4
    """
    info = Field(**field)
    assert isinstance(info, FieldInfo)
    info.metadata.append(AtBuild(value))
    return info


def refuse(variable: str) -> NoReturn:
    """Say that *variable* is not there in this phase."""
    raise PhaseError(
        f"{variable} is not available while the image is built or documentation is generated, and something used it. "
        "Use it only when the process runs, or give it a value for the build with tf.at_build(...)"
    )


class AbsentSecret(Secret):
    """The secret that a build does not have."""

    def __init__(self, variable: str) -> None:
        super().__init__(f"<{variable} is absent in this phase>")
        self._variable = variable

    def get_secret_value(self) -> str:
        """Raises `PhaseError`."""
        refuse(self._variable)

    def __repr__(self) -> str:
        return f"<absent secret {self._variable}>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class AbsentText(str):
    """The text that a build does not have; what reads its letters past Python finds words that say so."""

    __slots__ = ("_variable",)
    _variable: str

    def __new__(cls, variable: str) -> Self:
        self = super().__new__(cls, f"<{variable} is absent in this phase>")
        self._variable = variable
        return self

    def __repr__(self) -> str:
        return f"<absent text {self._variable}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return (AbsentText, (self._variable,))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class Absent:
    """Any other value that a description of the config does not have."""

    __slots__ = ("_variable",)

    def __init__(self, variable: str) -> None:
        self._variable = variable

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # what copy, pickle and inspect look for
        refuse(self._variable)

    def __repr__(self) -> str:
        return f"<absent {self._variable}>"


def _refusing(name: str) -> Any:
    def used(self: Any, *_: Any, **__: Any) -> NoReturn:
        refuse(self._variable)

    used.__name__ = name
    return used


_TEXT = "add contains eq format ge getitem gt iter le len lt mod mul ne radd rmod rmul str"
_ANY = "add bool call contains enter float format fspath ge getitem gt index int iter le len lt mod mul radd str sub"
for _name in (*(f"__{each}__" for each in _TEXT.split()), *(each for each in dir(str) if not each.startswith("_"))):
    setattr(AbsentText, _name, _refusing(_name))
for _name in _ANY.split():
    setattr(Absent, f"__{_name}__", _refusing(f"__{_name}__"))
AbsentText.__hash__ = str.__hash__  # type: ignore[method-assign]  # `__eq__` took it away, and a set may hold it
