"""
The ledger of releases: append-only, in an attached SQL database, in a schema of its own where the engine has one.

Every entry holds the hash of the one before it and a number without gaps, so that what was changed or taken away shows.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text, inspect, select, text, update
from sqlalchemy.pool import NullPool

from twelvefactor.exceptions import TwelveFactorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

VERSION = 1  # of the tables
SCHEMA = "twelvefactor"
_PREFIX = "twelvefactor_"
_START = "0" * 64


class LedgerError(TwelveFactorError):
    """The ledger cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One line of the ledger.

    Attributes:
        number: From 1, without gaps.
        kind: ``release``, ``run.started`` or ``run.ended``.
        service: Whose it is.
        name: Of the release, or of what ran.
        digest: Of the release.
        at: When, RFC 3339 in UTC.
        facts: The rest; never a value of a variable.
    """

    number: int
    kind: str
    service: str
    name: str
    digest: str
    at: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class Ledger:
    """
    The ledger in the database of *engine*. Thread-safe and safe between processes: appending takes a row lock.

    Args:
        engine: A SQLAlchemy engine; the ledger needs one connection at a time.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        named = engine.dialect.name == "postgresql"
        self.schema = SCHEMA if named else None
        prefix = "" if named else _PREFIX
        self._metadata = MetaData(schema=self.schema)
        self._head = Table(
            f"{prefix}ledger",
            self._metadata,
            Column("id", Integer, primary_key=True, autoincrement=False),
            Column("version", Integer, nullable=False),
            Column("number", BigInteger, nullable=False),
            Column("hash", String(64), nullable=False),
        )
        self._entries = Table(
            f"{prefix}entries",
            self._metadata,
            Column("number", BigInteger, primary_key=True, autoincrement=False),
            Column("kind", String(20), nullable=False),
            Column("service", String(200), nullable=False),
            Column("name", String(200), nullable=False),
            Column("digest", String(64), nullable=False),
            Column("at", String(40), nullable=False),
            Column("facts", Text, nullable=False),
            Column("prior", String(64), nullable=False),
            Column("hash", String(64), nullable=False),
        )
        self.processes = Table(
            f"{prefix}processes",
            self._metadata,
            Column("id", String(32), primary_key=True),
            Column("service", String(200), nullable=False, index=True),
            Column("process_type", String(40), nullable=False),
            Column("host", String(200), nullable=False),
            Column("pid", BigInteger, nullable=False),
            Column("born", String(80), nullable=False),
            Column("release", String(200), nullable=False),
            Column("started_at", String(40), nullable=False),
        )

    def has_processes(self) -> bool:
        """Whether the processes that run are named there: `init` of an older version made no such table."""
        return inspect(self._engine).has_table(self.processes.name, schema=self.schema)

    def begin(self) -> AbstractContextManager[Connection]:
        """A transaction."""
        return self._engine.begin()

    def exists(self) -> bool:
        """Whether `init` was done."""
        return inspect(self._engine).has_table(self._head.name, schema=self.schema)

    def init(self) -> bool:
        """Make the tables, where they are not there; True if they were made. Idempotent, also for two at once."""
        if self.exists():
            self._version()
            self._metadata.create_all(self._engine)  # what an older version did not have
            return False
        with self._engine.begin() as connection:
            if self.schema:
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('twelvefactor ledger'))"))
                connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            self._metadata.create_all(connection)
            if connection.execute(select(self._head.c.id)).first() is None:
                connection.execute(self._head.insert().values(id=1, version=VERSION, number=0, hash=_START))
        self._forbid_changes()
        return True

    def _forbid_changes(self) -> None:
        """Let the database itself refuse to change or delete an entry, where the user may make triggers."""
        table = f"{self.schema}.{self._entries.name}" if self.schema else self._entries.name
        for statement in _TRIGGERS.get(self._engine.dialect.name, ()):
            try:
                with self._engine.begin() as connection:
                    connection.execute(text(statement.format(table=table, schema=SCHEMA)))
            except Exception:  # noqa: BLE001, S112 - `verify` still shows what was changed
                continue

    def append(
        self, kind: str, service: str, name: str, digest: str, facts: Mapping[str, Any], *, once: str = ""
    ) -> Entry | None:
        """
        Append an entry; None where it is there already.

        Args:
            kind: What it is.
            service: Whose.
            name: Of the release, or of what ran.
            digest: Of the release.
            facts: The rest, as JSON has it.
            once: ``ever``: append only where the same kind, service, name and digest was never recorded; ``newest``:
                only where it is not the newest of its kind.

        Raises:
            LedgerError: There is no ledger, or it was made by a newer version.
        """
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text_of_facts = json.dumps(facts, sort_keys=True, default=str)
        name = name[:200]
        with self._engine.begin() as connection:
            number, prior = self._lock(connection)
            if once and self._is_there(connection, (kind, service, name, digest), newest=once == "newest"):
                return None
            values: dict[str, Any] = {
                "number": number + 1,
                "kind": kind,
                "service": service,
                "name": name,
                "digest": digest,
                "at": at,
                "facts": text_of_facts,
                "prior": prior,
            }
            values["hash"] = _hash(values)
            connection.execute(self._entries.insert().values(**values))
            connection.execute(update(self._head).values(number=number + 1, hash=values["hash"]))
        return Entry(number + 1, kind, service, name, digest, at, dict(facts))

    def _lock(self, connection: Connection) -> tuple[int, str]:
        """The newest number and hash, locked until the transaction ends: entries come one after the other."""
        if connection.dialect.name == "sqlite":
            connection.execute(update(self._head).values(id=1))  # sqlite locks by writing
        row = connection.execute(
            select(self._head.c.version, self._head.c.number, self._head.c.hash).with_for_update()
        ).one()
        _known(row.version)
        return int(row.number), str(row.hash)

    def _is_there(self, connection: Connection, what: tuple[str, str, str, str], *, newest: bool) -> bool:
        kind, service, name, digest = what
        columns = self._entries.c
        query = select(columns.name, columns.digest).where(columns.kind == kind, columns.service == service)
        if newest:
            row = connection.execute(query.order_by(columns.number.desc()).limit(1)).first()
            return row is not None and (row.name, row.digest) == (name, digest)
        return (
            connection.execute(query.where(columns.name == name, columns.digest == digest).limit(1)).first() is not None
        )

    def entries(self, service: str, *kinds: str, limit: int | None = None) -> list[Entry]:
        """What is recorded of *service*, the newest first."""
        self._version()
        columns = self._entries.c
        query = select(self._entries).where(columns.service == service).order_by(columns.number.desc()).limit(limit)
        if kinds:
            query = query.where(columns.kind.in_(kinds))
        with self._engine.connect() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def releases(self, service: str, limit: int | None = None) -> list[Entry]:
        """The releases of *service*, the newest first."""
        return self.entries(service, "release", limit=limit)

    def find(self, service: str, name: str) -> Entry | None:
        """The newest release of *service* that is called *name*, or whose digest or commit begins with it."""
        for entry in self.releases(service):
            commit = str(entry.facts.get("commit") or "")
            if entry.name == name or (len(name) > 3 and (entry.digest.startswith(name) or commit.startswith(name))):  # noqa: PLR2004 - shorter says too little
                return entry
        return None

    def verify(self) -> list[str]:
        """What is wrong with the ledger, one sentence each; empty where it is whole."""
        self._version()
        with self._engine.connect() as connection:
            head = connection.execute(select(self._head.c.number, self._head.c.hash)).one()
            rows = connection.execute(
                select(self._entries).where(self._entries.c.number <= head.number).order_by("number")
            )
            return list(_wrong(rows.mappings(), int(head.number), str(head.hash)))

    def _version(self) -> None:
        try:
            with self._engine.connect() as connection:
                version = connection.execute(select(self._head.c.version)).scalar_one()
        except Exception as error:
            if not self.exists():
                raise LedgerError("there is no ledger; make one with `twelvefactor release init`") from error
            raise
        _known(version)


