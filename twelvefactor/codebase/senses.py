"""What watches factor I while the process runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from twelvefactor._core import audit
from twelvefactor._core.distributions import installed, normal
from twelvefactor._core.enforcement import enforced
from twelvefactor._core.rounds import Rounds
from twelvefactor.codebase.commit import running_commit
from twelvefactor.codebase.rules import TF101, TF102, TF103, TF104, TF105
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twelvefactor._core.process import Process
    from twelvefactor.codebase.places import Places


class Which:
    """TF101: asks which commit is running, once."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """Ask."""
        commit = running_commit(self._process)
        if commit is not None:
            self._process.evidence.looked(TF101, f"commit {commit.id[:12]}, says {commit.source}")
            return
        asked = "the build manifest, the release variables, the installed distribution and the repository"
        self._process.evidence.report(Finding(TF101, f"nobody can say which commit runs: asked {asked}", "commit"))

    def remove(self) -> None:
        """Nothing to undo."""


class Built:
    """TF102 and TF103: what the build manifest says of the tree that was built."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """Read the manifest."""
        manifest = self._process.manifest
        if not manifest:
            why = "there is no build manifest; `twelvefactor release build` writes one"
            self._process.evidence.could_not_look(TF102, why)
            self._process.evidence.could_not_look(TF103, why)
            return
        self._dirty(manifest.get("dirty"), manifest.get("changed") or ())
        self._merged(manifest.get("main") or {}, str(manifest.get("commit") or "")[:12])

    def _dirty(self, dirty: Any, changed: Any) -> None:
        if dirty is None:
            self._process.evidence.could_not_look(TF102, "the build manifest does not say: it was built without git")
            return
        self._process.evidence.looked(TF102, "the build manifest: the tree was clean")
        if dirty:
            some = ", ".join(str(name) for name in list(changed)[:3])
            message = f"the build has changes that no commit holds{f': {some}' if some else ''}"
            self._process.evidence.report(Finding(TF102, message, "build", evidence={"changed": list(changed)}))

    def _merged(self, main: Any, commit: str) -> None:
        branch, merged = main.get("branch"), main.get("merged")
        if merged is None:
            because = main.get("because") or "the build manifest does not say"
            self._process.evidence.could_not_look(TF103, str(because))
            return
        self._process.evidence.looked(TF103, f"the build manifest: {commit} is on {branch}")
        if not merged:
            message = f"{commit} is {main.get('ahead', '?')} commits away from {branch}, which does not contain it"
            self._process.evidence.report(Finding(TF103, message, "build"))

    def remove(self) -> None:
        """Nothing to undo."""


class Outside:
    """TF104: looks where each module came from, at start and whenever something more was imported."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._seen: set[str] = set()
        self._told: set[str] = set()
        self._places: Places | None = None
        self._rounds = Rounds(process, "codebase", self.look)

    def install(self) -> None:
        """Begin to look."""
        root = self._process.app_code.root
        if root is None:
            self._process.evidence.could_not_look(TF104, "nobody knows the codebase root; ship a build manifest")
            return
        audit.listen(self._imported, "import", "exec")
        self._rounds.begin(now=enforced(self._process.environ, TF104.id))

    def remove(self) -> None:
        """Stop, and look a last time."""
        audit.unlisten(self._imported)
        self._rounds.end()

    def _imported(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "import" or not args[0].co_filename.startswith("<"):
            self._rounds.wake()

    def look(self) -> None:
        """Judge the modules that are new since the last time."""
        from twelvefactor.codebase.places import Places

        root = self._process.app_code.root
        assert root is not None
        places = self._places = self._places or Places(root, self._process.environ)
        tests = tuple(_packages_of_tests())
        for name in set(sys.modules) - self._seen:
            self._seen.add(name)
            module = sys.modules.get(name)
            filename = getattr(module, "__file__", None)
            if not isinstance(filename, str) or not filename.startswith("/") or _is_of_test_runner(module):
                continue
            if name.startswith(tests):
                continue
            if not places.allowed(filename):
                self._stray(name, filename, places)
        self._process.evidence.looked(TF104, f"{len(self._seen)} modules and where each came from")

    def _stray(self, name: str, filename: str, places: Places) -> None:
        top = name.partition(".")[0]
        if top in self._told or top == "sitecustomize":
            return
        self._told.add(top)
        if places.injected(filename):
            self._process.event("info", "twelvefactor.codebase.injected", module=top, where=filename)
            return
        message = f"{name} was imported from {filename}, outside the codebase and the installed distributions"
        self._process.evidence.report(Finding(TF104, message, top, f"{filename}:1"))


class Vendored:
    """TF105: looks for libraries that were copied into the codebase, once."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._rounds = Rounds(process, "vendored", self._once)
        self._done = False

    def install(self) -> None:
        """Look, off the start."""
        told = self._process.manifest.get("copies")
        if told is not None:
            self._told(told)
            return
        if self._process.app_code.root is None:
            self._process.evidence.could_not_look(TF105, "nobody knows the codebase root; ship a build manifest")
            return
        self._rounds.begin(now=enforced(self._process.environ, TF105.id))

    def _told(self, copies: list[Any]) -> None:
        """What the build saw: the whole tree, of which the image may hold a part."""
        for each in copies:
            copy = each if isinstance(each, dict) else {}
            self._report(str(copy.get("name")), str(copy.get("because")), str(copy.get("where")))
        self._process.evidence.looked(TF105, "the build manifest: the folders of the tree that was built")

    def _report(self, name: str, because: str, where: str) -> None:
        message = f"{name} is a copy of a distributed library: {because}"
        self._process.evidence.report(Finding(TF105, message, name, where))

    def remove(self) -> None:
        """Wait for the look."""
        self._rounds.end()

    def _once(self) -> None:
        if not self._done:
            self._done = True
            assert self._process.app_code.root is not None
            self._look(self._process.app_code.root)

    def _look(self, root: Path) -> None:
        from twelvefactor.codebase.vendored import copies

        own = {normal(name) for name in (self._process.name, root.name, *(self._process.app_code.packages or ()))}
        editable = {each.name for each in installed().values() if each.editable() is not None}
        locked = (self._process.manifest.get("lock") or {}).get("packages") or ()
        for copy in copies(root, own | editable, (set(installed()) | set(locked)) - editable):
            self._report(copy.name, copy.because, copy.where)
        self._process.evidence.looked(TF105, "the folders below the codebase root")


def _packages_of_tests() -> Iterator[str]:
    """The packages of tests that pytest loaded: their helpers are no more the app's than they are."""
    for name, module in list(sys.modules.items()):
        package = name.rpartition(".")[0]
        if "test" in package and _is_of_test_runner(module):
            yield f"{package}."


def _is_of_test_runner(module: object) -> bool:
    """Whether pytest loaded it, a test or a conftest: the app did not import it."""
    loader = getattr(getattr(module, "__spec__", None), "loader", None)
    return type(loader).__module__.partition(".")[0] == "_pytest"
