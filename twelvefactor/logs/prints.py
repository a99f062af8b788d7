"""What is printed to stdout becomes events."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Final, Self

import orjson

from twelvefactor.logs.watch import PRINTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twelvefactor.logs.stream import EventStream

LOGGER: Final = "stdout"
MOST_HELD: Final = 65536  # characters of a line without an end


class Prints:
    """Puts itself in the place of ``sys.stdout``, except where stdout is the command's own data."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._before: Any = None
        self._ours: PrintedLines | None = None

    def install(self) -> None:
        """Wrap ``sys.stdout``."""
        if self._stream.goes_elsewhere or self._stream.leaves_stdout_alone or sys.stdout is None:
            return
        self._before = sys.stdout
        self._before.flush()
        self._ours = PrintedLines(self._before, self._stream)
        sys.stdout = self._ours

    def flush(self) -> None:
        """Say the lines that have no end yet."""
        if self._ours is not None:
            self._ours.say_rest()

    def remove(self) -> None:
        """Say what has no end yet; put ``sys.stdout`` back, unless somebody else changed it since."""
        self.flush()
        if self._ours is not None and sys.stdout is self._ours:
            sys.stdout = self._before
        self._before = self._ours = None


class PrintedLines:
    """
    A text stream each of whose lines is an event; a line that is an event already stays one.

    Everything but writing is the original stream's.
    """

    def __init__(self, original: Any, stream: EventStream) -> None:
        self.twelvefactor_original = original
        self._stream = stream
        self._held: dict[int, str] = {}
        self._inside = threading.local()
        self.buffer = PrintedBytes(self)

    def write(self, text: str) -> int:
        """Take *text*; whole lines of it are said."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self._stream.leaves_stdout_alone:  # it turned out to be an admin process
            return int(self.twelvefactor_original.write(text))
        thread = threading.get_ident()
        held = self._held.pop(thread, "") + text
        *lines, rest = held.split("\n")
        if len(rest) > MOST_HELD:
            lines, rest = [*lines, rest], ""
        if rest:
            self._held[thread] = rest
        for line in lines:
            self._say(line)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Take each of *lines*."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the original; a line without an end is held until it has one."""
        self.twelvefactor_original.flush()

    @property
    def leaves_stdout_alone(self) -> bool:
        """Whether what is written is the command's own data."""
        return self._stream.leaves_stdout_alone

    def say_rest(self) -> None:
        """Say what has no end yet, of all threads."""
        for thread in list(self._held):
            self._say(self._held.pop(thread, ""))

    def _say(self, line: str) -> None:
        line = line.rstrip("\r")
        if not line.strip():
            return
        fields = _event_in(line)
        if fields is not None:
            self._stream.put_fields(fields)
            return
        if not getattr(self._inside, "telling", False):
            self._inside.telling = True
            try:
                PRINTS.tell(line)
            finally:
                self._inside.telling = False
        self._stream.say("info", LOGGER, line, {}, {})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.twelvefactor_original, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.flush()

    def __iter__(self) -> Any:
        return iter(self.twelvefactor_original)

    def __repr__(self) -> str:
        return f"<stdout as events, over {self.twelvefactor_original!r}>"


class PrintedBytes:
    """The binary side of `PrintedLines`."""

    def __init__(self, lines: PrintedLines) -> None:
        self._lines = lines

    def write(self, data: Any) -> int:
        """Take *data*; whole lines of it are said."""
        view = memoryview(data)
        if self._lines.leaves_stdout_alone:
            return int(self._lines.twelvefactor_original.buffer.write(data))
        self._lines.write(view.tobytes().decode("utf-8", "backslashreplace"))
        return view.nbytes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lines.twelvefactor_original.buffer, name)


def _event_in(line: str) -> dict[str, Any] | None:
    """The fields of a line that is an event already."""
    if not line.startswith("{"):
        return None
    try:
        found = orjson.loads(line)
    except (ValueError, UnicodeEncodeError):
        return None
    return found if isinstance(found, dict) else None
