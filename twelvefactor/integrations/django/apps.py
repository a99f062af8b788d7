"""The app for ``INSTALLED_APPS``: it checks how the service is wired."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

MIDDLEWARE = "twelvefactor.integrations.django.Middleware"


class TwelveFactorConfig(AppConfig):  # type: ignore[misc]  # Django ships no types
    """Finds the service when Django is set up, so that a project without one fails there and not at a request."""

    name = "twelvefactor.integrations.django"
    label = "twelvefactor"
    verbose_name = "twelve-factor process"

    def ready(self) -> None:
        """Find the service and register the check of its place."""
        from twelvefactor.integrations.django.finding import find_service

        self.service = find_service()
        checks.register(check_middleware)


def check_middleware(app_configs: Any, **options: Any) -> list[checks.CheckMessage]:  # noqa: ARG001 - Django's signature
    """Warn where the middleware is in the list but not first: what stands before it is in no event."""
    middleware = list(settings.MIDDLEWARE)
    if MIDDLEWARE not in middleware or middleware[0] == MIDDLEWARE:
        return []
    hint = f"Move {MIDDLEWARE!r} to the top of MIDDLEWARE."
    message = f"{middleware[0]!r} stands before the service's middleware: what it answers is in no event."
    return [checks.Warning(message, hint=hint, id="twelvefactor.W001")]
