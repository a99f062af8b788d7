"""Where the management port is and who may ask, as the environment tells."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from twelvefactor._core.secrets import SECRETS
from twelvefactor.exceptions import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

PORT = "TWELVEFACTOR_MANAGEMENT_PORT"
HOST = "TWELVEFACTOR_MANAGEMENT_HOST"
TOKEN = "TWELVEFACTOR_MANAGEMENT_TOKEN"  # noqa: S105 - the variable's name
_MOST = 65535
SHORTEST_TOKEN = 16  # characters; who guesses a thousand a second takes longer than the universe has


@dataclass(frozen=True)
class Settings:
    """
    Where to listen, and what a caller must know.

    Attributes:
        port: 0 for one that the machine chooses.
        host: An IP address.
        token: What a caller must send; None where the loopback is guard enough.
    """

    port: int
    host: str = "127.0.0.1"
    token: str | None = field(default=None, repr=False)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """
        What *environ* tells.

        Raises:
            ConfigError: Every variable that cannot be used, at once; never a value.

        >>> Settings.from_environ({"TWELVEFACTOR_MANAGEMENT_PORT": "9000"})
        Settings(port=9000, host='127.0.0.1')
        """
        problems: list[Problem] = []
        port = _port(environ[PORT].strip(), problems)
        host = environ.get(HOST) or cls.host
        if not _is_address(host):
            problems.append(Problem((HOST,), "is no IP address", expected="such as 127.0.0.1, 0.0.0.0 or ::"))
        token = _token(environ, problems)
        if problems:
            raise ConfigError(problems)
        return cls(port, host, token)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can ask."""
        return ipaddress.ip_address(self.host).is_loopback


def _port(text: str, problems: list[Problem]) -> int:
    if text.isascii() and text.isdigit() and int(text) <= _MOST:
        return int(text)
    problems.append(Problem((PORT,), "cannot be used", expected=f"a number from 0 to {_MOST}"))
    return 0


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _token(environ: Mapping[str, str], problems: list[Problem]) -> str | None:
    text = (environ.get(TOKEN) or _from_file(environ.get(f"{TOKEN}_FILE"), problems)).strip()
    if not text:
        return None
    if len(text) < SHORTEST_TOKEN or not text.isascii() or not text.isprintable():
        hint = 'Make one: python -c "import secrets; print(secrets.token_urlsafe())"'
        expected = f"{SHORTEST_TOKEN} or more printable ASCII characters"
        problems.append(Problem((TOKEN,), "is too easy to guess, or cannot be sent", expected=expected, hint=hint))
        return None
    SECRETS.register(text, slot=TOKEN)
    return text


def _from_file(path: str | None, problems: list[Problem]) -> str:
    try:
        return Path(path).read_text(encoding="utf-8") if path else ""
    except (OSError, ValueError) as error:
        problems.append(Problem((f"{TOKEN}_FILE",), f"its file cannot be read ({type(error).__name__})"))
        return ""
