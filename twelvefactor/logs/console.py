"""Events for a person at a terminal: one aligned, coloured line each, with a short traceback below."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from structlog.dev import ConsoleRenderer

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_FRAMES: Final = 6
_SHORT: Final = 8  # characters of an id; enough to tell two requests apart on one screen
_OF_THE_PROCESS = frozenset(
    {
        "service",
        "release",
        "process_type",
        "instance",
        "exception_type",
        "exception_message",
        "trace_id",
        "span_id",
    }
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Console:
    """Makes the line that a person reads; colours where the terminal has them and ``NO_COLOR`` does not forbid."""

    def __init__(self, environ: Mapping[str, str], *, is_terminal: bool) -> None:
        forced = bool(environ.get("FORCE_COLOR"))
        colours = not environ.get("NO_COLOR") and (forced or (is_terminal and environ.get("TERM") != "dumb"))
        self._render = ConsoleRenderer(colors=colours, force_colors=forced, pad_event_to=32, sort_keys=False)

    def __call__(self, line: dict[str, Any]) -> bytes:
        """The line of an event, newline included."""
        shown = {_tame(key): _tame(value) for key, value in line.items() if key not in _OF_THE_PROCESS}
        when = shown.get("timestamp")
        if isinstance(when, datetime):
            shown["timestamp"] = when.astimezone().strftime("%H:%M:%S.%f")[:-3]
        for key in ("work_id", "request_id"):
            if isinstance(shown.get(key), str):
                shown[key] = shown[key][:_SHORT]
        if isinstance(shown.get("exception"), str):
            shown["exception"] = shorten(shown["exception"])
        shown["event"] = str(shown.get("event", ""))
        return (str(self._render(None, str(shown.get("level", "info")), shown)) + "\n").encode(
            "utf-8", "backslashreplace"
        )


def _tame(value: Any) -> Any:
    """A control character must not drive the terminal of whoever reads the log."""
    return _CONTROL.sub(_visible, value) if isinstance(value, str) else value


def _visible(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode()


def shorten(traceback: str) -> str:
    r"""
    The last frames of each part of a traceback.

    >>> shorten("Traceback (most recent call last):\n  File 'a'\nValueError: x").count("\n")
    2
    """
    lines = traceback.split("\n")
    frames = [number for number, line in enumerate(lines) if line.startswith("  File ")]
    if len(frames) <= MOST_FRAMES:
        return traceback
    cut = frames[-MOST_FRAMES]
    return "\n".join([lines[0], f"  … {len(frames) - MOST_FRAMES} frames …", *lines[cut:]])
