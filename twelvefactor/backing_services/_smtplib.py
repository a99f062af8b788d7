"""A mail client that connects when a message is sent."""

from __future__ import annotations

import contextlib
import smtplib
import threading
from typing import TYPE_CHECKING, Any

from twelvefactor.backing_services.kind import CONNECT_TIMEOUT

if TYPE_CHECKING:
    from twelvefactor.backing_services.kind import Opening
    from twelvefactor.backing_services.smtp import SMTPURL


class _Lazy(smtplib.SMTP):
    """Connect, encrypt and log in before the first message, and again where the server hung up. Thread-safe."""

    _url: SMTPURL
    _opening: Opening
    _lock: threading.RLock

    def sendmail(self, *args: Any, **kwargs: Any) -> Any:
        """As smtplib's, connected first; one message at a time."""
        with self._lock:
            self._ready()
            return super().sendmail(*args, **kwargs)

    def _ready(self) -> None:
        if self.sock is not None:
            with contextlib.suppress(smtplib.SMTPServerDisconnected):
                if self.noop()[0] == 250:  # noqa: PLR2004 - SMTP's "requested action completed"
                    return
            self.close()
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def _greet(self) -> str:
        _, greeting = self.connect(self._url.host or "", self._url.port or 0)
        self.ehlo()
        if self._url.starttls:
            self.starttls(context=self._url._tls_context())
            self.ehlo()
        user, password = self._opening.login(self._url)
        if user is not None:
            self.login(user, password or "")
        return greeting.decode(errors="replace")

    def probe(self) -> str:
        """Greet the server by a connection of its own, log in, leave; its greeting."""
        other = mailer(self._url, self._opening, timeout=CONNECT_TIMEOUT)
        try:
            greeting: str = other._greet()
            other.quit()
        finally:
            other.close()
        return greeting

    def hang_up(self) -> None:
        """Leave politely where connected; idempotent."""
        with self._lock:
            if self.sock is not None:
                with contextlib.suppress(smtplib.SMTPException, OSError):
                    self.quit()
            self.close()


class _Plain(_Lazy):
    pass


class _TLS(_Lazy, smtplib.SMTP_SSL):
    pass


def mailer(url: SMTPURL, opening: Opening, timeout: float | None = None) -> Any:
    """A client for *url* that is not connected."""
    arguments = {"timeout": timeout or url.timeout, **(opening.options or {})}
    client: _Lazy = _TLS(context=url._tls_context(), **arguments) if url.tls else _Plain(**arguments)
    client._url, client._opening, client._lock = url, opening, threading.RLock()
    client._host = url.host or ""  # type: ignore[attr-defined]  # what smtplib checks the certificate against
    return client
