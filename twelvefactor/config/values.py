"""Values that services read from the environment and that plain Python types do not name."""

from __future__ import annotations

import enum
import math
import re
from typing import Annotated, Any, Self

import pydantic
from annotated_types import Ge, Le
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

PORT = (Ge(1), Le(65535))
Port = Annotated[int, PORT[0], PORT[1]]
"""A TCP or UDP port, 1 to 65535."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


class Duration(float):
    """
    A length of time in seconds, as every timeout in Python takes it; written ``30s``, ``5m``, ``1h30m`` or ``250ms``.

    A plain number means seconds. Never negative.

    >>> Duration.parse("1h30m") + 1
    5401.0
    >>> Duration.parse("250ms")
    Duration('250ms')
    """

    expected = "a duration such as 30s, 5m or 250ms"

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        The duration that *text* writes.

        Raises:
            ValueError: When it is none; the message does not repeat the text.
        """
        compact = text.replace(" ", "")
        if _NUMBER.fullmatch(compact):
            return cls(cls._finite(float(compact)))
        if not _WHOLE.fullmatch(compact):
            raise ValueError("is not a duration")
        return cls(cls._finite(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(compact))))

    @staticmethod
    def _finite(seconds: float) -> float:
        if not 0 <= seconds < math.inf:
            raise ValueError("is not a duration")
        return seconds

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": rf"^(\d+(\.\d+)?|{_WHOLE.pattern})$", "examples": ["30s", "5m", "250ms"]}

    @classmethod
    def _validate(cls, value: Any) -> Self:
        wrong = ""
        try:
            if isinstance(value, str):
                return cls.parse(value)
            if hasattr(value, "total_seconds"):
                value = value.total_seconds()
            return cls(cls._finite(float(value)))
        except (TypeError, ValueError):
            wrong = "is not a duration"
        raise PydanticCustomError("duration", "{wrong}", {"wrong": wrong})  # out here, so that no chain holds the text

    def __str__(self) -> str:
        for unit in ("d", "h", "m", "s"):
            if self >= _UNITS[unit] and self % _UNITS[unit] == 0:
                return f"{int(self // _UNITS[unit])}{unit}"
        return "0s" if not self else f"{self * 1000:.12g}ms"

    def __repr__(self) -> str:
        return f"Duration('{self}')"


class ByteSize(pydantic.ByteSize):
    """
    A number of bytes, written ``512Mi``, ``1.5GB`` or ``1048576``; Kubernetes' units and the common ones.

    >>> ByteSize.parse("512Mi")
    536870912
    """

    expected = "a size such as 512Mi, 1.5GB or 1048576"

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        The size that *text* writes.

        Raises:
            ValueError: When it is none; the message does not repeat the text.
        """
        match = _SIZE.fullmatch(text.strip())
        if match is None:
            raise ValueError("is not a size")
        number, unit = match.groups()
        unit = unit.lower()
        factor = cls.byte_sizes[unit + "b" if unit.endswith("i") else unit or "b"]
        return cls(int(float(number) * factor)) if "." in number else cls(int(int(number) * factor))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._of, serialization=core_schema.plain_serializer_function_ser_schema(int)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}], "examples": ["512Mi", "1.5GB"]}

    @classmethod
    def _of(cls, value: Any) -> Self:
        try:
            if isinstance(value, str):
                return cls.parse(value)
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                return cls(value)
        except (ValueError, OverflowError):
            pass
        raise PydanticCustomError("byte_size", "is not a size")  # out here, so that no chain holds the text


_SIZE = re.compile(r"(\d{1,30}(?:\.\d{1,30})?) ?((?:[kmgtpe]i?b?)|b|)", re.ASCII | re.IGNORECASE)


class LogLevel(enum.IntEnum):
    """
    A level of the standard library's logging, written by name in any case or by number.

    >>> LogLevel.parse("info") is LogLevel.INFO
    True
    >>> str(LogLevel.parse("warn"))
    'WARNING'
    """

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50

    @classmethod
    def parse(cls, text: str) -> LogLevel:
        """
        The level that *text* names.

        Raises:
            ValueError: When it names none; the message does not repeat the text.
        """
        name = text.strip().upper()
        name = {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(name, name)
        for level in cls:
            if name in {level.name, str(level.value)}:
                return level
        raise ValueError("is not a log level")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._of, serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "enum": [level.name for level in cls]}

    @classmethod
    def _of(cls, value: Any) -> LogLevel:
        try:
            return cls.parse(str(int(value)) if isinstance(value, int) else value)
        except (AttributeError, ValueError):
            pass
        raise PydanticCustomError("log_level", "is not a log level")  # out here, so that no chain holds the text

    def __str__(self) -> str:
        return self.name


SPELT = {LogLevel: "debug, info, warning, error or critical"}
"""What an enumeration of ours expects, in words; an attribute on it would be a member."""
