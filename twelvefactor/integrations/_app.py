"""
The web app of a service, for servers that import one in each of their worker processes.

Those are new processes, which find the service by the name that the parent was given.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

__all__ = ["app"]


def _load() -> Any:
    """The app that the service runs as ``web``, with the service around it."""
    folder = os.environ.get("TWELVEFACTOR_FOLDER")
    if folder and folder not in sys.path:
        sys.path.insert(0, folder)
    module, _, attribute = os.environ["TWELVEFACTOR_SERVICE"].partition(":")
    return getattr(import_module(module), attribute).web()


app = _load() if os.environ.get("TWELVEFACTOR_SERVICE") else None
