"""SMTP: `smtp://`, `smtps://` (TLS from the first byte) and `submission://` (STARTTLS on 587)."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from twelvefactor.backing_services.kind import Identity, Kind, Opening, library
from twelvefactor.backing_services.options import Options, Wrong, flag, seconds, text
from twelvefactor.backing_services.url import URL, Parts

if TYPE_CHECKING:
    import smtplib
    import ssl

    import aiosmtplib


class SMTPURL(URL["smtplib.SMTP", "aiosmtplib.SMTP"]):
    """
    The handle of a mail server.

    >>> url = SMTPURL("submission://app@mail.example.com")
    >>> url.port, url.starttls
    (587, True)
    """

    __slots__ = ()
    kind = "twelvefactor.backing_services.smtp:KIND"
    schemes = MappingProxyType({"smtp": "smtp", "smtps": "smtps", "submission": "submission"})
    ports = MappingProxyType({"smtp": 25, "smtps": 465, "submission": 587})
    options: ClassVar[Options] = Options(
        {"starttls": flag, "tls": flag, "ssl": flag, "verify": flag, "timeout": seconds, "cafile": text, "from": text}
    )

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted from the first byte."""
        return self.scheme == "smtps"

    @property
    def starttls(self) -> bool:
        """Whether the connection is encrypted before anything is said that matters."""
        return bool(dict(self._parts.query).get("starttls", self.scheme == "submission"))

    @property
    def timeout(self) -> float:
        """Seconds that one answer may take."""
        return float(dict(self._parts.query).get("timeout", 30.0))

    def django(self) -> dict[str, Any]:
        """The settings ``EMAIL_…`` for Django."""
        if self.is_placeholder:
            return {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}
        settings: dict[str, Any] = {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": self.host,
            "EMAIL_PORT": self.port,
            "EMAIL_HOST_USER": self._parts.username or "",
            "EMAIL_HOST_PASSWORD": self._parts.password or "",
            "EMAIL_USE_TLS": self.starttls,
            "EMAIL_USE_SSL": self.tls,
            "EMAIL_TIMEOUT": self.timeout,
        }
        sender = dict(self._parts.query).get("from")
        return {**settings, "DEFAULT_FROM_EMAIL": sender} if sender else settings

    @classmethod
    def _with_query(cls, parts: Parts, options: dict[str, Any]) -> Parts:
        if options.pop("ssl", False):
            if parts.scheme != "smtp":
                raise Wrong("the option 'ssl' says again what the scheme already says")
            port = cls.ports["smtps"]
            hosts = tuple((host, port if given == cls.ports["smtp"] else given) for host, given in parts.hosts)
            parts = parts._replace(scheme="smtps", hosts=hosts)
        if "tls" in options:
            options.setdefault("starttls", options.pop("tls"))
        if parts.scheme == "smtps" and options.get("starttls"):
            raise Wrong("smtps is encrypted from the first byte; leave 'starttls' out, or write submission://")
        return super()._with_query(parts, options)

    @classmethod
    def _settled(cls, parts: Parts) -> Parts:
        if parts.path:
            raise Wrong("an smtp URL has no path")
        return super()._settled(parts._replace(path=None))

    def _tls_context(self) -> ssl.SSLContext:
        import ssl

        given = dict(self._parts.query)
        context = ssl.create_default_context(cafile=given.get("cafile"))
        if not given.get("verify", True):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class SMTP(Kind[SMTPURL, "smtplib.SMTP", "aiosmtplib.SMTP"]):
    """A mail server, by the standard library's smtplib, or aiosmtplib for coroutines."""

    name = "smtp"
    client = "smtplib.SMTP"
    async_client = "aiosmtplib.SMTP"
    connects = "when a message is sent, and again where the server hung up"
    async_connects = "before the service is ready"

    def open(self, url: SMTPURL, opening: Opening) -> smtplib.SMTP:
        from twelvefactor.backing_services._smtplib import mailer

        client: smtplib.SMTP = mailer(url, opening)
        return client

    def ping(self, client: Any) -> None:
        client.probe()

    def identify(self, client: Any) -> Identity:
        return _identity(client.probe())

    def close(self, client: Any) -> None:
        client.hang_up()

    def forget(self, client: smtplib.SMTP) -> None:
        client.close()

    def open_async(self, url: SMTPURL, opening: Opening) -> aiosmtplib.SMTP:
        library("aiosmtplib", "smtp")
        from twelvefactor.backing_services import _aiosmtplib

        return _aiosmtplib.Mailer(url, opening)

    async def connect_async(self, client: aiosmtplib.SMTP, url: SMTPURL, opening: Opening) -> None:
        if not client.is_connected:
            await client.connect()

    async def ping_async(self, client: aiosmtplib.SMTP) -> None:
        await client.noop()

    async def identify_async(self, client: Any) -> Identity:
        return _identity(client.greeting)

    async def close_async(self, client: aiosmtplib.SMTP) -> None:
        if client.is_connected:
            await client.quit()


_KNOWN = re.compile(
    r"(postfix|exim|sendmail|opensmtpd|haraka|mailhog|mailpit|stalwart|exchange)\D{0,4}([\d.]+)?", re.IGNORECASE
)


def _identity(greeting: str) -> Identity:
    """What a greeting tells; most servers hide it, and then it is just SMTP."""
    found = _KNOWN.search(greeting)
    return Identity(found[1].lower(), (found[2] or "").strip(".") or None) if found else Identity("smtp")


KIND = SMTP()
