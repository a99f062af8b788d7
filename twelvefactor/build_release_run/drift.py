"""TF502: the code on disk is no longer the code that was built, or that started."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from twelvefactor._core.enforcement import enforced
from twelvefactor._core.reloading import reloader
from twelvefactor._core.rounds import Rounds
from twelvefactor.build_release_run import sources
from twelvefactor.build_release_run.rules import TF502
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twelvefactor._core.process import Process

EVERY = 30.0  # seconds between two looks at the files


class _Seen(NamedTuple):
    """A file as it was when it was first looked at."""

    stamp: tuple[int, int, int] | None
    digest: bytes


class Drift:
    """
    Remembers the app's files when the process starts, and looks at them every half minute and at the end.

    A file is read again only where its size, time or inode changed, so a checkout that writes the same is nothing.
    """

    def __init__(self, process: Process, every: float = EVERY) -> None:
        self._process = process
        self._files: dict[str, _Seen] = {}
        self._modules: set[str] = set()
        self._compared = False
        self._rounds = Rounds(process, "code on disk", self.look, pause=0.0, every=every)

    def install(self) -> None:
        """Begin to look."""
        why_not = self._blind()
        if why_not:
            self._process.evidence.could_not_look(TF502, why_not)
            return
        self._rounds.begin(now=enforced(self._process.environ, TF502.id))

    def remove(self) -> None:
        """Stop, and look a last time."""
        self._rounds.end()

    def _blind(self) -> str:
        found = reloader(self._process.environ)
        if found is not None:
            return f"the process is under a development server that reloads ({found})"
        return "" if self._process.app_code.root else "nobody knows the codebase root; ship a build manifest"

    def look(self) -> None:
        """One look: at what was built, at what is new, at what was there."""
        if not self._compared:
            self._compared = True
            self._compare_with_build()
        changed = [name for name, seen in self._files.items() if _changed(name, seen)]
        for name in changed:
            gone = not Path(name).exists()
            self._report(name, "is gone" if gone else "was changed")
            self._files[name] = _look_at(name)
        self._remember()
        self._process.evidence.looked(TF502, f"{len(self._files)} files of the app since the start")

    def _remember(self) -> None:
        for filename in self._new_files():
            self._files[filename] = _look_at(filename)

    def _new_files(self) -> Iterator[str]:
        app_code = self._process.app_code
        for name in set(sys.modules) - self._modules:
            self._modules.add(name)
            filename = getattr(sys.modules.get(name), "__file__", None)
            if isinstance(filename, str) and filename not in self._files and app_code.owns(filename, name):
                yield filename

    def _compare_with_build(self) -> None:
        """The files that started are those that were built, where the manifest says which."""
        manifest, root = self._process.manifest, self._process.app_code.root
        wanted, packages = manifest.get("source_digest"), manifest.get("packages")
        if not (isinstance(wanted, str) and isinstance(packages, list) and packages and root):
            return
        folders = [folder for name in packages if (folder := _folder(str(name), root)) is not None]
        if len(folders) == len(packages) and sources.digest(folders) != wanted:
            message = "the code on disk is not the code that the build manifest was written for"
            evidence: dict[str, Any] = {"packages": packages}
            self._process.evidence.report(Finding(TF502, message, "build", evidence=evidence))

    def _report(self, filename: str, what: str) -> None:
        relative = self._process.app_code.relative(filename)
        message = f"{relative} {what} on disk since the process started"
        self._process.evidence.report(Finding(TF502, message, relative, f"{relative}:1"))


def _look_at(filename: str) -> _Seen:
    return _Seen(_stamp(filename), sources.of(Path(filename)))


def _changed(filename: str, seen: _Seen) -> bool:
    return _stamp(filename) != seen.stamp and sources.of(Path(filename)) != seen.digest


def _stamp(filename: str) -> tuple[int, int, int] | None:
    try:
        found = Path(filename).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _folder(package: str, root: Path) -> Path | None:
    """Where a package of the build lies now: imported from there, or below the root."""
    imported = getattr(sys.modules.get(Path(package).stem), "__file__", None)
    path = Path(imported) if imported else root / package
    folder = path.parent if path.name == "__init__.py" else path
    has_source = next(sources.files(folder), None) is not None and folder.exists()
    return folder if has_source else None  # a zip archive, or compiled files only, cannot be compared
