"""TF404: a connection that was taken from a resource's pool and not given back when its work ended."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from twelvefactor.backing_services import redis_pools
from twelvefactor.backing_services.resources import resources_of
from twelvefactor.backing_services.rules import TF404
from twelvefactor.factor import Finding
from twelvefactor.work import current_work, nothing

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from twelvefactor._core.process import Process
    from twelvefactor.backing_services.resource import Resource
    from twelvefactor.work import Work


class Leases:
    """
    Watch the pools of the attached SQLAlchemy engines and Redis clients: what a unit of work takes, it gives back.

    A pool of another library cannot be watched; its connections are not judged.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._installed = False
        self._listening = False
        self._redis: dict[Any, Callable[[], None]] = {}
        self._observed: Any = None
        self._lent: dict[Any, tuple[Work, str, str]] = {}

    def install(self) -> None:
        """Observe the work; the pools are listened to as soon as their library is there."""
        self._installed = True
        self._observe_attaching()
        self._process.in_flight.observe(self)

    def remove(self) -> None:
        """Listen no more."""
        self._installed = False
        self._process.in_flight.unobserve(self)
        if self._listening:
            self._listen(on=False)
        if self._observed is not None:
            self._observed.unobserve(self._attached)
            self._observed = None
        while self._redis:
            self._redis.popitem()[1]()
        self._lent.clear()

    begin = staticmethod(nothing)

    def imported(self) -> None:
        """Listen to the pools of a library that came meanwhile, or whose client was attached meanwhile."""
        if not self._listening and "sqlalchemy.pool" in sys.modules:
            self._listen(on=True)
            self._process.evidence.looked(TF404, at="the pools of the attached SQLAlchemy engines")
        if self._observed is None and "redis.connection" in sys.modules:
            self._observe_attaching()

    def _observe_attaching(self) -> None:
        """Hear of each resource that is attached, now and later; of none where nothing was attached yet."""
        self._observed = resources_of(self._process)
        if self._observed is not None:
            self._observed.observe_attaching(self._attached)

    def _attached(self, resource: Resource) -> None:
        """Watch the pool of a Redis client; SQLAlchemy tells of all its pools by itself."""
        pool = redis_pools.pool_of(resource.client) if resource.kind.name.startswith("redis") else None
        if pool is None or pool in self._redis:
            return

        def taken(connection: Any) -> None:
            self._lend(connection, resource.name)

        self._redis[pool] = redis_pools.watch(pool, taken, self._back)
        self._process.evidence.looked(TF404, at="the pools of the attached Redis clients")

    def end(self, work: Work) -> None:
        """Judge what this work still holds."""
        if not self._lent:
            return
        for record, (holder, name, where) in list(self._lent.items()):
            if holder is work:
                self._lent.pop(record, None)
                self._report(work, name, where)

    def _report(self, work: Work, name: str, where: str) -> None:
        message = f"{work.kind} {work.name} ended and still holds a connection of {name}"
        self._process.evidence.report(
            Finding(TF404, message, culprit=f"{name} in {work.kind} {work.name}", where=where, work=work.id)
        )

    def _listen(self, *, on: bool) -> None:
        from sqlalchemy import event
        from sqlalchemy.pool import Pool

        change = event.listen if on else event.remove
        change(Pool, "checkout", self._taken)
        change(Pool, "checkin", self._given_back)
        self._listening = on

    def _taken(self, connection: Any, record: Any, fairy: Any) -> None:
        name = None if current_work() is None else self._name(record)
        if name is not None:
            self._lend(record, name)

    def _given_back(self, connection: Any, record: Any) -> None:
        self._back(record)

    def _lend(self, what: Any, name: str) -> None:
        work = current_work()
        if work is not None and not work.closed:
            frame: FrameType | None = self._process.app_code.frame(3)
            self._lent[what] = (work, name, self._process.app_code.where(frame))

    def _back(self, what: Any) -> None:
        self._lent.pop(what, None)

    def _name(self, record: Any) -> str | None:
        """Whose pool *record* is of; None for a pool that was not attached."""
        pool = record._ConnectionRecord__pool
        for resource in resources_of(self._process) or ():
            if pool_of(resource) is pool:
                return resource.name
        return None


def pool_of(resource: Resource) -> Any:
    """The SQLAlchemy pool behind an attached engine, or None."""
    engine = getattr(resource.client, "sync_engine", resource.client)
    return getattr(engine, "pool", None)
