"""The service of a worker process that a queue's own program starts: taken over by an import, or declared."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twelvefactor._core import declaration
from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from twelvefactor.service import Service


def find(program: str) -> Service[Any]:
    """
    The service that `TWELVEFACTOR_SERVICE` names, else the build manifest or pyproject of the working directory.

    Args:
        program: What asks, for the message.

    Raises:
        UsageError: Nobody names it.
    """
    reference = os.environ.get("TWELVEFACTOR_SERVICE") or declaration.read(os.environ, Path.cwd()).table.get("service")
    if not isinstance(reference, str) or ":" not in reference:
        raise UsageError(
            f"{program} does not know whose process it is: set TWELVEFACTOR_SERVICE=module:attribute, "
            'or put service = "module:attribute" into [tool.twelvefactor] of pyproject.toml'
        )
    folder = os.environ.get("TWELVEFACTOR_FOLDER") or str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module, _, attribute = reference.partition(":")
    found: Service[Any] = getattr(import_module(module), attribute)
    return found
