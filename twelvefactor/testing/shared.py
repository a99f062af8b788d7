"""
One engine for every process of a test session: the first that needs it has it started, and it ends with the last.

A keeper runs it, a process of nobody's. Whoever uses the engine holds a shared lock on a file, which the kernel takes
back however that process ends; the keeper waits for the lock for itself alone, and then nobody uses the engine. While
the session goes on somebody else may want it yet, so the keeper waits for the end of the process that runs it as well.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from twelvefactor.exceptions import ResourceUnavailable, TwelveFactorError
from twelvefactor.testing import engines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FAILED = "!"
_LOOK_EVERY = 0.2  # seconds between two looks whether the session is over


@contextlib.contextmanager
def shared(
    kind: str,
    folder: Path,
    prepare: Callable[[str], object] = lambda _: None,
    *,
    session: int | None = None,
    **options: Any,
) -> Iterator[str]:
    """
    The URL of the engine of *kind* that all who name the same *folder* share, while the block runs.

    Args:
        kind: The kind's name, such as ``postgresql``.
        folder: Where they meet; one that the test session has to itself.
        prepare: Called with the URL by whoever has it started, before anybody else gets it.
        session: The process that runs the session: while it lives, the engine does. None where its users are all.
        options: Those of `engines.STARTERS`, beside the data's folder; part of what the engine is known by.

    Raises:
        ResourceUnavailable: It did not start; why is in the message.
    """
    name = "-".join([kind, *(str(value) for value in options.values() if value is not None)])
    told = folder / f"{name}.url"
    with _locked(folder / f"{name}.users", fcntl.LOCK_SH, begin=folder / f"{name}.begin") as users:
        if not told.exists():
            url = _start_keeper(kind, options, users, told, session)
            prepare(url)
            told.write_text(url)
        url = told.read_text()
        users.begun()
        yield url


class _Users:
    """Those who use an engine, this process among them; who comes meanwhile waits until `begun`."""

    def __init__(self, path: Path, begin: IO[bytes]) -> None:
        self.path = path
        self._begin = begin

    def begun(self) -> None:
        """Let the next one in."""
        self._begin.close()


@contextlib.contextmanager
def _locked(path: Path, how: int, *, begin: Path) -> Iterator[_Users]:
    with begin.open("ab") as gate, path.open("ab") as users:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(users, how)
        yield _Users(path, gate)


def _start_keeper(kind: str, options: dict[str, Any], users: _Users, told: Path, session: int | None) -> str:
    words = [kind, json.dumps(options), str(users.path), str(told), str(session or 0)]
    keeper = subprocess.run(  # noqa: S603 - our own Python, and this module
        [sys.executable, "-m", __name__, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
        start_new_session=True,  # a Ctrl-C is for those who use the engine
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    line = keeper.stdout.strip()
    if not line or line.startswith(_FAILED):
        raise ResourceUnavailable(line.removeprefix(_FAILED) or f"the keeper of {kind} ended without a word")
    return line


def keep(kind: str, options: dict[str, Any], users: Path, told: Path, session: int) -> None:
    """Run an engine until nobody uses it and the *session* is over; prints its URL, or why there is none."""
    try:
        with engines.STARTERS[kind](**options) as url, users.open("ab") as alone:
            _say(url)
            fcntl.flock(alone, fcntl.LOCK_EX)
            while _runs(session):
                fcntl.flock(alone, fcntl.LOCK_UN)
                time.sleep(_LOOK_EVERY)
                fcntl.flock(alone, fcntl.LOCK_EX)
            told.unlink(missing_ok=True)  # whoever comes now starts another one
    except TwelveFactorError as error:
        _say(f"{_FAILED}{error}")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return pid > 0  # no number is every process of the group


def _say(line: str) -> None:
    """Tell who waits for the end of what we say."""
    sys.stdout.write(line)
    sys.stdout.flush()
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    if os.fork():
        os._exit(0)  # the keeper is nobody's child: who had it started may end long before it
    keep(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
