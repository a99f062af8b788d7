"""Only one at a time, across all machines: a lock in an attached backing service."""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from twelvefactor._core import threads
from twelvefactor.exceptions import LockHeld, ResourceUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LEASE = 30.0  # seconds after which the lock of a killed process in Redis is free
_LONGEST_WHO = 63  # bytes of who holds a lock that are told; as many as PostgreSQL shows


class _Lock(Protocol):
    """A lock in one kind of service."""

    def take(self) -> bool:
        """Try to take it, at once."""

    def holder(self) -> str:
        """Who has it."""

    def free(self) -> None:
        """Give it back; also where it was lost."""


@contextmanager
def held(service: Any, name: str, who: str, engine_for: Callable[[Any], Any]) -> Iterator[str]:
    """
    Hold the lock of the admin process *name*; gives the name of the resource that it is in.

    The lock goes with its connection: a process that is killed frees it (in Redis after half a minute).

    Args:
        service: Whose attached resources are looked through: PostgreSQL and MySQL first, then Redis.
        name: Of the admin process.
        who: What a second copy is told.
        engine_for: Makes a blocking engine for a SQL resource.

    Raises:
        LockHeld: A second copy is running; says who holds it.
        UsageError: Nothing attached can hold a lock.
    """
    resource, lock = _lock_in(service, f"twelvefactor:{service.name}:{name}", who, engine_for)
    try:
        taken = lock.take()
        if not taken:
            holder = lock.holder()
    except Exception as error:  # noqa: BLE001 - whatever a driver raises, its text may hold a password
        lock.free()
        where = f"{resource.name} ({resource.url})"
        raise ResourceUnavailable(f"the lock of {name} in {where}: {type(error).__name__}") from None
    if not taken:
        lock.free()
        raise LockHeld(
            f"{name} is running already: {holder} holds its lock in {resource.name}; try again when it is done"
        )
    try:
        yield resource.name
    finally:
        lock.free()


def _lock_in(service: Any, key: str, who: str, engine_for: Callable[[Any], Any]) -> tuple[Any, _Lock]:
    for scheme, make in (("postgresql", _Postgres), ("mysql", _MySQL), ("mariadb", _MySQL)):
        for resource in service.resources:
            if resource.url.scheme == scheme:
                return resource, make(engine_for(resource), key, who)
    for resource in service.resources:
        if resource.url.scheme in {"redis", "rediss"}:
            client = resource.kind.open(resource.url, resource.opening)
            return resource, _Redis(client, key, who, partial(_lost, service, key, resource.name))
    attached = ", ".join(each.name for each in service.resources) or "nothing"
    raise UsageError(f"an exclusive admin process needs PostgreSQL, MySQL or Redis attached; there is {attached}")


def _lost(service: Any, key: str, where: str) -> None:
    because = "its lease ran out, while this process or the service stood still; a second copy may be running"
    service.event("error", "twelvefactor.admin.lock_lost", name=key.rpartition(":")[2], lock_in=where, because=because)


class _SQL:
    """A lock of a SQL session, held by a connection that is kept open."""

    def __init__(self, engine: Any, key: str, who: str) -> None:
        self._engine = engine
        self._key = key
        self._who = who
        self._connection: Any = None

    def _ask(self, statement: str, **values: Any) -> Any:
        from sqlalchemy import text

        if self._connection is None:
            self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        return self._connection.execute(text(statement), values).first()

    def free(self) -> None:
        """Close the connection, and the lock with it."""
        try:
            if self._connection is not None:
                self._connection.close()
        except Exception:  # noqa: BLE001, S110 - it was lost: so was the lock
            pass
        finally:
            self._engine.dispose()


class _Postgres(_SQL):
    """An advisory lock; the session's ``application_name`` says who holds it."""

    @property
    def _number(self) -> int:
        return int.from_bytes(hashlib.sha256(self._key.encode()).digest()[:8], signed=True)

    def take(self) -> bool:
        self._ask(
            "SELECT set_config('application_name', :who, false)",
            who=self._who.encode()[:_LONGEST_WHO].decode(errors="ignore"),
        )
        return bool(self._ask("SELECT pg_try_advisory_lock(:number)", number=self._number)[0])

    def holder(self) -> str:
        number = self._number & 0xFFFF_FFFF_FFFF_FFFF
        row = self._ask(
            "SELECT a.application_name, to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') "
            "FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
            "AND l.classid = cast(:high AS bigint)::oid AND l.objid = cast(:low AS bigint)::oid",
            high=number >> 32,
            low=number & 0xFFFF_FFFF,
        )
        return "somebody who just let go" if row is None else f"{row[0] or 'an unnamed session'} (since {row[1]})"


class _MySQL(_SQL):
    """
    A named lock of the server, and beside it who holds it.

    Which named locks a session holds is all that every other one may read of it, on MySQL as on MariaDB: so the holder
    is spelt in locks, one for each bit that is set.
    """

    @property
    def _name(self) -> str:
        return f"tf:{hashlib.sha256(self._key.encode()).hexdigest()[:40]}"

    def take(self) -> bool:
        if not self._ask("SELECT GET_LOCK(:name, 0)", name=self._name)[0]:
            return False
        who = int.from_bytes(self._who.encode()[:_LONGEST_WHO], "little")
        spelt = [f"GET_LOCK({self._bit(bit)}, 0)" for bit in range(who.bit_length()) if who >> bit & 1]
        self._ask(f"SELECT {', '.join(spelt)}")
        return True

    def _bit(self, bit: int) -> str:
        return f"'{self._name.replace(':', '.')}.{bit}'"

    def holder(self) -> str:
        spelt = [f"IS_USED_LOCK({self._bit(bit)})" for bit in range(_LONGEST_WHO * 8)]
        by, *bits = self._ask(f"SELECT IS_USED_LOCK(:name), {', '.join(spelt)}", name=self._name)
        if by is None:
            return "somebody who just let go"
        who = sum(1 << bit for bit, held in enumerate(bits) if held == by)
        named = who.to_bytes(_LONGEST_WHO, "little").rstrip(b"\0").decode(errors="replace")
        return f"{named or 'somebody'} (connection {by})"


class _Redis:
    """A key with a lease, renewed by a thread of ours; *lost* is called where it ran out all the same."""

    _RENEW = "return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('pexpire', KEYS[1], ARGV[2])"
    _FREE = "return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('del', KEYS[1])"

    def __init__(self, client: Any, key: str, who: str, lost: Callable[[], None]) -> None:
        from twelvefactor.work import new_id

        self._lost = lost
        self._client = client
        self._key = key
        self._value = json.dumps({"who": who, "id": new_id()})
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self) -> bool:
        if not self._client.set(self._key, self._value, nx=True, px=int(_LEASE * 1000)):
            return False
        self._thread = threads.start(self._renew, name="twelvefactor lock")
        return True

    def _renew(self) -> None:
        while not self._stop.wait(_LEASE / 3):
            try:
                if not self._client.eval(self._RENEW, 1, self._key, self._value, int(_LEASE * 1000)):
                    self._lost()
                    return
            except Exception:  # noqa: BLE001, S112 - the next one may come through before the lease ends
                continue

    def holder(self) -> str:
        value = self._client.get(self._key)
        return "somebody who just let go" if value is None else str(json.loads(value)["who"])

    def free(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)
            try:
                self._client.eval(self._FREE, 1, self._key, self._value)
            except Exception:  # noqa: BLE001, S110 - the lease ends by itself
                pass
        self._client.close()
