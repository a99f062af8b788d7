"""Which keys are never shown: judged once for each key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from twelvefactor._core.secrets import SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterable

HIDE: Final = 1
HIDE_TEXT: Final = 2  # numbers may be seen: ``tokens=1532`` is a count
LEAK: Final = 4  # the key itself holds a secret
RESERVED: Final = 8
EXCEPTION: Final = 16
STACK: Final = 32
UNKNOWN: Final = 64
IN_DEPTH: Final = HIDE | HIDE_TEXT | LEAK | UNKNOWN
"""What holds below the top level too."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_MOST = 4096  # keys remembered; a key per user id must not grow without end

_LAST = frozenset(
    [
        "password",
        "passwd",
        "passphrase",
        "passcode",
        "pwd",
        "secret",
        "token",
        "jwt",
        "authorization",
        "cookie",
        "credential",
        "credentials",
        "cvv",
        "cvc",
        "ssn",
        "otp",
    ]
)
_PLURAL = frozenset(["passwords", "secrets", "tokens", "cookies", "jwts"])
_LAST_TWO = frozenset(
    [
        "api key",
        "access key",
        "private key",
        "secret key",
        "signing key",
        "encryption key",
        "account key",
        "session key",
        "session id",
        "card number",
        "pass word",
        "auth header",
        "connection string",
        "client secret",
        "bearer auth",
        "basic auth",
    ]
)
_ENDINGS = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
    "sessionid",
    "authtoken",
    "accesstoken",
    "refreshtoken",
    "csrftoken",
)
_FIELDS = {"exc_info": EXCEPTION, "stack_info": STACK}
RESERVED_KEYS = frozenset({"timestamp", "level", "event", "logger", "service", "release", "process_type", "instance"})


def judge(key: str, hide: Iterable[str] = (), show: Iterable[str] = ()) -> int:
    """
    Whether the value under *key* may be seen.

    >>> [judge(key) for key in ("db_password", "apiKey", "X-Auth-Token", "tokens", "keyboard", "token_count", "author")]
    [1, 1, 1, 2, 0, 0, 0]
    """
    words = [word.lower() for word in _WORDS.findall(key)]
    while words and words[-1].isdigit():
        words.pop()  # password2
    plain = "".join(words)
    if not words or plain in {_flat(each) for each in show}:
        return 0
    if plain in {_flat(each) for each in hide} or words[-1] in _LAST or plain.endswith(_ENDINGS):
        return HIDE
    if " ".join(words[-2:]) in _LAST_TWO:
        return HIDE
    return HIDE_TEXT if words[-1] in _PLURAL else 0


def _flat(key: str) -> str:
    return "".join(word.lower() for word in _WORDS.findall(key))


class Verdicts:
    """
    What is known of each key, judged when it is first seen.

    Attributes:
        known: Key to verdict; the hot path reads it with `UNKNOWN` for what is not there, and then asks `of`.
    """

    __slots__ = ("hide", "known", "show")

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.hide: frozenset[str] = frozenset()
        self.show: frozenset[str] = frozenset()

    def of(self, key: str) -> int:
        """The verdict on *key*."""
        verdict = self.known.get(key)
        if verdict is None:
            verdict = self._judge(key)
            if len(self.known) >= _MOST:
                self.known.clear()
            self.known[key] = verdict
        return verdict

    def _judge(self, key: str) -> int:
        verdict = judge(key, self.hide, self.show) | _FIELDS.get(key, 0)
        if key in RESERVED_KEYS:
            verdict |= RESERVED
        return verdict | LEAK if SECRETS.found_in(key) else verdict

    def forget(self) -> None:
        """Judge every key anew."""
        self.known.clear()

    def configure(self, *, hide: Iterable[str] = (), show: Iterable[str] = ()) -> None:
        """Hide, or show, more keys; spelling and case do not matter. Idempotent."""
        self.hide |= set(hide)
        self.show |= set(show)
        self.forget()
