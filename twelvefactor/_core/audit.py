"""
The one audit hook of the process, with dispatch by event name.

An audit hook can never be removed (PEP 578), so there is one, it is installed when the first listener comes, and it
returns at its first test when nobody listens.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Listener = Callable[[str, tuple[Any, ...]], None]

_listeners: dict[str, tuple[Listener, ...]] = {}
_installed = False
_lock = threading.Lock()


def _hook(event: str, args: tuple[Any, ...]) -> None:
    listeners = _listeners.get(event)
    if listeners is None:
        return
    for listener in listeners:
        listener(event, args)


def caller(depth: int) -> FrameType | None:
    """The frame *depth* above the one that asks; None where Python itself acts, as when it runs the main script."""
    try:
        return sys._getframe(depth + 1)  # noqa: SLF001 - the public way is ten times slower
    except ValueError:
        return None


def listen(listener: Listener, *events: str) -> None:
    """
    Call *listener* with (event, arguments) at each of *events*; what it raises stops the act.

    A listener must be quick, must not cause its own event and must guard its own faults. Idempotent, thread-safe.
    """
    global _installed  # noqa: PLW0603 - the hook is the process's
    with _lock:
        for event in events:
            known = _listeners.get(event, ())
            if listener not in known:
                _listeners[event] = (*known, listener)
        if not _installed:
            sys.addaudithook(_hook)
            _installed = True


def unlisten(listener: Listener) -> None:
    """Call *listener* no more; idempotent. With the last one gone the hook is inert."""
    with _lock:
        for event, known in list(_listeners.items()):
            rest = tuple(each for each in known if each != listener)
            if rest:
                _listeners[event] = rest
            else:
                del _listeners[event]
