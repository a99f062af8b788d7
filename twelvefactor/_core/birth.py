"""When a process began, as the kernel tells: before any of its code ran."""

from __future__ import annotations

import os
import time
from pathlib import Path

_STARTTIME = 21  # the field of proc_pid_stat(5), counted from 0


def birth(pid: int | str = "self") -> int | None:
    """Clock ticks from the boot to the birth of process *pid*; None where there is none, or nobody tells."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # a command's name may hold anything
    return int(fields[_STARTTIME - 2])


def boot() -> str:
    """The id of this boot of the machine; empty where nobody tells."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def age() -> float | None:
    """
    Seconds since this process began, to a hundredth; None where nobody tells.

    >>> age() is None or age() >= 0
    True
    """
    born = birth()
    if born is None or not hasattr(time, "CLOCK_BOOTTIME"):
        return None
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - born / os.sysconf("SC_CLK_TCK"))
