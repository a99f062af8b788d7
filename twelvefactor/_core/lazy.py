"""Load by name, on first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load(reference: str) -> Any:
    """
    The object that ``package.module:attribute`` names.

    >>> load("os.path:basename")("a/b")
    'b'
    """
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)
