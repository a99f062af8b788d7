"""MySQL and MariaDB: `mysql://` and `mariadb://`, sockets in both spellings."""

from __future__ import annotations

import ssl
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from twelvefactor.backing_services.kind import CONNECT_TIMEOUT, Identity, Opening
from twelvefactor.backing_services.options import Options, flag, one_of, seconds, secret, text
from twelvefactor.backing_services.sql import SQL, SQLURL, pick
from twelvefactor.backing_services.url import Parts, moved

if TYPE_CHECKING:
    from collections.abc import Iterable

_SYNC = {"pymysql": "pymysql", "mysqldb": "MySQLdb", "mysqlconnector": "mysql.connector", "mariadbconnector": "mariadb"}
_ASYNC = {"aiomysql": "aiomysql", "asyncmy": "asyncmy"}
_MODES = ("disabled", "preferred", "required", "verify_ca", "verify_identity")


class MySQLURL(SQLURL):
    """
    The handle of a MySQL or MariaDB database.

    >>> MySQLURL("mysql://app@db.example.com/orders?ssl-mode=REQUIRED").query["ssl_mode"]
    'required'
    >>> MySQLURL("mariadb:///orders?unix_socket=/run/mysqld.sock").socket
    '/run/mysqld.sock'
    """

    __slots__ = ()
    kind = "twelvefactor.backing_services.mysql:KIND"
    schemes = MappingProxyType({"mysql": "mysql", "mysql2": "mysql", "mariadb": "mariadb"})
    ports = MappingProxyType({"mysql": 3306, "mariadb": 3306})
    needs_host = False
    options: ClassVar[Options] = Options(
        {
            "user": text,
            "password": secret,
            "charset": text,
            "connect_timeout": seconds,
            "init_command": text,
            "read_timeout": seconds,
            "reconnect": flag,
            "sql_mode": text,
            "ssl-mode": one_of(*_MODES),
            "ssl_mode": one_of(*_MODES),
            "sslmode": one_of(*_MODES),
            "ssl_ca": text,
            "ssl_cert": text,
            "ssl_key": text,
            "unix_socket": text,
            "write_timeout": seconds,
        }
    )

    def django(self) -> dict[str, Any]:
        """The entry for Django's ``DATABASES``."""
        if self.is_placeholder:
            return {"ENGINE": "django.db.backends.dummy"}
        parts = self._parts
        options = {name: value for name, value in parts.query if not name.startswith("ssl_")}
        options = {
            "connect_timeout": int(options.pop("connect_timeout", CONNECT_TIMEOUT)),
            "charset": "utf8mb4",
            **options,
        }
        if tls := self._tls():
            options["ssl"] = tls
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": parts.path or "",
            "USER": parts.username or "",
            "PASSWORD": parts.password or "",
            "HOST": parts.socket or self.host or "",
            "PORT": "" if self.port is None else str(self.port),
            "OPTIONS": options,
        }

    def _tls(self) -> dict[str, Any]:
        """The TLS options as every driver takes them in its ``ssl`` argument; empty where none was asked for."""
        given = dict(self._parts.query)
        mode = given.get("ssl_mode")
        names = {"ca": "ssl_ca", "cert": "ssl_cert", "key": "ssl_key"}
        asked = {short: given[name] for short, name in names.items() if name in given}
        if mode in {None, "preferred", "disabled"} and not asked:
            return {}
        return {**asked, "check_hostname": mode == "verify_identity"}

    def _tls_context(self) -> ssl.SSLContext | None:
        asked = self._tls()
        if not asked:
            return None
        context = ssl.create_default_context(cafile=asked.get("ca"))
        context.check_hostname = asked["check_hostname"]
        if "ca" not in asked and dict(self._parts.query).get("ssl_mode") == "required":
            context.verify_mode = ssl.CERT_NONE  # what MySQL means by REQUIRED: encrypted, nobody verified
        if "cert" in asked:
            context.load_cert_chain(asked["cert"], asked.get("key"))
        return context

    @classmethod
    def _with_query(cls, parts: Parts, options: dict[str, Any]) -> Parts:
        parts = moved(parts, options, {"user": "username", "password": "password", "unix_socket": "socket"})
        options.pop("reconnect", None)  # hosted databases add it; the pool reconnects anyway
        for spelling in ("ssl-mode", "sslmode"):
            if spelling in options:
                options["ssl_mode"] = options.pop(spelling)
        return super()._with_query(parts, options)

    def _tail(self, parts: Parts) -> tuple[str, Iterable[tuple[str, Any]]]:
        path, query = super()._tail(parts)
        return (path or "/", (("unix_socket", parts.socket), *query)) if parts.socket else (path, query)

    @classmethod
    def _pick(cls, *, sync: bool) -> str | None:
        return pick("MySQL", "mysql", _SYNC if sync else _ASYNC)

    def _driver_options(self, driver: str | None) -> dict[str, Any]:
        given = super()._driver_options(driver)
        given = {name: value for name, value in given.items() if not name.startswith("ssl_")}
        for name in ("connect_timeout", "read_timeout", "write_timeout"):
            if name in given:
                given[name] = str(max(1, int(float(given[name]))))
        given.setdefault("charset", "utf8mb4")
        if self.socket is not None:
            given["unix_socket"] = self.socket
        return given


class MySQL(SQL[MySQLURL]):
    """MySQL and MariaDB, by SQLAlchemy with PyMySQL, or aiomysql for coroutines."""

    name = "mysql"

    def _connect_options(self, driver: str, opening: Opening, url: MySQLURL) -> dict[str, Any]:
        given: dict[str, Any] = {}
        if driver in {"pymysql", "mysqldb", "aiomysql", "asyncmy"} and "connect_timeout" not in dict(url._parts.query):
            given["connect_timeout"] = int(CONNECT_TIMEOUT)
        if (context := url._tls_context()) is not None:
            given["ssl"] = context
        return given

    def _identity(self, connection: Any) -> Identity:
        said = connection.exec_driver_sql("SELECT version()").scalar_one()
        return Identity("mariadb" if "mariadb" in said.lower() else "mysql", said.partition("-")[0])


KIND = MySQL()
