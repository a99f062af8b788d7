"""Where the process comes from: what it was when the library was imported, and what it inherited at its last fork."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

PID = os.getpid()
"""The process that imported the library; another number now means that this is a fork of it."""
SESSION = os.getsid(0)

_FDS = Path("/proc/self/fd")
_MOST = 4_096

inherited: dict[int, str] = {}
"""Sockets that were connected when this process was forked: inode to peer; empty in a process that was not."""


def note_fork() -> None:
    """Remember what this child inherited; called in it before anything of the parent's is dropped."""
    inherited.clear()
    inherited.update(connected_sockets() or {})


def connected_sockets() -> dict[int, str] | None:
    """The inode and the peer of each socket of this process that is connected; None where nobody can list them."""
    try:
        descriptors = [int(each.name) for each in _FDS.iterdir()]
    except OSError:
        return None
    found = {}
    for descriptor in descriptors[:_MOST]:
        try:
            state = os.fstat(descriptor)
            if stat.S_ISSOCK(state.st_mode) and (name := peer(descriptor)):
                found[state.st_ino] = name
        except OSError:
            continue  # closed meanwhile, or not connected
    return found


def peer(descriptor: int) -> str:
    """Who is at the other end of *descriptor*, as ``host:port`` or a path; empty for a pair of the program's own."""
    with socket.socket(fileno=os.dup(descriptor)) as copy:
        name = copy.getpeername()
    if isinstance(name, tuple):
        return f"{name[0]}:{name[1]}"
    return name if isinstance(name, str) else bytes(name).decode(errors="replace")
