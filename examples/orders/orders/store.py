"""Where orders live: PostgreSQL keeps them, Redis answers for what it has seen."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, func, insert, select
from sqlalchemy.dialects import postgresql

if TYPE_CHECKING:
    from redis import Redis
    from sqlalchemy import Engine

metadata = MetaData()
table = Table(
    "orders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("item", String, nullable=False),
    Column("quantity", Integer, nullable=False),
)
receipts = Table(
    "receipts",
    metadata,
    Column("order_id", ForeignKey(table.c.id), primary_key=True),
    Column("sender", String, nullable=False),
)
REMEMBER = 300  # seconds
LARGEST = 2**31 - 1  # that the column of the ids can hold


@dataclass(frozen=True)
class Order:
    id: int
    item: str
    quantity: int

    def as_dict(self) -> dict:
        return asdict(self)

    def as_json(self) -> bytes:
        return json.dumps(self.as_dict()).encode()


class Orders:
    """The orders of all processes: nothing of them is kept in this one."""

    def __init__(self, database: Engine, cache: Redis) -> None:
        self._database = database
        self._cache = cache

    def create(self, item: str, quantity: int) -> Order:
        with self._database.begin() as connection:
            row = connection.execute(insert(table).values(item=item, quantity=quantity).returning(table.c.id)).one()
        return Order(row.id, item, quantity)

    def get(self, number: int) -> Order | None:
        if number > LARGEST:
            return None
        known = self._cache.get(f"order:{number}")
        if known is not None:
            return Order(**json.loads(known))
        with self._database.connect() as connection:
            row = connection.execute(select(table).where(table.c.id == number)).one_or_none()
        if row is None:
            return None
        order = Order(row.id, row.item, row.quantity)
        self._cache.set(f"order:{number}", order.as_json(), ex=REMEMBER)
        return order

    def last_id(self) -> int:
        with self._database.connect() as connection:
            return connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()

    def receipt_sent(self, number: int, sender: str) -> None:
        """Keep it once, however often it is told."""
        sent = postgresql.insert(receipts).values(order_id=number, sender=sender).on_conflict_do_nothing()
        with self._database.begin() as connection:
            connection.execute(sent)

    def counts(self) -> tuple[int, int]:
        """How many orders there are, and how many receipts."""
        return self._count(table), self._count(receipts)

    def _count(self, rows: Table) -> int:
        with self._database.connect() as connection:
            return connection.execute(select(func.count()).select_from(rows)).scalar_one()
