"""TF201, TF202, TF203: what is declared, locked, installed and imported is the same list."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from twelvefactor._core import audit
from twelvefactor._core.distributions import installed, normal
from twelvefactor._core.enforcement import enforced
from twelvefactor._core.rounds import Rounds
from twelvefactor.dependencies import imports
from twelvefactor.dependencies.rules import TF201, TF202, TF203
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from twelvefactor._core.process import Process
    from twelvefactor.dependencies.facts import Facts
    from twelvefactor.dependencies.owners import Owners

_NOT_OURS = frozenset({"pip", "setuptools", "wheel", "distribute", "pkg-resources"})  # what environments come with
_OWN = "twelvefactor-runtime"
_MOST = 20  # findings of one kind; the rest is summed up in one


class Compared:
    """Compares once after the start, in the background, and again whenever app code imported something more."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._facts: Facts | None = None
        self._owners: Owners | None = None
        self._declared: frozenset[str] = frozenset()
        self._seen: set[str] = set()
        self._judged: set[str] = set()
        self._late: list[tuple[str, str]] = []
        self._rounds = Rounds(process, "dependencies", self.look)

    def install(self) -> None:
        """Begin to look."""
        audit.listen(self._imported, "import", "exec")
        self._rounds.begin(now=enforced(self._process.environ, TF201.id, TF202.id, TF203.id))

    def remove(self) -> None:
        """Stop, and look a last time."""
        audit.unlisten(self._imported)
        self._rounds.end()

    def look(self) -> None:
        """One look; the first also compares what is locked with what is installed."""
        from twelvefactor.dependencies.facts import Facts
        from twelvefactor.dependencies.owners import Owners

        if self._facts is None:
            self._facts, self._owners = Facts(self._process), Owners()
            self._judge_lock(self._facts)
            self._declared = frozenset(_direct(self._facts))
        self._judge_imports(self._facts)

    # -- what happens while the process runs -----------------------------------------------------------------------

    def _imported(self, event: str, args: tuple[Any, ...]) -> None:
        """Note what the app itself imports, dynamically or late; quick, since every import comes by."""
        if event == "exec":
            if args[0].co_name == "<module>" and not args[0].co_filename.startswith("<"):
                self._rounds.wake()
            return
        self._rounds.wake()
        frame = _importer(audit.caller(2))  # past ourselves and the hook
        app_code = self._process.app_code
        if frame is not None and app_code.owns(frame.f_code.co_filename, frame.f_globals.get("__name__")):
            where = app_code.where(frame)
            if not imports.is_test(where.partition(":")[0]):
                self._late.append((str(args[0]).partition(".")[0], where))

    # -- the lock --------------------------------------------------------------------------------------------------

    def _judge_lock(self, facts: Facts) -> None:
        evidence, lock = self._process.evidence, facts.lock
        if facts.unknown:
            for rule in (TF201, TF202):
                evidence.could_not_look(rule, facts.unknown)
            return
        for problem, culprit in _problems(facts):
            evidence.report(Finding(TF201, problem, culprit))
        if lock is None or lock.problem:
            evidence.could_not_look(TF202, "there is no lock to compare with" if lock is None else lock.problem)
            evidence.looked(TF201, "no lock")
            return
        evidence.looked(TF201, f"{facts.declared.source} and {lock.path.name}, which pins {len(lock.packages)}")
        found = list(_differences(facts))
        for name, message in found[:_MOST]:
            evidence.report(Finding(TF202, message, name))
        if len(found) > _MOST:
            evidence.report(Finding(TF202, f"{len(found) - _MOST} more distributions differ from the lock", "others"))
        extra = sorted(set(installed()) - set(lock.packages) - _NOT_OURS - {facts.declared.name})
        if extra:
            self._process.event(
                "info", "twelvefactor.dependencies.unlocked", distributions=extra[:100], count=len(extra)
            )
        evidence.looked(TF202, f"{len(installed())} installed distributions against {lock.path.name}")

    # -- the imports -----------------------------------------------------------------------------------------------

    def _judge_imports(self, facts: Facts) -> None:
        if not facts.declared.source or facts.declared.problem:
            because = facts.declared.problem or facts.unknown or "nothing declares dependencies"
            self._process.evidence.could_not_look(TF203, because)
            return
        for filename, relative in self._new_files():
            source = imports.read(filename)
            for top in imports.mentioned(source) - self._judged:
                line = 0 if self._is_fine(top) else imports.line_of(source, top)
                if line:
                    self._report(top, f"{relative}:{line}", facts)
        late, self._late = self._late, []
        for top, where in late:
            if top not in self._judged and not self._is_fine(top):
                self._report(top, where, facts)
        self._process.evidence.looked(TF203, f"what {len(self._seen)} modules import against {facts.declared.source}")

    def _new_files(self) -> Iterator[tuple[str, str]]:
        app_code = self._process.app_code
        for name in set(sys.modules) - self._seen:
            self._seen.add(name)
            filename = getattr(sys.modules.get(name), "__file__", None)
            if isinstance(filename, str) and filename.endswith(".py") and app_code.owns(filename, name):
                relative = app_code.relative(filename)
                if not imports.is_test(relative):
                    yield filename, relative

    def _is_fine(self, top: str) -> bool:
        """Whether *top* is of the standard library, of the app, of what is declared, or of nobody who is installed."""
        assert self._owners is not None
        if top in sys.stdlib_module_names or top == "__future__" or self._is_own(top):
            return True
        owners = self._owners.of(top, self._declared)
        fine = not owners or bool(owners & self._declared)
        if fine:
            self._judged.add(top)
        return fine

    def _is_own(self, top: str) -> bool:
        app_code = self._process.app_code
        filename = getattr(sys.modules.get(top), "__file__", None)
        if isinstance(filename, str):
            return app_code.owns(filename, top)
        root = app_code.root
        return root is not None and any((folder / top).is_dir() for folder in (root, root / "src"))

    def _report(self, top: str, where: str, facts: Facts) -> None:
        assert self._owners is not None
        self._judged.add(top)
        owners = sorted(self._owners.of(top, self._declared))
        what = top if owners == [normal(top)] else f"{top}, of the distribution {' or '.join(owners)},"
        message = f"app code imports {what} which {facts.declared.source} does not declare"
        self._process.evidence.report(Finding(TF203, message, top, where, f"Declare {owners[0]} and lock again."))
        lock = facts.lock
        if lock is not None and not lock.problem and not set(owners) & set(lock.packages):
            message = f"app code imports {top}; its distribution {owners[0]} is installed and not locked"
            self._process.evidence.report(Finding(TF202, message, owners[0], where))


