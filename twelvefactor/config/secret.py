"""A text that is never shown: stars wherever it is printed, the clear text only by asking for it aloud."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, Self

from pydantic import Secret as PydanticSecret
from pydantic import SecretBytes, SecretStr
from pydantic_core import CoreSchema, core_schema


class Secret(SecretStr):
    """
    A secret from the environment; never empty, stars in every ``repr``, ``str``, dump and log line.

    The clear text is `reveal()`. Copies are the same object; pickling is refused, since a pickle holds clear text.

    >>> Secret("sk_live_4eC39HqL")
    Secret('**********')
    >>> f"charged with {Secret('sk_live_4eC39HqL')}"
    'charged with **********'
    """

    _inner_schema: ClassVar[CoreSchema] = core_schema.str_schema(min_length=1, pattern=r"\S")

    def reveal(self) -> str:
        """The clear text. Hand it to the library that needs it and keep it nowhere."""
        return self.get_secret_value()

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: the pickle would hold the clear text. Read it again from the config")


SECRET_TYPES = (SecretStr, SecretBytes, PydanticSecret)
"""What the config treats as a secret: ours and pydantic's own."""


def clear_text(value: Any) -> str | None:
    """The text inside a secret of any kind, or None where *value* is none or holds something else."""
    if not isinstance(value, SECRET_TYPES):
        return None
    inner = value.get_secret_value()
    if isinstance(inner, bytes):
        return inner.decode(errors="surrogateescape")
    return inner if isinstance(inner, str) else str(inner)
