"""Where notes live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select

if TYPE_CHECKING:
    from sqlalchemy import Engine

metadata = MetaData()
table = Table("notes", metadata, Column("id", Integer, primary_key=True), Column("text", Text, nullable=False))


@dataclass(frozen=True)
class Note:
    id: int
    text: str


class Notes:
    """The notes of all processes: nothing of them is kept in this one."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def keep(self, text: str) -> Note:
        with self._database.begin() as connection:
            return Note(connection.execute(insert(table).values(text=text).returning(table.c.id)).scalar_one(), text)

    def find(self, number: int) -> Note | None:
        with self._database.connect() as connection:
            row = connection.execute(select(table).where(table.c.id == number)).first()
        return None if row is None else Note(row.id, row.text)

    def newest(self, count: int) -> list[Note]:
        with self._database.connect() as connection:
            rows = connection.execute(select(table).order_by(table.c.id.desc()).limit(count))
            return [Note(row.id, row.text) for row in rows]
