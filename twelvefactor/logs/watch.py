"""Who wants to know: of a secret that reached the stream, and of what is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Watcher = Callable[..., None]


class Watchers:
    """Those who are told when something happens, in the frame where it happens. Thread-safe."""

    def __init__(self) -> None:
        self._watchers: tuple[Watcher, ...] = ()

    def add(self, watcher: Watcher) -> None:
        """Tell *watcher* from now on; idempotent."""
        if watcher not in self._watchers:
            self._watchers = (*self._watchers, watcher)

    def remove(self, watcher: Watcher) -> None:
        """Tell *watcher* no more; idempotent."""
        self._watchers = tuple(each for each in self._watchers if each != watcher)

    def tell(self, *what: Any) -> None:
        """Tell everyone; a watcher's fault stays its own."""
        for watcher in self._watchers:
            try:
                watcher(*what)
            except Exception:  # noqa: BLE001, S110 - watching never breaks a log line
                pass

    def __len__(self) -> int:
        return len(self._watchers)


LEAKS: Final = Watchers()
"""Told, without arguments, when a known secret was masked."""
PRINTS: Final = Watchers()
"""Told the text, when something that is no event was printed to stdout."""
