"""The shapes that a scorecard is told in."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twelvefactor.report.score import Scorecard

FORMATS = ("text", "json", "sarif", "html", "badge")
"""By name; each is a module of this package, imported when it is asked for."""


def render(scorecard: Scorecard, shape: str) -> str:
    """*scorecard* in the *shape* of that name, without colour, ending with a line break."""
    told: str = import_module(f"twelvefactor.report.{shape}").text(scorecard)
    return told if told.endswith("\n") else f"{told}\n"
