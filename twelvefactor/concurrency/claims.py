"""
One tick runs once, however many clock processes there are: each claims it first, and one gets it.

A claim is of (service, tick, scheduled time) and stays: a lock that is held while the tick runs would not stop a clock
that comes 100 ms later. It holds a token, so that a clock whose answer was lost on the way knows its own claim.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Protocol

from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE = "twelvefactor_ticks"
KEPT = 7 * 86_400  # seconds for which a table keeps claims
_LIFE = 3_600  # seconds that a key in Redis lives beyond the misfire grace


class Claims(Protocol):
    """Where ticks are claimed."""

    where: str

    def prepare(self) -> None:
        """Make what claims need. Idempotent, safe in several processes at once."""

    def claim(self, name: str, at: int, misfire_grace: float) -> bool:
        """Whether the tick *name*, due at *at* (seconds since the epoch), is ours. The same question has one answer."""

    def close(self) -> None:
        """Let go of the connection."""


def claims_of(service: Any, engine_for: Callable[[Any], Any]) -> Claims | None:
    """
    Where *service* claims its ticks: PostgreSQL or MySQL among what is attached, else Redis; None without any.

    Args:
        service: ``claims`` in its ``[tool.twelvefactor.clock]`` names one of its resources, where that is not the one.
        engine_for: Makes a blocking engine for a SQL resource.

    Raises:
        UsageError: What is named is not attached, or is of a kind that cannot hold a claim.
    """
    wish = service.declaration.get("clock", {}).get("claims")
    resources = [each for each in service.resources if wish is None or each.name == wish]
    for resource in resources:
        if resource.url.scheme in {"postgresql", "mysql", "mariadb"}:
            return SQLClaims(engine_for(resource), service.name, resource.name)
    for resource in resources:
        if resource.url.scheme in {"redis", "rediss"}:
            return RedisClaims(resource.kind.open(resource.url, resource.opening), service.name, resource.name)
    if wish is not None:
        known = ", ".join(each.name for each in service.resources) or "nothing"
        raise UsageError(
            f"[tool.twelvefactor.clock] claims = {wish!r} is no attached PostgreSQL, MySQL or Redis; there is {known}"
        )
    return None


class SQLClaims:
    """A row each, whose primary key is the claim."""

    def __init__(self, engine: Any, service: str, where: str) -> None:
        import sqlalchemy as sa

        self.where = where
        self._engine = engine
        self._service = service
        self._token = secrets.token_hex(16)
        self._swept = 0
        self._table = sa.Table(
            TABLE,
            sa.MetaData(),
            sa.Column("service", sa.String(100), primary_key=True),
            sa.Column("name", sa.String(150), primary_key=True),
            sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("token", sa.String(32), nullable=False),
        )

    def prepare(self) -> None:
        """Create the table; where two processes do so at once, one fails and the table is there."""
        import sqlalchemy as sa

        if sa.inspect(self._engine).has_table(TABLE):
            return
        try:
            self._table.create(self._engine, checkfirst=True)
        except sa.exc.SQLAlchemyError:
            if not sa.inspect(self._engine).has_table(TABLE):
                raise

    def claim(self, name: str, at: int, misfire_grace: float) -> bool:
        """Insert the row; where it is there, look whose it is."""
        import sqlalchemy as sa

        del misfire_grace  # rows stay for a week
        row = {"service": self._service, "name": name, "at": at}
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.insert(self._table).values(**row, token=self._token))
        except sa.exc.IntegrityError:
            return self._is_ours(row)
        self._sweep(at)
        return True

    def _is_ours(self, row: dict[str, Any]) -> bool:
        import sqlalchemy as sa

        which = [self._table.c[column] == value for column, value in row.items()]
        with self._engine.connect() as connection:
            return bool(connection.scalar(sa.select(self._table.c.token).where(*which)) == self._token)

    def _sweep(self, at: int) -> None:
        """Once an hour, delete what nobody will ask for any more; a failure is the next one's."""
        import sqlalchemy as sa

        if at - self._swept < _LIFE:
            return
        self._swept = at
        old = sa.delete(self._table).where(self._table.c.service == self._service, self._table.c.at < at - KEPT)
        try:
            with self._engine.begin() as connection:
                connection.execute(old)
        except sa.exc.SQLAlchemyError:
            pass  # the claim is ours all the same

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


class RedisClaims:
    """A key each, which lives longer than a tick may be late."""

    def __init__(self, client: Any, service: str, where: str) -> None:
        self.where = where
        self._client = client
        self._service = service
        self._token = secrets.token_hex(16)

    def prepare(self) -> None:
        """Nothing to make."""

    def claim(self, name: str, at: int, misfire_grace: float) -> bool:
        """Set the key where there is none; else look whose it is."""
        key, life = f"twelvefactor:tick:{self._service}:{name}:{at}", int(misfire_grace) + _LIFE
        if self._client.set(key, self._token, nx=True, ex=life):
            return True
        held = self._client.get(key)
        return bool((held.decode() if isinstance(held, bytes) else held) == self._token)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
