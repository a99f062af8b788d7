"""Litestar makes a 500 of an exception and says nothing: hear of it by its own hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

ERROR = "twelvefactor.error"
"""Where the exception that Litestar answered waits in the scope, until its answer is known to be a server's error."""


def hear_errors(app: Any, wanted: Callable[[], bool]) -> None:
    """
    Keep the exceptions that *app* answers in their scopes. Idempotent.

    Args:
        app: The Litestar application; its ``after_exception`` hooks get one more.
        wanted: Whether anybody still listens; the hook goes away with the first exception after that.
    """
    if any(getattr(hook, "__name__", "") == _NAME for hook in app.after_exception):
        return

    async def twelvefactor_hears(error: Exception, scope: MutableMapping[str, Any]) -> None:
        if wanted():
            scope[ERROR] = error
        else:
            app.after_exception.remove(twelvefactor_hears)

    app.after_exception.append(twelvefactor_hears)


_NAME = "twelvefactor_hears"
