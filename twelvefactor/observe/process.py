"""Begin to observe this process: the stand-in now, the wrappers when a server or a queue is imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twelvefactor.observe.stand_in import StandIn

ROOT = "TWELVEFACTOR_OBSERVE_ROOT"
_HELPERS = ("multiprocessing.resource_tracker",)  # processes of Python's own
_begun: list[StandIn] = []


def begin(folder: str) -> None:
    """Observe this process into *folder*; a fault of ours is a note there, and the app starts as ever."""
    if _begun or any(helper in each for each in sys.orig_argv for helper in _HELPERS):
        return
    try:
        _begin(Path(folder))
    except Exception as error:  # noqa: BLE001 - the app's process is not ours to end
        _note(Path(folder), f"process {os.getpid()} could not be observed: {type(error).__name__}: {error}")


def _begin(folder: Path) -> None:
    from twelvefactor.observe.attach import Attach
    from twelvefactor.observe.stand_in import StandIn

    observer = StandIn(folder, Path(os.environ.get(ROOT) or Path.cwd()))
    _begun.append(observer)
    sys.meta_path.insert(0, Attach(observer))
    observer.start()


def _note(folder: Path, problem: str) -> None:
    try:
        with (folder / f"unattached-{os.getpid()}.txt").open("a", encoding="utf-8") as file:
            file.write(f"{problem}\n")
    except OSError:
        pass  # there is nobody left to tell
