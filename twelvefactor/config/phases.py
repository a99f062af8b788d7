"""Say in which phase this process is: it runs, it is part of a build, or it only describes itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from twelvefactor.exceptions import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

Phase = Literal["run", "build", "describe"]
VARIABLE = "TWELVEFACTOR_PHASE"


def phase(environ: Mapping[str, str]) -> Phase:
    """
    The phase that ``TWELVEFACTOR_PHASE`` names; *run* where it is unset or empty.

    >>> phase({}), phase({"TWELVEFACTOR_PHASE": "build"})
    ('run', 'build')

    Raises:
        ConfigError: When it names no phase.
    """
    named = environ.get(VARIABLE) or "run"
    known: Phase
    for known in get_args(Phase):
        if named == known:
            return known
    raise ConfigError([Problem((VARIABLE,), "names no phase", expected="run, build or describe")])
