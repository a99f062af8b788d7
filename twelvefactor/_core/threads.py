"""Threads of the library's own."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def start(target: Callable[..., Any], *args: Any, name: str) -> threading.Thread:
    """
    A running daemon thread that no signal is delivered to.

    The kernel may give a signal to any thread that does not block it; Python's handler then waits until the main
    thread wakes by itself, which one in ``time.sleep`` or a lock may not do for a minute. The mask is inherited, so it
    is set around the start. In gevent's hub, where nobody may wait for a thread to be there, it starts a moment later.

    Raises:
        RuntimeError: The interpreter is shutting down (Python 3.12 on).
    """
    thread = threading.Thread(target=target, args=args, name=name, daemon=True)
    if in_the_hub():
        sys.modules["gevent"].spawn(thread.start)
        return thread
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return thread


def interrupt(ident: int) -> None:
    """
    Raise KeyboardInterrupt in the thread *ident* before it runs its next line; a blocking call is not woken.

    For a job that was given back while it ran: what it does after that, another worker does too.
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(KeyboardInterrupt))


def are_green() -> bool:
    """Whether gevent or eventlet has put its own in the place of threads."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    return bool(
        (gevent is not None and gevent.is_module_patched("threading"))
        or (eventlet is not None and eventlet.is_monkey_patched("thread"))
    )


def in_the_hub() -> bool:
    """Whether gevent's own loop runs this code, as it does a signal's handler now and then; nothing can wait there."""
    hub, monkey = sys.modules.get("gevent.hub"), sys.modules.get("gevent.monkey")
    if hub is None or monkey is None or not monkey.is_module_patched("threading"):
        return False
    return isinstance(hub.getcurrent(), hub.Hub)
