"""SQLite: a file beside the process, so a stand-in wherever several processes or machines run."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from twelvefactor.backing_services.kind import Identity, Opening
from twelvefactor.backing_services.options import Options, Wrong, flag, one_of, seconds, text
from twelvefactor.backing_services.sql import SQL, SQLURL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twelvefactor.backing_services.url import Parts


class SQLiteURL(SQLURL):
    """
    The handle of a SQLite file: three slashes for a relative path, four for an absolute one, none for memory.

    >>> SQLiteURL("sqlite:////var/lib/app.db").database
    '/var/lib/app.db'
    >>> SQLiteURL("sqlite://") == SQLiteURL("sqlite:///:memory:")
    True
    """

    __slots__ = ()
    kind = "twelvefactor.backing_services.sqlite:KIND"
    schemes = MappingProxyType({"sqlite": "sqlite", "sqlite3": "sqlite"})
    needs_host = False
    options: ClassVar[Options] = Options(
        {
            "timeout": seconds,
            "mode": one_of("ro", "rw", "rwc", "memory"),
            "cache": one_of("shared", "private"),
            "immutable": flag,
            "uri": flag,
            "check_same_thread": flag,
            "detect_types": text,
            "isolation_level": text,
        }
    )

    def django(self) -> dict[str, Any]:
        """The entry for Django's ``DATABASES``."""
        if self.is_placeholder:
            return {"ENGINE": "django.db.backends.dummy"}
        entry: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": self.database or ":memory:"}
        if self._parts.query:
            entry["OPTIONS"] = dict(self._parts.query)
        return entry

    @classmethod
    def _read_path(cls, path: str | None) -> Any:
        found = super()._read_path(path)
        return None if found == ":memory:" else found

    @classmethod
    def _settled(cls, parts: Parts) -> Parts:
        if parts.hosts or parts.socket:
            raise Wrong("a sqlite URL has no host: three slashes for a relative path, four for an absolute one")
        return parts

    def _tail(self, parts: Parts) -> tuple[str, Iterable[tuple[str, Any]]]:
        return "" if parts.path is None else f"/{quote(parts.path, safe='/')}", parts.query

    @classmethod
    def _pick(cls, *, sync: bool) -> str | None:
        return "pysqlite" if sync else "aiosqlite"


class SQLite(SQL[SQLiteURL]):
    """SQLite, by SQLAlchemy with the standard library, or aiosqlite for coroutines."""

    name = "sqlite"
    stand_in = True

    def _engine_options(self, driver: str, opening: Opening, url: SQLiteURL) -> dict[str, Any]:
        """In memory there is one database for all threads, not one for each."""
        given = super()._engine_options(driver, opening, url)
        if url.database is None and driver == "pysqlite":
            from sqlalchemy.pool import StaticPool

            given = {"poolclass": StaticPool, **given}
            given["connect_args"] = {"check_same_thread": False, **given["connect_args"]}
        return given

    def _identity(self, connection: Any) -> Identity:
        return Identity(self.name, connection.exec_driver_sql("SELECT sqlite_version()").scalar_one())

    def knock(self, url: SQLiteURL, timeout: float) -> None:
        """There is nothing to knock at: a file is there or is made."""


KIND = SQLite()
