"""aiosmtplib's client with the URL's settings, connected again where the server hung up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiosmtplib import SMTP

from twelvefactor.backing_services.kind import CONNECT_TIMEOUT

if TYPE_CHECKING:
    from aiosmtplib import SMTPResponse

    from twelvefactor.backing_services.kind import Opening
    from twelvefactor.backing_services.smtp import SMTPURL


class Mailer(SMTP):
    """aiosmtplib's client; `sendmail` connects where it is not connected."""

    def __init__(self, url: SMTPURL, opening: Opening) -> None:
        user, password = opening.login(url)
        self.greeting = ""
        self._login = (url, opening)
        super().__init__(
            hostname=url.host,
            port=url.port,
            username=user,
            password=password,
            timeout=url.timeout,
            use_tls=url.tls,
            start_tls=url.starttls,
            tls_context=url._tls_context() if url.tls or url.starttls else None,
            **(opening.options or {}),
        )

    async def connect(self, **options: Any) -> SMTPResponse:
        """Connect, encrypt and log in, with the credentials of now."""
        url, opening = self._login
        if opening.credentials is not None:
            options["username"], options["password"] = opening.login(url)
        answer = await super().connect(**{"timeout": CONNECT_TIMEOUT, **options})
        self.greeting = answer.message
        return answer

    async def sendmail(self, *args: Any, **kwargs: Any) -> Any:
        """As aiosmtplib's, connected first."""
        if not self.is_connected:
            await self.connect()
        return await super().sendmail(*args, **kwargs)
