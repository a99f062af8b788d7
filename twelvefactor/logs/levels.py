"""How loud: a level for all, and one for each logger that deserves its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NUMBERS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_ALIASES = {"trace": 5, "notset": 0, "warn": 30, "exception": 40, "err": 40, "failure": 40, "fatal": 50, "msg": 20}
NAMES = {number: name for name, number in NUMBERS.items()}


def number_of(level: str | int) -> int:
    """
    The number of a level, by name or number.

    Raises:
        ValueError: There is no such level.

    >>> number_of("warn"), number_of("INFO"), number_of("15")
    (30, 20, 15)
    """
    if isinstance(level, int):
        return level
    word = level.strip().lower()
    number = NUMBERS.get(word, _ALIASES.get(word))
    if number is not None:
        return number
    if word.isdigit():
        return int(word)
    raise ValueError(f"{level!r} is no level; use one of {', '.join(NUMBERS)}")


def name_of(number: int) -> str:
    """
    The name of a level by its number, the standard one below it where it has none.

    >>> name_of(30), name_of(35), name_of(5)
    ('warning', 'warning', 'debug')
    """
    return NAMES.get(number) or NAMES[max((known for known in NAMES if known < number), default=10)]


class Levels:
    """
    The threshold of every logger: its own, its nearest parent's, or the one for all. Thread-safe.

    >>> levels = Levels.parse("info,orders.db=debug")
    >>> levels.threshold("orders"), levels.threshold("orders.db.pool"), levels.lowest
    (20, 10, 10)
    """

    def __init__(self, default: int = 20, own: Mapping[str, int] | None = None) -> None:
        self.default = default
        self.own = dict(own or {})
        self.problems: list[str] = []

    @classmethod
    def parse(cls, text: str) -> Levels:
        """Read ``info,orders.db=debug``; what cannot be read is left out and told in `problems`."""
        levels = cls()
        for part in filter(None, (each.strip() for each in text.split(","))):
            name, equals, word = part.rpartition("=")
            try:
                levels.set(number_of(word), name.strip() if equals else None)
            except ValueError as error:
                levels.problems.append(str(error))
        return levels

    def set(self, number: int, logger: str | None = None) -> None:
        """Set the level of *logger* and what is below it, or of all."""
        if logger:
            self.own = {**self.own, logger: number}
        else:
            self.default = number

    def threshold(self, logger: str) -> int:
        """The lowest number that *logger* says."""
        name = logger
        while self.own and name:
            if name in self.own:
                return self.own[name]
            name = name.rpartition(".")[0]
        return self.default

    @property
    def lowest(self) -> int:
        """The lowest number that any logger says."""
        return min((self.default, *self.own.values()))
