"""What a running process tells of itself on its management port."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from twelvefactor.exceptions import ResourceUnavailable, UsageError
from twelvefactor.report import evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN = "TWELVEFACTOR_MANAGEMENT_TOKEN"  # noqa: S105 - the variable's name
_WITHIN = 10.0  # seconds
_LARGEST = 16_000_000  # bytes


def ask(url: str, environ: Mapping[str, str] = os.environ) -> evidence.Record:
    """
    What the process saw so far whose management port is at *url*.

    Args:
        url: ``http://host:port``; a path that ends in one of the port's own is taken for the port.
        environ: Has the token, where the port wants one.

    Raises:
        UsageError: That is no URL, or what answers is no management port.
        ResourceUnavailable: Nobody answers there, or not to us.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--url wants http://host:port of a management port, not {url!r}")
    base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    told = _fetch(f"{base}/evidence", environ.get(TOKEN))
    try:
        if told["schema"] != evidence.SCHEMA:
            raise UsageError(f"{base}: it tells {told['schema']!r}, this version reads {evidence.SCHEMA!r}")
        return evidence.parse(told)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{base}: what answers is no management port ({type(error).__name__})") from None


def _fetch(url: str, token: str | None) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http or https, as was looked
    try:
        with _OPENER.open(request, timeout=_WITHIN) as answer:
            return json.loads(answer.read(_LARGEST))
    except urllib.error.HTTPError as error:
        error.close()
        raise _refused(url, error, token) from None
    except (OSError, urllib.error.URLError) as error:
        why = getattr(error, "reason", error)
        raise ResourceUnavailable(f"{url}: nobody answers ({why}); is TWELVEFACTOR_MANAGEMENT_PORT set?") from None
    except ValueError:
        raise UsageError(f"{url}: what answers is no management port: it is no JSON") from None


def _refused(url: str, error: urllib.error.HTTPError, token: str | None) -> Exception:
    if error.code in (401, 403):
        hint = f"the token in {TOKEN} is not the right one" if token else f"set {TOKEN}, or call it on its loopback"
        return ResourceUnavailable(f"{url}: it answers {error.code}: {hint}")
    return UsageError(f"{url}: what answers is no management port: it says {error.code}")


class _Stay(urllib.request.HTTPRedirectHandler):
    """The token is for the one who was asked."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nobody."""


_OPENER = urllib.request.build_opener(_Stay)
