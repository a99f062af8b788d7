"""Secrets by value: what must never be shown, registered once, masked wherever text leaves the process."""

from __future__ import annotations

import base64
import json
import re
import threading
from urllib.parse import quote, quote_plus

MASK = "********"
SHORTEST = 8  # a shorter value would blank innocent text
KEPT = 4  # values of one slot: the one in use, and those that a retry or a queued event may still hold


class SecretRegistry:
    """
    The secrets that the process knows. Thread-safe; a mask costs nothing while none is registered.

    >>> secrets = SecretRegistry()
    >>> secrets.register("sk_live_123456")
    True
    >>> secrets.mask("charged with sk_live_123456")
    'charged with ********'
    """

    def __init__(self) -> None:
        self._values: dict[str, None] = {}
        self._slots: dict[str, list[str]] = {}
        self._innocent: set[str] = set()
        self._lock = threading.Lock()
        self.shortest = 0
        self.version = 0
        self._compiled = _Needles(0, ())

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, value: str) -> bool:
        return value in self._values

    def __repr__(self) -> str:
        return f"<SecretRegistry {len(self)}>"

    def register(self, value: str, *, slot: str | None = None) -> bool:
        """
        Mask *value* from now on; False where it is too short or a public name. Idempotent.

        Args:
            value: The secret.
            slot: What it is the secret of, where that changes while the process runs: of one slot the last few values
                are masked, so that a token renewed every minute does not fill the memory.
        """
        with self._lock:
            if len(value) < SHORTEST or value in self._innocent:
                return False
            if value not in self._values:
                self._values[value] = None
                self._changed()
            if slot is not None:
                self._rotate(slot, value)
            return True

    def _rotate(self, slot: str, value: str) -> None:
        held = self._slots.setdefault(slot, [])
        if value not in held:
            held.append(value)
        while len(held) > KEPT:
            oldest = held.pop(0)
            if not any(oldest in others for others in self._slots.values()):
                self._values.pop(oldest, None)
                self._changed()

    def exempt(self, name: str) -> None:
        """Never mask *name*: a user, host or database name that somebody also used as a password."""
        if name in self._innocent:
            return
        with self._lock:
            self._innocent.add(name)
            if name in self._values:
                del self._values[name]
                self._changed()

    def mask(self, text: str) -> str:
        """*text* with every known secret, as is or URL-encoded or in base64, replaced by stars."""
        if not self.shortest or len(text) < self.shortest:
            return text
        needles = self._needles()
        return needles.pattern.sub(MASK, text) if needles.may_be_in(text) else text

    def found_in(self, text: str) -> bool:
        """Whether *text* holds a known secret."""
        if not self.shortest or len(text) < self.shortest:
            return False
        needles = self._needles()
        return needles.may_be_in(text) and needles.pattern.search(text) is not None

    def clear(self) -> None:
        """Forget everything; for tests."""
        with self._lock:
            self._values.clear()
            self._slots.clear()
            self._innocent.clear()
            self._changed()

    def _changed(self) -> None:
        """Compile anew at the next look: a config with a hundred secrets registers them one by one."""
        # no spelling is shorter than the value
        self.shortest = min(map(len, self._values), default=0)
        self.version += 1

    def _needles(self) -> _Needles:
        """What to search for; made without the lock, for a signal handler or a forked child may ask."""
        needles = self._compiled
        if needles.version != self.version:
            needles = self._compiled = _Needles(self.version, tuple(self._values))
        return needles


class _Needles:
    """
    All spellings of all secrets, to be searched for at once.

    A regular expression of some hundred spellings costs more than the line that it guards. So a text is sampled first:
    whoever holds a spelling of n characters holds one of its pieces of k at each (n - k + 1)th place.
    """

    __slots__ = ("pattern", "pieces", "size", "step", "version")

    def __init__(self, version: int, values: tuple[str, ...]) -> None:
        forms = sorted({form for value in values for form in _forms(value)}, key=len, reverse=True)
        shortest = len(forms[-1]) if forms else SHORTEST
        self.version = version
        self.pattern = re.compile("|".join(map(re.escape, forms)) or r"(?!)")
        self.size = min(shortest // 2, 6)
        self.step = shortest - self.size + 1
        self.pieces = {form[at : at + self.size] for form in forms for at in range(len(form) - self.size + 1)}

    def may_be_in(self, text: str) -> bool:
        """Whether a search is worth it: false is certain, true nearly so."""
        pieces, size = self.pieces, self.size
        for at in range(0, len(text) - size + 1, self.step):  # noqa: SIM110 - `any` costs twice as much here
            if text[at : at + size] in pieces:
                return True
        return False


def _forms(value: str) -> set[str]:
    """The spellings under which a secret leaves a process by accident."""
    raw = value.encode(errors="surrogatepass")
    quoted = {quote(value, safe="", errors="surrogatepass"), quote_plus(value, errors="surrogatepass")}
    encoded = {form for before in range(3) for form in _in_base64(raw, before)}
    escaped = {repr(value)[1:-1], json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    return {value, *escaped, *quoted, *encoded}


def _in_base64(raw: bytes, before: int) -> tuple[str, str]:
    """The letters of base64 that *raw* alone decides after *before* other bytes, as in the header of Basic login."""
    encoded = base64.b64encode(bytes(before) + raw).decode()
    letters = encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
    return letters, letters.translate(_URL_SAFE)


_URL_SAFE = str.maketrans("+/", "-_")

SECRETS = SecretRegistry()
"""The registry of this process; config and backing services fill it, the event stream and reports read it."""