def _known(version: int) -> None:
    if version > VERSION:
        raise LedgerError(
            f"the ledger was made by a newer version (its schema is {version}, known is {VERSION}): upgrade"
        )


def _hash(values: Mapping[str, Any]) -> str:
    told = [values[key] for key in ("number", "kind", "service", "name", "digest", "at", "facts", "prior")]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _entry(row: Any) -> Entry:
    return Entry(row.number, row.kind, row.service, row.name, row.digest, row.at, json.loads(row.facts))


def _wrong(rows: Any, number: int, newest: str) -> Iterator[str]:
    prior, expected = _START, 1
    for row in rows:
        if row["number"] != expected:
            yield f"entries {expected} to {row['number'] - 1} are missing"
        elif row["prior"] != prior:
            yield f"entry {row['number']} does not follow the one before it"
        if _hash(row) != row["hash"]:
            yield f"entry {row['number']} was changed"
        prior, expected = row["hash"], row["number"] + 1
    if expected != number + 1:
        yield f"entries {expected} to {number} are missing"
    elif prior != newest:
        yield "the newest entry is not the one that the head names"


_FUNCTION = """
CREATE OR REPLACE FUNCTION {schema}.append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$
"""
_TRIGGER = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.append_only()
"""
_SIGNAL = """
CREATE TRIGGER {{table}}_no_{0} BEFORE {0} ON {{table}} FOR EACH ROW
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the ledger is append-only'
"""
_ABORT = """
CREATE TRIGGER {{table}}_no_{0} BEFORE {0} ON {{table}} BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END
"""
_TRIGGERS = {
    "postgresql": (_FUNCTION, _TRIGGER),
    "mysql": (_SIGNAL.format("update"), _SIGNAL.format("delete")),
    "sqlite": (_ABORT.format("update"), _ABORT.format("delete")),
}
_TRIGGERS["mariadb"] = _TRIGGERS["mysql"]


# -- where it is -------------------------------------------------------------------------------------------------------

_SYNC = {"asyncpg": "psycopg", "aiomysql": "pymysql", "asyncmy": "pymysql", "aiosqlite": "pysqlite"}


def resource_for(process: Any) -> Any:
    """
    The attached SQL database that holds the ledger: the one that ``ledger`` in the declaration names, else the first.

    Raises:
        LedgerError: No SQL database is attached, or not under that name.
    """
    named = process.declaration.get("ledger")
    databases = [each for each in process.resources if hasattr(each.url, "sqlalchemy_url")]
    found = next((each for each in databases if named in {None, each.name}), None)
    if found is None:
        known = ", ".join(each.name for each in databases) or "none"
        what = f"no attached SQL database is called {named!r}" if named else "no SQL database is attached"
        raise LedgerError(f"{what} (attached: {known}); the ledger needs one")
    return found


@contextmanager
def opened(resource: Any) -> Iterator[Ledger]:
    """The ledger in *resource*, by a connection of its own that is closed afterwards."""
    engine = engine_for(resource)
    try:
        yield Ledger(engine)
    finally:
        engine.dispose()


def engine_for(resource: Any) -> Engine:
    """A blocking engine for the database of *resource*, without a pool; close it with ``dispose()``."""
    from sqlalchemy import create_engine, event

    url = resource.url.sqlalchemy_url
    driver = url.get_driver_name()
    if driver in _SYNC:
        url = url.set(drivername=f"{url.get_backend_name()}+{_SYNC[driver]}")
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    if resource.opening.credentials is not None:

        @event.listens_for(engine, "do_connect")
        def login(dialect: Any, record: Any, args: Any, kwargs: dict[str, Any]) -> None:  # noqa: ARG001 - its shape
            user, password = resource.opening.login(resource.url)
            kwargs.update({"password": password, **({"user": user} if user is not None else {})})

    return engine
