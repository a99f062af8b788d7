"""
waitress: it has no handler for SIGTERM and serves in threads, so the signal is met when its command loads the app.

After the drain `SystemExit` is raised in its main loop, on which it waits for its threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twelvefactor.exceptions import MissingExtraError

if TYPE_CHECKING:
    from twelvefactor.integrations._serving import Serving
    from twelvefactor.service import Service


def adopt(service: Service[Any]) -> None:
    """Stand before the default action."""
    service.catch_sigterm()


def serve(serving: Serving) -> int:
    """Serve in this process."""
    try:
        import waitress
    except ImportError:
        raise MissingExtraError("waitress") from None
    adopt(serving.app.service)
    waitress.serve(serving.app, sockets=list(serving.sockets), threads=_THREADS, **_proxy(serving))
    return 0


def _proxy(serving: Serving) -> dict[str, Any]:
    """Waitress believes one address, or all."""
    believed = serving.binding.forwarded_allow_ips.split(",")[0].strip()
    return {"trusted_proxy": believed, "trusted_proxy_headers": _HEADERS, "clear_untrusted_proxy_headers": True}


_THREADS = 16
_HEADERS = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
