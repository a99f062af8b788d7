"""The processes that run, in a table beside the ledger: each is a row for as long as it lives."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from twelvefactor._core.birth import birth, boot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from twelvefactor.build_release_run.ledger import Ledger

_KEPT = timedelta(days=30)  # rows of hosts that never came back


def killed(ledger: Ledger, instance: Mapping[str, str]) -> list[Any]:
    """The rows of *instance* whose process is gone."""
    table = ledger.processes
    same = [table.c[name] == value for name, value in instance.items()]
    with ledger.begin() as connection:
        rows = list(connection.execute(select(table).where(*same)))
    return [row for row in rows if _born(row.pid) != row.born]


def enter(ledger: Ledger, instance: Mapping[str, str], release: str, gone: Iterable[Any]) -> str:
    """Add a row for this process and take those that are *gone* away; its id."""
    table, now, entered = ledger.processes, datetime.now(UTC), uuid.uuid4().hex
    born = _born(os.getpid())
    with ledger.begin() as connection:
        for row in gone:
            connection.execute(delete(table).where(table.c.id == row.id))
        connection.execute(delete(table).where(table.c.started_at < _told(now - _KEPT)))
        values = {"id": entered, "pid": os.getpid(), "born": born, "release": release, "started_at": _told(now)}
        connection.execute(insert(table).values(**values, **instance))
    return entered


def leave(ledger: Ledger, entered: str) -> None:
    """Take the row of a process that has stopped away."""
    with ledger.begin() as connection:
        connection.execute(delete(ledger.processes).where(ledger.processes.c.id == entered))


def _born(pid: int) -> str:
    """What tells a process from every other that has its number: the boot, and the moment of its birth in it."""
    return f"{boot()}:{birth(pid)}"


def _told(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
