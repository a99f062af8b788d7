"""
Django: ``"twelvefactor.integrations.django"`` in ``INSTALLED_APPS``, its middleware first in ``MIDDLEWARE``.

Settings are the config, so the service is made in the settings module; it is found there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twelvefactor.exceptions import MissingExtraError

try:
    from twelvefactor.integrations.django.middleware import Middleware
except ImportError as error:
    raise MissingExtraError("django") from error

if TYPE_CHECKING:
    from twelvefactor.service import Service

__all__ = ["Middleware", "the_service"]


def the_service() -> Service[Any]:
    """
    The service of this Django project.

    The one that the settings module holds, under whatever name; ``TWELVEFACTOR_SERVICE`` in the settings names another.

    Raises:
        ImproperlyConfigured: There is none, or more than one.
    """
    from twelvefactor.integrations.django.finding import find_service

    return find_service()
