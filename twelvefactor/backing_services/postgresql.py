"""PostgreSQL: `postgresql://` and `postgres://`, several hosts, sockets in both spellings."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from twelvefactor.backing_services.kind import CONNECT_TIMEOUT, Identity, Opening
from twelvefactor.backing_services.options import Options, Wrong, one_of, secret, text, whole
from twelvefactor.backing_services.sql import SQL, SQLURL, pick
from twelvefactor.backing_services.url import Parts, moved, read_host

if TYPE_CHECKING:
    from collections.abc import Iterable

_SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_TLS = ("tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3")

LIBPQ = Options(
    {
        "host": text,
        "hostaddr": text,
        "port": text,
        "user": text,
        "password": secret,
        "dbname": text,
        "application_name": text,
        "fallback_application_name": text,
        "channel_binding": one_of("disable", "prefer", "require"),
        "client_encoding": text,
        "connect_timeout": whole,
        "gssencmode": one_of("disable", "prefer", "require"),
        "gsslib": text,
        "keepalives": one_of("0", "1"),
        "keepalives_count": whole,
        "keepalives_idle": whole,
        "keepalives_interval": whole,
        "krbsrvname": text,
        "load_balance_hosts": one_of("disable", "random"),
        "options": text,
        "passfile": text,
        "replication": text,
        "require_auth": text,
        "requirepeer": text,
        "service": text,
        "ssl_max_protocol_version": one_of(*_TLS),
        "ssl_min_protocol_version": one_of(*_TLS),
        "sslcert": text,
        "sslcertmode": one_of("disable", "allow", "require"),
        "sslcrl": text,
        "sslcrldir": text,
        "sslkey": text,
        "sslmode": one_of(*_SSLMODES),
        "sslnegotiation": one_of("postgres", "direct"),
        "sslpassword": secret,
        "sslrootcert": text,
        "sslsni": one_of("0", "1"),
        "target_session_attrs": one_of("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
        "tcp_user_timeout": whole,
    }
)
"""What libpq 18 documents, https://www.postgresql.org/docs/18/libpq-connect.html."""

_ASYNCPG = frozenset(
    [
        "client_encoding",
        "gsslib",
        "krbsrvname",
        "options",
        "passfile",
        "search_path",
        "service",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslnegotiation",
        "sslpassword",
        "sslrootcert",
        "target_session_attrs",
    ]
)
"""Which of them asyncpg reads; the others tune libpq's own sockets."""

_SYNC = {"psycopg": "psycopg", "psycopg2": "psycopg2", "pg8000": "pg8000"}
_ASYNC = {"asyncpg": "asyncpg", "psycopg": "psycopg"}


