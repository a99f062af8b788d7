"""Where the time of a start goes."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from twelvefactor._core.birth import age

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twelvefactor._core.clock import Clock

_OTHERS_RUN_US = ("_pytest.runner", "unittest.main", "IPython")


class Timeline:
    """
    The parts of a start, in the order in which they began.

    ``import`` is from the birth of the process to the construction of the service, ``config`` the reading of the
    environment, ``setup`` the rest of the app and of its server, ``sensors`` what the library does itself, ``attach``
    the wait for the attached resources, ``hooks`` what `on_ready` runs.

    Args:
        clock: Measures the parts.
        born: Seconds since the process began; None where that is not its start that we see: in a test, at a prompt.
    """

    def __init__(self, clock: Clock, born: float | None) -> None:
        self._now = clock.monotonic
        self.parts: dict[str, float] = {} if born is None else {"import": born}
        self._since = self._now()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What happens inside is the part *name*; what was before it and in no part is ``setup``."""
        self._add("setup", self._now() - self._since)
        began = self._now()
        try:
            yield
        finally:
            self._since = self._now()
            self._add(name, self._since - began)

    def _add(self, name: str, seconds: float) -> None:
        if seconds > 0:
            self.parts[name] = self.parts.get(name, 0.0) + seconds

    def told(self) -> dict[str, float]:
        """The parts in seconds, to a millisecond; those of less are left out."""
        return {name: told for name, seconds in self.parts.items() if (told := round(seconds, 3))}


def since_birth() -> float | None:
    """Seconds since the process began, where that was for the sake of the service."""
    return None if hasattr(sys, "ps1") or any(name in sys.modules for name in _OTHERS_RUN_US) else age()
