"""Run any command with the sensors in every Python process that it starts, and grade what they saw."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)
_BEFORE_THE_END = 2.0  # seconds, at most, in which the observers write what they have just seen
_POLL = 0.02
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # what a shell says
_MARKS = (".git", "pyproject.toml", "setup.py", "manage.py", "requirements.txt")


@click.command(
    short_help="Grade an app that does not know the library.", context_settings={"ignore_unknown_options": True}
)
@click.option(
    "--evidence",
    "kept",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the evidence in this folder, for `twelvefactor check --evidence`.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def observe(kept: Path | None, command: tuple[str, ...]) -> None:
    """
    Run COMMAND as it is, watch every Python process that it starts, and print the scorecard on stderr when it ends. Its
    stdout is its own, and its exit status is ours. What only declarations of the library could decide is unknown.

    \b
    Examples:
      $ twelvefactor observe -- gunicorn app:app
      $ twelvefactor observe -- python manage.py runserver
      $ twelvefactor observe --evidence seen -- celery -A orders worker
    """
    if not command:
        raise UsageError("name the command to run: twelvefactor observe -- gunicorn app:app")
    with _folder(kept) as folder:
        status = _Child(folder).run(command, _environ(folder))
        _show(folder, kept)
    sys.exit(status)


@contextlib.contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        if any(kept.iterdir()):
            raise UsageError(f"{kept} is not empty: it would mix with what was seen before")
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="twelvefactor-observe-") as made:
        yield Path(made)


def _environ(folder: Path) -> dict[str, str]:
    import twelvefactor

    package = Path(twelvefactor.__file__).resolve().parent
    before = os.environ.get("PYTHONPATH")
    path = [str(package / "observe" / "on_path"), *([before] if before else [])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "TWELVEFACTOR_OBSERVE": str(folder),
        "TWELVEFACTOR_OBSERVE_ROOT": str(_root(Path.cwd())),
        "TWELVEFACTOR_EVIDENCE": str(folder),
    }


def _root(start: Path) -> Path:
    """The codebase: the nearest folder upward with a mark of one; where we are if there is none."""
    marked = (each for each in (start, *start.parents) if any((each / mark).exists() for mark in _MARKS))
    return next(marked, start)


class _Child:
    """
    The command as a child, which gets the signals that only we get.

    Args:
        folder: Where the observers say that they have something to write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._early: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, command: Sequence[str], environ: dict[str, str]) -> int:
        """Run it to its end; 128 and the signal's number where one ended it."""
        before = {each: signal.signal(each, self._pass_on) for each in _PASSED_ON}
        try:
            self._process = subprocess.Popen(command, env=environ)  # noqa: S603 - the caller's own command
            for each in self._early:
                self._process.send_signal(each)
            status = self._process.wait()
            return status if status >= 0 else 128 - status
        except FileNotFoundError:
            _say(f"{command[0]}: no such command")
            return _NOT_FOUND
        except PermissionError:
            _say(f"{command[0]}: may not be executed")
            return _NOT_EXECUTABLE
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _pass_on(self, received: int, _: Any) -> None:
        if self._process is None:
            self._early.append(received)
        elif received == signal.SIGTERM:
            threading.Thread(target=self._end, args=(self._process,)).start()
        elif received != signal.SIGINT or not sys.stdin.isatty():  # a terminal tells us both
            self._process.send_signal(received)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """The default action of SIGTERM leaves no time to write."""
        ends = time.monotonic() + _BEFORE_THE_END
        while time.monotonic() < ends and next(self._folder.glob("dirty-*"), None) is not None:
            time.sleep(_POLL)
        process.send_signal(signal.SIGTERM)


def _say(line: str) -> None:
    click.echo(f"observe: {line}", err=True)


def _show(folder: Path, kept: Path | None) -> None:
    """The scorecard and what could not be seen, on stderr."""
    from twelvefactor.report import evidence, gathering, text

    files = sorted(folder.glob("*.json"))
    notes = dict.fromkeys(
        line for file in sorted(folder.glob("unattached-*.txt")) for line in file.read_text("utf-8").splitlines()
    )
    if files:
        text.show(gathering.gather([evidence.read_record(file) for file in files]), sys.stderr)
    processes = f"{len(files)} process{'' if len(files) == 1 else 'es'} of the app"
    _say(f"saw {processes}" + (f"; evidence in {kept}" if kept else ""))
    if not files:
        _say(f"nothing is known: no Python process ran code below {_root(Path.cwd())}, or it ran with -I or -E")
    for note in notes:
        _say(f"unknown: {note}")