class PostgresURL(SQLURL):
    """
    The handle of a PostgreSQL database.

    >>> PostgresURL("postgres://app@%2Fvar%2Frun%2Fpostgresql/orders").socket
    '/var/run/postgresql'
    >>> PostgresURL("postgresql://a:1,b:2/orders?sslmode=require").hosts
    (('a', 1), ('b', 2))
    """

    __slots__ = ()
    kind = "twelvefactor.backing_services.postgresql:KIND"
    schemes = MappingProxyType({"postgresql": "postgresql", "postgres": "postgresql"})
    ports = MappingProxyType({"postgresql": 5432})
    many_hosts = True
    needs_host = False
    options: ClassVar[Options] = LIBPQ

    @property
    def dsn(self) -> str:
        """The URL as libpq takes it (`psycopg.connect`, `psql`), without a driver; it holds the password."""
        return self._of(self._parts._replace(driver=None)).reveal()

    def django(self) -> dict[str, Any]:
        """The entry for Django's ``DATABASES``."""
        if self.is_placeholder:
            return {"ENGINE": "django.db.backends.dummy"}
        parts = self._parts
        options = {"connect_timeout": int(CONNECT_TIMEOUT), **dict(parts.query)}
        hosts = parts.socket or ",".join(host for host, _ in parts.hosts)
        ports = ",".join(str(port) for _, port in parts.hosts)
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts.path or parts.username or "",
            "USER": parts.username or "",
            "PASSWORD": parts.password or "",
            "HOST": hosts,
            "PORT": ports,
            "OPTIONS": options,
        }

    @classmethod
    def _with_query(cls, parts: Parts, options: dict[str, Any]) -> Parts:
        parts = moved(parts, options, {"user": "username", "password": "password", "dbname": "path"})
        host = options.pop("host", None)
        port = options.pop("port", None)
        if host is not None:
            parts = _with_hosts(parts, host, port)
        elif port is not None:
            raise Wrong("the option 'port' stands without 'host'; write the port after the host")
        return super()._with_query(parts, options)

    def _tail(self, parts: Parts) -> tuple[str, Iterable[tuple[str, Any]]]:
        path, query = super()._tail(parts)
        return (path or "/", (("host", parts.socket), *query)) if parts.socket else (path, query)

    @classmethod
    def _pick(cls, *, sync: bool) -> str | None:
        return pick("PostgreSQL", "postgres" if sync else "asyncpg", _SYNC if sync else _ASYNC)

    def _driver_options(self, driver: str | None) -> dict[str, Any]:
        if driver == "asyncpg":
            return {}  # it reads them from the DSN that its kind gives it; as keywords they are unknown to it
        given = super()._driver_options(driver)
        if self.socket is not None:
            given["host"] = self.socket
        elif len(self.hosts) > 1:
            given["host"] = ",".join(host for host, _ in self.hosts)
            given["port"] = ",".join(str(port) for _, port in self.hosts)
        return given

    def _asyncpg_dsn(self) -> str:
        known = tuple((name, value) for name, value in self._parts.query if name in _ASYNCPG)
        return self._of(self._parts._replace(driver=None, password=None, query=known)).reveal()


def _with_hosts(parts: Parts, host: str, port: str | None) -> Parts:
    if parts.hosts or parts.socket is not None:
        raise Wrong("the option 'host' names a host beside the one before the path")
    if host.startswith("/"):
        return parts._replace(socket=host)
    ports = port.split(",") if port else [""]
    names = host.split(",")
    ports = ports * len(names) if len(ports) == 1 else ports
    if len(ports) != len(names):
        raise Wrong("the options 'host' and 'port' name different numbers of them")
    return parts._replace(
        hosts=tuple(
            read_host(f"[{n}]:{p}" if n.count(":") > 1 else f"{n}:{p}" if p else n, 5432)
            for n, p in zip(names, ports, strict=True)
        )
    )


class PostgreSQL(SQL[PostgresURL]):
    """PostgreSQL, by SQLAlchemy with psycopg, or asyncpg for coroutines."""

    name = "postgresql"

    def _connect_options(self, driver: str, opening: Opening, url: PostgresURL) -> dict[str, Any]:
        given = dict(url._parts.query)
        if driver == "asyncpg":
            name = given.get("application_name", opening.application)
            return {
                "dsn": url._asyncpg_dsn(),
                "timeout": float(given.get("connect_timeout", CONNECT_TIMEOUT)),
                "server_settings": {"application_name": name} if name else {},
            }
        if driver not in {"psycopg", "psycopg2", "psycopg_async"}:
            return {}
        named = {"fallback_application_name": opening.application} if opening.application else {}
        return named if "connect_timeout" in given else {"connect_timeout": int(CONNECT_TIMEOUT), **named}

    def _identity(self, connection: Any) -> Identity:
        version = connection.exec_driver_sql("SHOW server_version").scalar_one()
        return Identity(self.name, version.split()[0])

    def socket_file(self, url: PostgresURL) -> str:
        """A directory names the socket in it."""
        return f"{url.socket}/.s.PGSQL.{url.ports['postgresql']}"


KIND = PostgreSQL()
