"""Find the service that the settings module made."""

from __future__ import annotations

import importlib
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from twelvefactor.service import Service

_NEXT = 'make one there, `service = tf.Service("shop", Config)`, or name it in TWELVEFACTOR_SERVICE'


def find_service() -> Service[Any]:
    """The service that ``TWELVEFACTOR_SERVICE`` is, or names; else the one in the settings module."""
    named = getattr(settings, "TWELVEFACTOR_SERVICE", None)
    if isinstance(named, str):
        module, _, attribute = named.partition(":")
        named = getattr(importlib.import_module(module), attribute or "service", None)
    if named is None:
        return _in_settings()
    if not isinstance(named, Service):
        raise ImproperlyConfigured(f"TWELVEFACTOR_SERVICE is {type(named).__name__}; it is a tf.Service, or its name")
    return named


def _in_settings() -> Service[Any]:
    name = getattr(settings, "SETTINGS_MODULE", None)
    module = importlib.import_module(name) if name else None
    found = {id(value): value for value in vars(module or object).values() if isinstance(value, Service)}
    if len(found) != 1:
        holds = "no tf.Service" if not found else "more than one tf.Service"
        raise ImproperlyConfigured(f"the settings {name or 'that were configured by hand'} hold {holds}: {_NEXT}")
    return next(iter(found.values()))
