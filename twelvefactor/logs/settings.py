"""What the environment says of the stream; a wrong word never stops a process, it is told and the default holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from twelvefactor.logs.levels import Levels

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMAS: Final = ("default", "otel", "ecs", "ecs-nested", "gcp", "datadog")
FORMATS: Final = ("auto", "json", "console")
TRACEBACKS: Final = ("text", "frames")
SHORTEST_CAP: Final = 512
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"", "0", "false", "no", "off"})


@dataclass(slots=True)
class Settings:
    """
    The settings of an event stream.

    Attributes:
        levels: From ``LOG_LEVEL``: ``info,sqlalchemy.engine=debug``.
        format: From ``LOG_FORMAT``: ``auto`` is console on a terminal, json elsewhere.
        schema: From ``LOG_SCHEMA``.
        nonblocking: From ``LOG_NONBLOCKING``: drop rather than wait for a slow reader.
        tracebacks: From ``LOG_TRACEBACKS``: ``text`` or ``frames``.
        most_bytes: From ``LOG_MAX_BYTES``: the longest line, 0 for no limit.
        problems: What could not be understood, each with what holds instead.

    >>> Settings.read({"LOG_SCHEMA": "esc"}).problems
    ["LOG_SCHEMA: 'esc' is none of default, otel, ecs, ecs-nested, gcp, datadog; default holds"]
    """

    levels: Levels = field(default_factory=Levels)
    format: str = "auto"
    schema: str = "default"
    nonblocking: bool = False
    tracebacks: str = "text"
    most_bytes: int = 0
    problems: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """The settings in *environ*; never raises."""
        settings = cls(levels=Levels.parse(environ.get("LOG_LEVEL", "")))
        settings.problems += [f"LOG_LEVEL: {problem}; info holds" for problem in settings.levels.problems]
        settings.format = settings._choice(environ, "LOG_FORMAT", FORMATS)
        settings.schema = settings._choice(environ, "LOG_SCHEMA", SCHEMAS)
        settings.tracebacks = settings._choice(environ, "LOG_TRACEBACKS", TRACEBACKS)
        settings.nonblocking = settings._flag(environ, "LOG_NONBLOCKING")
        settings.most_bytes = settings._bytes(environ, "LOG_MAX_BYTES")
        return settings

    def _choice(self, environ: Mapping[str, str], name: str, words: tuple[str, ...]) -> str:
        word = environ.get(name, "").strip().lower()
        if not word or word in words:
            return word or words[0]
        self.problems.append(f"{name}: {word!r} is none of {', '.join(words)}; {words[0]} holds")
        return words[0]

    def _flag(self, environ: Mapping[str, str], name: str) -> bool:
        word = environ.get(name, "").strip().lower()
        if word not in _YES | _NO:
            self.problems.append(f"{name}: {word!r} is neither 1 nor 0; 0 holds")
        return word in _YES

    def _bytes(self, environ: Mapping[str, str], name: str) -> int:
        word = environ.get(name, "").strip()
        if not word:
            return 0
        if word.isdigit() and int(word) >= SHORTEST_CAP:
            return int(word)
        self.problems.append(f"{name}: {word!r} is no number of bytes from {SHORTEST_CAP} up; no limit holds")
        return 0
