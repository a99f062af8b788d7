"""The one place where handlers come to loggers: whoever must know of each hangs here."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class HandlerWatcher(Protocol):
    """Is asked about each handler that comes to a logger, and goes from it."""

    def coming(self, logger: logging.Logger, handler: logging.Handler) -> logging.Handler | None:
        """The handler to add in its place; the same one to leave it, None for none at all."""

    def going(self, logger: logging.Logger, handler: logging.Handler) -> logging.Handler | None:
        """The handler to remove in its place; None to keep it."""


_watchers: tuple[HandlerWatcher, ...] = ()
_lock = threading.Lock()
_add = logging.Logger.addHandler
_remove = logging.Logger.removeHandler


def _add_handler(self: logging.Logger, hdlr: logging.Handler) -> None:
    """Add *hdlr* to this logger, or what stands in for it."""
    wanted: logging.Handler | None = hdlr
    for watcher in _watchers:
        wanted = watcher.coming(self, wanted) if wanted is not None else None
    if wanted is not None:
        _add(self, wanted)


def _remove_handler(self: logging.Logger, hdlr: logging.Handler) -> None:
    """Remove *hdlr* from this logger, or what stands in for it."""
    wanted: logging.Handler | None = hdlr
    for watcher in _watchers:
        wanted = watcher.going(self, wanted) if wanted is not None else None
    if wanted is not None:
        _remove(self, wanted)


def watch(watcher: HandlerWatcher) -> None:
    """Ask *watcher* from now on; idempotent."""
    global _watchers  # noqa: PLW0603 - the loggers are the process's
    with _lock:
        if not _watchers:
            logging.Logger.addHandler = _add_handler  # type: ignore[method-assign]  # patched, and given back
            logging.Logger.removeHandler = _remove_handler  # type: ignore[method-assign]  # patched, and given back
        if watcher not in _watchers:
            _watchers = (*_watchers, watcher)


def unwatch(watcher: HandlerWatcher) -> None:
    """Ask *watcher* no more; with the last one the loggers are as Python made them. Idempotent."""
    global _watchers  # noqa: PLW0603 - the loggers are the process's
    with _lock:
        _watchers = tuple(each for each in _watchers if each is not watcher)
        if not _watchers and logging.Logger.addHandler is _add_handler:
            logging.Logger.addHandler = _add  # type: ignore[method-assign]  # patched, and given back
            logging.Logger.removeHandler = _remove  # type: ignore[method-assign]  # patched, and given back


def loggers() -> Iterator[logging.Logger]:
    """Every logger there is, the root first."""
    root = logging.getLogger()
    yield root
    for logger in list(root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            yield logger


def add(logger: logging.Logger, handler: logging.Handler) -> None:
    """Add *handler* without asking anyone."""
    _add(logger, handler)


def remove(logger: logging.Logger, handler: logging.Handler) -> None:
    """Remove *handler* without asking anyone."""
    _remove(logger, handler)


def replace(logger: logging.Logger, old: logging.Handler, new: logging.Handler) -> None:
    """Put *new* where *old* is, without asking anyone."""
    place = logger.handlers.index(old)
    _remove(logger, old)
    _add(logger, new)
    logger.handlers.remove(new)
    logger.handlers.insert(place, new)
