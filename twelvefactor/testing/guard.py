"""A child process that does not outlive the one that started it, however that one goes."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_GUARDED = """
exec 3<&0
( ( read -r _ <&3 || {
  kill -TERM $$
  for _ in $(seq 200); do kill -0 $$ || break; sleep 0.1; done
  kill -KILL -$$
} ) >/dev/null 2>&1 & )
exec "$@" </dev/null 3<&-
"""
"""
The shell becomes the child; its orphan ends the child when the pipe closes without a word, and its group with it.

The group of the child keeps its number from being given to another as long as the orphan is in it.
"""


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """
    Start *command* in a session of its own, with a guard that ends it when this process is gone.

    Args:
        command: The program and its arguments.
        options: Those of `subprocess.Popen`, but for ``stdin`` and ``start_new_session``.
    """
    return subprocess.Popen(  # noqa: S603 - the command is the caller's
        ["/bin/sh", "-c", _GUARDED, "sh", *command], stdin=subprocess.PIPE, start_new_session=True, **options
    )


def dismiss(child: subprocess.Popen[bytes]) -> None:
    """Send the guard away: the child has ended. Idempotent."""
    stdin = child.stdin
    if stdin is None or stdin.closed:
        return
    with contextlib.suppress(BrokenPipeError):
        stdin.write(b"done\n")
        stdin.flush()
    with contextlib.suppress(BrokenPipeError):
        stdin.close()