def _importer(frame: FrameType | None) -> FrameType | None:
    """Who imports: the first frame that is not the import system's."""
    while frame is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return frame


def _problems(facts: Facts) -> Iterator[tuple[str, str]]:
    """What is wrong with the manifest and the lock, and the culprit."""
    declared, lock = facts.declared, facts.lock
    if declared.problem:
        yield declared.problem, declared.source
    elif not declared.source:
        yield "nothing declares the dependencies: no pyproject.toml, Pipfile or requirements file", "manifest"
    if lock is None:
        yield "no lock file pins the dependencies", "lock"
    elif lock.problem:
        yield lock.problem, lock.path.name
    else:
        if lock.loose:
            yield f"{lock.path.name} does not pin {_some(lock.loose)}", lock.path.name
        missing = sorted(_missing(facts))
        if missing:
            yield f"{lock.path.name} does not hold {_some(missing)}", lock.path.name


def _missing(facts: Facts) -> set[str]:
    """What should be locked and is not: declared since, or transitive and forgotten by a list that is no real lock."""
    lock = facts.lock
    assert lock is not None
    wanted = set(_required(facts.declared.requirements)) - {facts.declared.name} - _from_a_checkout()
    if not lock.complete:
        wanted |= _closure(set(lock.packages))
    return wanted - set(lock.packages)


def _from_a_checkout() -> set[str]:
    """This library itself, where it runs from its source: no lock can hold that."""
    own = installed().get(_OWN)
    return {_OWN} if own is None or own.is_local() else set()


def _required(requirements: Any, extras: frozenset[str] = frozenset()) -> Iterator[str]:
    """The names in *requirements* whose markers hold here, with one of *extras* or without any."""
    for text in requirements:
        name = _name_where_it_holds(text, extras)
        if name is not None:
            yield name


@functools.lru_cache(maxsize=8192)  # the same few thousand texts with each start, a test suite has one a test
def _name_where_it_holds(text: str, extras: frozenset[str]) -> str | None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    marker = requirement.marker
    holds = marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))
    return normal(requirement.name) if holds else None


def _requires(name: str) -> tuple[str, ...]:
    found = installed().get(name)
    return _requires_of(name, found and found.version)


@functools.lru_cache(maxsize=4096)
def _requires_of(name: str, _version: str | None) -> tuple[str, ...]:
    from importlib import metadata

    try:
        return tuple(metadata.requires(name) or ())
    except metadata.PackageNotFoundError:
        return ()


def _closure(names: set[str]) -> set[str]:
    """*names* and all that their installed distributions need."""
    reached, todo = set[str](), list(names)
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo.extend(_required(_requires(name)))
    return reached


def _direct(facts: Facts) -> Iterator[str]:
    """The distributions that app code may import: those declared, and those that a declared extra asks for."""
    declared = facts.declared
    yield declared.name
    for name, extras in declared.names().items():
        yield name
        if extras:
            needs = _requires(name)
            yield from set(_required(needs, extras)) - set(_required(needs))


def _differences(facts: Facts) -> Iterator[tuple[str, str]]:
    lock, have = facts.lock, installed()
    assert lock is not None
    for name in sorted(lock.required - set(have) - {facts.declared.name}):
        yield name, f"{name} {_one_of(lock.packages[name])} is locked and not installed"
    for name in sorted(set(have) & set(lock.packages) - {facts.declared.name}):
        versions = lock.packages[name]
        if versions and not _same(have[name].version, versions):
            yield name, f"{name} {have[name].version} is installed; the lock says {_one_of(versions)}"


def _same(version: str, locked: frozenset[str]) -> bool:
    if version in locked:
        return True
    from packaging.version import InvalidVersion, Version

    try:
        found = Version(version)
        return any(
            found == each or (each.local is None and Version(found.public) == each) for each in map(Version, locked)
        )
    except InvalidVersion:
        return False


def _one_of(versions: frozenset[str]) -> str:
    return " or ".join(sorted(versions)) or "(no version)"


def _some(names: Any) -> str:
    names = list(names)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004 - enough
