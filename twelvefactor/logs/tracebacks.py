"""
An exception as text or as data, with its causes, notes and groups, and never its locals.

Python's own formatter compiles every source line to place its carets, which costs more than all the rest of a line.
"""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any, Final

from twelvefactor.logs.values import exception_text, qualified_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

MOST_FRAMES: Final = 100
MOST_GROUPED: Final = 15
MOST_NESTED: Final = 10
MOST_CHAINED: Final = 20
_HEADER = "Traceback (most recent call last):"
_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"

Frame = tuple[str, int, str, dict[str, Any]]


def resolve(exc_info: Any) -> BaseException | None:
    """The exception that ``exc_info=`` means: an exception, a triple, or true for the one in hand."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if len(exc_info) > 1 and isinstance(exc_info[1], BaseException) else None
    if not exc_info:
        return None
    import sys

    return sys.exc_info()[1]


def text_of(error: BaseException) -> str:
    """The traceback of *error* as Python would print it, without carets."""
    printer = _Printer()
    printer.chain(error)
    return "\n".join(printer.lines)


def frames_of(error: BaseException) -> list[dict[str, Any]]:
    """The exceptions of the chain, newest first, each with its frames; the keys are structlog's own."""
    return [_as_data(each, is_cause) for each, is_cause in _chain(error)]


def stack_here() -> str:
    """The stack of the call that is being told, innermost last, without the library's own frames."""
    import traceback

    own = __file__.rpartition("/")[0]
    frames = [each for each in traceback.extract_stack() if not each.filename.startswith(own)]
    return "Stack (most recent call last):\n" + "".join(traceback.format_list(frames)).rstrip("\n")


def _chain(error: BaseException) -> Iterator[tuple[BaseException, bool]]:
    """*error*, then what it came from; whether each is a declared cause."""
    seen: set[int] = set()
    current: BaseException | None = error
    is_cause = False
    while current is not None and id(current) not in seen and len(seen) < MOST_CHAINED:
        seen.add(id(current))
        yield current, is_cause
        current, is_cause = _origin(current)


def _origin(error: BaseException) -> tuple[BaseException | None, bool]:
    if error.__cause__ is not None:
        return error.__cause__, True
    return (None if error.__suppress_context__ else error.__context__), False


def _as_data(error: BaseException, is_cause: bool) -> dict[str, Any]:
    data: dict[str, Any] = {
        "exc_type": qualified_name(type(error)),
        "exc_value": message_of(error),
        "exc_notes": _notes(error),
        "is_cause": is_cause,
        "frames": [
            {"filename": filename, "lineno": line, "name": name}
            for filename, line, name, _ in _shorten(list(_frames(error.__traceback__)))
        ],
    }
    if isinstance(error, BaseExceptionGroup):
        data["is_group"] = True
        data["exceptions"] = [frames_of(each) for each in error.exceptions[:MOST_GROUPED]]
    return data


def message_of(error: BaseException) -> str:
    """The text of *error*, also where its ``str`` raises."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the app's own code
        return "<str() of the exception failed>"


def _notes(error: BaseException) -> list[str]:
    notes = getattr(error, "__notes__", None)
    if not isinstance(notes, (list, tuple)):
        return []
    return [_safe_str(note) for note in notes]


def _safe_str(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - the app's own code
        return f"<{type(value).__name__} whose str() failed>"


class _Printer:
    """Writes a chain of exceptions as Python does, groups indented below their own frames."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0
        self.open = False  # whether the last exception of a group still lacks its closing rule
        self.seen: set[int] = set()

    def emit(self, lines: Iterable[str], margin: str = "|") -> None:
        """Write *lines* at the depth of the group in hand."""
        prefix = "  " * self.depth + (f"{margin} " if self.depth else "")
        self.lines.extend(prefix + line for line in lines)

    def chain(self, error: BaseException) -> None:
        """Write what *error* came from, then itself; each exception once."""
        chain = [each for each, _ in _chain(error) if id(each) not in self.seen]
        self.seen.update(map(id, chain))
        for number, each in enumerate(reversed(chain)):
            if number:
                self.emit(("", _CAUSE if each.__cause__ is not None else _CONTEXT, ""))
            if isinstance(each, BaseExceptionGroup):
                self.group(each)
            else:
                self.one(each, _HEADER)

    def one(self, error: BaseException, header: str, margin: str = "|") -> None:
        """Write the frames and the text of *error* alone."""
        frames = list(_frames(error.__traceback__))
        if frames:
            self.emit((header,), margin)
            self.emit(_frame_lines(frames))
        self.emit(_last_lines(error))

    def group(self, group: BaseExceptionGroup[BaseException]) -> None:
        """Write *group*, then the exceptions in it."""
        if self.depth > MOST_NESTED:
            self.emit((f"... (groups deeper than {MOST_NESTED} are left out)",))
            return
        is_top = self.depth == 0
        self.depth += is_top
        self.one(group, f"Exception Group {_HEADER}", "+" if is_top else "|")
        self.members(group.exceptions)
        self.depth -= is_top

    def members(self, exceptions: Sequence[BaseException]) -> None:
        """Write the exceptions of a group, each below a rule."""
        left_out = len(exceptions) - MOST_GROUPED
        shown = exceptions[:MOST_GROUPED]
        self.open = False
        for number, each in enumerate(shown, start=1):
            self.rule(number == 1, str(number))
            self.open = number == len(shown) and left_out <= 0
            self.depth += 1
            self.chain(each)
            self.close()
            self.depth -= 1
        if left_out > 0:
            self.rule(False, "...")
            self.depth += 1
            self.emit((f"and {left_out} more exception{'s' if left_out > 1 else ''}",))
            self.open = True
            self.close()
            self.depth -= 1

    def rule(self, is_first: bool, title: str) -> None:
        """Write the rule above an exception of a group."""
        self.lines.append(
            "  " * self.depth + ("+-" if is_first else "  ") + f"+---------------- {title} ----------------"
        )

    def close(self) -> None:
        """Write the rule below a group, once."""
        if self.open:
            self.lines.append("  " * self.depth + "+------------------------------------")
            self.open = False


def _frames(traceback: TracebackType | None) -> Iterator[Frame]:
    while traceback is not None:
        frame = traceback.tb_frame
        code = frame.f_code
        yield code.co_filename, traceback.tb_lineno, code.co_name, frame.f_globals
        traceback = traceback.tb_next


def _shorten(frames: list[Frame]) -> list[Frame]:
    half = MOST_FRAMES // 2
    return frames if len(frames) <= MOST_FRAMES else [*frames[:half], *frames[-half:]]


def _frame_lines(frames: list[Frame]) -> Iterator[str]:
    left_out = len(frames) - MOST_FRAMES
    for number, (filename, line, name, variables) in enumerate(_shorten(frames)):
        if left_out > 0 and number == MOST_FRAMES // 2:
            yield f"  [{left_out} frames left out]"
        yield f'  File "{filename}", line {line}, in {name}'
        source = linecache.getline(filename, line, variables).strip()
        if source:
            yield f"    {source}"


def _last_lines(error: BaseException) -> Iterator[str]:
    if isinstance(error, SyntaxError) and error.lineno is not None:
        yield f'  File "{error.filename or "<string>"}", line {error.lineno}'
        if error.text:
            yield f"    {error.text.strip()}"
        yield f"{qualified_name(type(error))}: {error.msg}"
    else:
        yield from exception_text(error).split("\n")
    for note in _notes(error):
        yield from note.split("\n")
