"""SQL databases through SQLAlchemy: what PostgreSQL, MySQL, SQLite and every other dialect share."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from twelvefactor.backing_services.kind import Identity, Kind, Opening
from twelvefactor.backing_services.options import Options, Wrong
from twelvefactor.backing_services.url import URL
from twelvefactor.exceptions import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy
    from sqlalchemy.engine import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine


class SQLURL(URL["Engine", "AsyncEngine"]):
    """
    The handle of a SQL database; its path names the database.

    >>> URL("postgresql+asyncpg://db/orders").sqlalchemy_url.database
    'orders'
    """

    __slots__ = ()
    kind: ClassVar[str] = "twelvefactor.backing_services.sql:KIND"
    drivers: ClassVar[bool] = True

    @property
    def database(self) -> str | None:
        """The name of the database, decoded."""
        path: str | None = self._parts.path
        return path

    @property
    def sqlalchemy_url(self) -> sqlalchemy.URL:
        """The same as SQLAlchemy's own URL, which masks itself; the installed driver is picked and named in it."""
        url = self._sqlalchemy_url(sync=True)
        _given.add(_shape(url))
        return url

    def _sqlalchemy_url(self, *, sync: bool) -> sqlalchemy.URL:
        import sqlalchemy

        driver = self.driver or self._pick(sync=sync)
        parts = self._parts
        one = self.hosts[0] if len(self.hosts) == 1 else (None, None)
        return sqlalchemy.URL.create(
            f"{self.scheme}+{driver}" if driver else self.scheme,
            username=parts.username,
            password=parts.password,
            host=one[0],
            port=one[1],
            database=self.database,
            query=self._driver_options(driver),
        )

    @classmethod
    def _pick(cls, *, sync: bool) -> str | None:
        """The driver that is installed, the best first."""
        return None

    def _driver_options(self, driver: str | None) -> dict[str, Any]:
        """The options as *driver* spells them."""
        return {name: self.options.text(value) for name, value in self._parts.query}


class AnySQLURL(SQLURL):
    """
    The handle of a database that only SQLAlchemy knows: any scheme for which a dialect is installed.

    >>> URL("oracle+oracledb://app@db.example.com:1521/orders")
    AnySQLURL('oracle+oracledb://app@db.example.com:1521/orders')
    """

    __slots__ = ()
    schemes: ClassVar[Mapping[str, str]] = {"mssql": "mssql", "oracle": "oracle"}
    needs_host = False
    options: ClassVar[Options] = Options(open=True)

    @classmethod
    def _read_scheme(cls, text: str) -> tuple[str, str | None]:
        base, _, driver = text.lower().partition("+")
        if base not in cls.schemes and not is_dialect(text.lower()):
            raise Wrong(f"no SQLAlchemy dialect is installed for the scheme {text!r}")
        return base, driver or None


def is_dialect(scheme: str) -> bool:
    """Whether an installed distribution gives SQLAlchemy the dialect that *scheme* names."""
    from importlib.metadata import entry_points

    names = {scheme.replace("+", "."), scheme.partition("+")[0]}
    return any(entry.name in names for entry in entry_points(group="sqlalchemy.dialects"))


_given: set[tuple[str | None, int | None, str | None]] = set()


def _shape(url: Any) -> tuple[str | None, int | None, str | None]:
    return url.host, url.port, url.database


def was_given(url: sqlalchemy.URL) -> bool:
    """Whether *url* was handed out for somebody else's engine, such as a framework's."""
    return _shape(url) in _given


def pick(kind: str, extra: str, candidates: dict[str, str]) -> str:
    """The first driver of *candidates* (driver: module) that is installed."""
    for driver, module in candidates.items():
        if find_spec(module) is not None:
            return driver
    raise MissingExtraError(extra, f"a {kind} driver ({' or '.join(candidates)})")


U = TypeVar("U", bound=SQLURL)


class SQL(Kind[U, "Engine", "AsyncEngine"]):
    """A SQL database behind a SQLAlchemy engine."""

    name = "sql"
    client = "sqlalchemy.Engine"
    async_client = "sqlalchemy.ext.asyncio.AsyncEngine"
    engines: ClassVar[tuple[str, ...]] = ()

    def open(self, url: U, opening: Opening) -> Engine:
        """An engine with a pool that tests a connection before it lends it."""
        from sqlalchemy import create_engine

        target = url._sqlalchemy_url(sync=True)
        engine = create_engine(target, **self._engine_options(target.get_driver_name(), opening, url))
        self._renew_credentials(engine, url, opening)
        return engine

    def open_async(self, url: U, opening: Opening) -> AsyncEngine:
        """The same for coroutines."""
        if find_spec("greenlet") is None:
            raise MissingExtraError("asyncpg", "greenlet, which SQLAlchemy needs for coroutines,")
        from sqlalchemy.ext.asyncio import create_async_engine

        target = url._sqlalchemy_url(sync=False)
        engine = create_async_engine(target, **self._engine_options(target.get_driver_name(), opening, url))
        self._renew_credentials(engine.sync_engine, url, opening)
        return engine

    def _engine_options(self, driver: str, opening: Opening, url: U) -> dict[str, Any]:
        given = dict(opening.options or {})
        connect = {**self._connect_options(driver, opening, url), **given.pop("connect_args", {})}
        return {"pool_pre_ping": True, "hide_parameters": True, "connect_args": connect, **given}

    def _connect_options(self, driver: str, opening: Opening, url: U) -> dict[str, Any]:
        """What the driver's connect() is given beside the URL."""
        return {}

    def _renew_credentials(self, engine: Engine, url: U, opening: Opening) -> None:
        if opening.credentials is None:
            return
        from sqlalchemy import event

        @event.listens_for(engine, "do_connect")
        def login(dialect: Any, record: Any, args: Any, kwargs: dict[str, Any]) -> None:  # noqa: ARG001 - its shape
            user, password = opening.login(url)
            kwargs.update(self._login_arguments(user, password))

    def _login_arguments(self, user: str | None, password: str | None) -> dict[str, Any]:
        return {"user": user, "password": password} if user is not None else {"password": password}

    def ping(self, client: Engine) -> None:
        with client.connect() as connection:
            self._ask(connection)

    async def ping_async(self, client: AsyncEngine) -> None:
        async with client.connect() as connection:
            await connection.run_sync(self._ask)

    @staticmethod
    def _ask(connection: Any) -> None:
        connection.exec_driver_sql(connection.dialect._dialect_specific_select_one)

    def identify(self, client: Engine) -> Identity:
        with client.connect() as connection:
            return self._identity(connection)

    async def identify_async(self, client: AsyncEngine) -> Identity:
        async with client.connect() as connection:
            return await connection.run_sync(self._identity)

    def _identity(self, connection: Any) -> Identity:
        version = connection.dialect.server_version_info
        return Identity(connection.dialect.name, ".".join(map(str, version)) if version else None)

    def busy(self, client: Engine) -> str:
        pool: Any = client.pool
        limit = getattr(pool, "_max_overflow", None)
        if limit is None or limit < 0 or pool.checkedout() < pool.size() + limit:
            return ""
        return f"all {pool.size() + limit} connections of the pool are taken"

    def close(self, client: Engine) -> None:
        client.dispose()

    async def close_async(self, client: AsyncEngine) -> None:
        await client.dispose()

    def forget(self, client: Engine) -> None:
        client.dispose(close=False)

    def forget_async(self, client: AsyncEngine) -> None:
        client.sync_engine.dispose(close=False)


KIND: SQL[SQLURL] = SQL()
