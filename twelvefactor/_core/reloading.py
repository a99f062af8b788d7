"""Is this process under a development server that restarts it when its code changes?"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORDS = ("--reload", "--debug", "runserver", "runserver_plus", "watchfiles", "watchmedo", "jurigged")


def reloader(environ: Mapping[str, str]) -> str | None:
    """What restarts the process when its code changes, or None."""
    for variable in ("RUN_MAIN", "WERKZEUG_RUN_MAIN", "UVICORN_RELOAD", "GRANIAN_RELOAD"):
        if environ.get(variable, "").lower() in {"1", "true", "yes"}:
            return variable
    own = list(sys.orig_argv)
    return _in(own) or _in(_command_line(os.getppid()))


def _in(words: list[str]) -> str | None:
    if "--noreload" in words or "--no-reload" in words:
        return None
    found = next((word for word in words if word in _WORDS), None)
    return found or ("fastapi dev" if "dev" in words and any(w.endswith("/fastapi") for w in words) else None)


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
