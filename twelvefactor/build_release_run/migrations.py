"""TF505: is the schema of an attached database behind the migrations of this release?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from twelvefactor._core.rounds import Rounds
from twelvefactor._core.searching import find
from twelvefactor.build_release_run.recorder import databases
from twelvefactor.build_release_run.rules import TF505
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from twelvefactor._core.process import Process

EVERY = 5.0  # seconds between two looks while the schema is behind
_HOLD = "migrations"
_DEEP = 3


class Answer(NamedTuple):
    """
    What a migration tool says.

    Attributes:
        behind: The migrations that the database lacks, the first ones; empty where it lacks none.
        at: What was compared, in a few words.
    """

    behind: tuple[str, ...]
    at: str


class Migrated:
    """
    Asks the migration tool once the databases have answered, and again while the schema is behind.

    Meanwhile readiness is red; once the schema was there it is asked no more. A database that is ahead is fine: an old
    release serves on while the new one's migration has been run.
    """

    def __init__(self, process: Process) -> None:
        self._process: Any = process
        self._ask: Callable[[], Answer] | None = None
        self._over = False
        self._watched: Any = None
        self._rounds = Rounds(process, "migrations", self.look, pause=0.0, every=EVERY)

    def install(self) -> None:
        """Find the tool, and wait for the database."""
        process = self._process
        if process.process_type in {"admin", "shell"}:
            process.evidence.does_not_apply(TF505, "an admin process may be the one that migrates")
        elif django_is_here():
            self._begin(django_behind)
        elif (ini := alembic_ini(process.app_code.root, process.declaration)) is None:
            process.evidence.looked(TF505, "no migration tool is here")
        elif not databases(process):
            process.evidence.could_not_look(TF505, "Alembic is here and no SQL database is attached")
        else:
            self._ini = ini
            self._watched = process.resources
            self._watched.observe(self._answered)

    def remove(self) -> None:
        """Stop, and hold nothing back."""
        if self._watched is not None:
            self._watched.unobserve(self._answered)
            self._watched = None
        self._over = True
        self._rounds.end()
        self._hold(None)

    def _answered(self, resource: Any) -> None:
        named = self._process.declaration.get("migrated")
        if self._ask is None and hasattr(resource.url, "sqlalchemy_url") and named in {None, resource.name}:
            self._begin(lambda: alembic_behind(self._ini, resource))

    def _begin(self, ask: Callable[[], Answer]) -> None:
        self._ask = ask
        self._rounds.begin()

    def look(self) -> None:
        """One look, unless the schema was there already."""
        if self._over or self._ask is None:
            return
        try:
            found = self._ask()
        except Exception as error:  # noqa: BLE001 - a tool that cannot say keeps no process from serving
            self._over = True
            self._hold(None)
            self._process.evidence.could_not_look(TF505, f"the migrations cannot be read: {type(error).__name__}")
            self._process.fault("migrations", error)
            return
        self._process.evidence.looked(TF505, found.at)
        if found.behind:
            some = ", ".join(found.behind[:3])
            self._process.evidence.report(Finding(TF505, f"the database lacks the migration {some} ({found.at})", some))
            self._hold("waiting for migrations")
        else:
            self._over = True
            self._hold(None)

    def _hold(self, because: str | None) -> None:
        hold = getattr(self._process, "hold_readiness", None)
        if hold is not None:
            hold(_HOLD, because)


# -- Alembic -----------------------------------------------------------------------------------------------------------


def alembic_ini(root: Path | None, declaration: Any) -> Path | None:
    """The ``alembic.ini`` of the codebase: the one that ``alembic`` declares, else the first within three folders."""
    if root is None:
        return None
    if isinstance(declaration.get("alembic"), str):
        return root / str(declaration["alembic"])
    return next(find(root, "alembic.ini", _DEEP - 1), None)


def alembic_behind(ini: Path, resource: Any) -> Answer:
    """What the database of *resource* lacks, by Alembic's own graph of revisions."""
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from twelvefactor.build_release_run.ledger import engine_for

    script = ScriptDirectory.from_config(Config(str(ini)))
    engine = engine_for(resource)
    try:
        with engine.connect() as connection:
            current = set(MigrationContext.configure(connection).get_current_heads())
    finally:
        engine.dispose()
    return Answer(tuple(_lacking(script, current)), f"{', '.join(sorted(current)) or 'no revision'} in {resource.name}")


def _lacking(script: Any, current: set[str]) -> Iterable[str]:
    """The revisions of this release that lie on no way to a current one."""
    known = {revision.revision: revision for revision in script.walk_revisions()}
    if current - set(known):
        return []  # a newer release has migrated: the database is ahead
    reached, todo = set[str](), list(current)
    while todo:
        revision = todo.pop()
        if revision not in reached:
            reached.add(revision)
            todo.extend(known[revision]._all_down_revisions)  # noqa: SLF001 - parents and what they depend on
    return [name for name in reversed(list(known)) if name not in reached]


# -- Django ------------------------------------------------------------------------------------------------------------


_NO_ENGINE = {None, "", "django.db.backends.dummy"}  # Django writes the dummy into DATABASES on the first look at them


def django_is_here() -> bool:
    """Whether Django is set up in this process, with a database."""
    if "django.db" not in sys.modules or "django.apps" not in sys.modules:
        return False
    from django.apps import apps

    return bool(apps.ready and _django_databases())


def _django_databases() -> list[str]:
    """The aliases that name an engine."""
    from django.conf import settings

    if not settings.configured:
        return []
    return [alias for alias, database in settings.DATABASES.items() if database.get("ENGINE") not in _NO_ENGINE]


def django_behind() -> Answer:
    """What the databases of Django lack, by its own graph of migrations; closes the connections of this thread."""
    from django.db import connections
    from django.db.migrations.executor import MigrationExecutor

    aliases = _django_databases()
    behind: list[str] = []
    try:
        for alias in aliases:
            executor = MigrationExecutor(connections[alias])
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
            behind.extend(f"{migration.app_label}.{migration.name}" for migration, _ in plan)
        return Answer(tuple(behind), f"Django's migrations in {', '.join(aliases)}")
    finally:
        connections.close_all()
