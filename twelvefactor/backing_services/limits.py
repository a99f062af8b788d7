"""TF804: how many connections all processes may open together, against what the service allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twelvefactor.backing_services.leases import pool_of
from twelvefactor.backing_services.resources import resources_of
from twelvefactor.concurrency import TF804
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from twelvefactor._core.process import Process
    from twelvefactor.backing_services.resource import Resource


class Limits:
    """When a resource first answers, ask it for its limit and compare: workers times pool times replicas."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """Look at each resource when it first answers."""
        resources = resources_of(self._process)
        if resources is not None:
            resources.observe(self._look)

    def remove(self) -> None:
        """Look no more."""
        resources = resources_of(self._process)
        if resources is not None:
            resources.unobserve(self._look)

    def _look(self, resource: Resource) -> None:
        ask = _ASK.get(resource.kind.name)
        if ask is None or resource.own or resource.is_async:
            return
        workers, replicas = (
            _number(self._process.environ.get(n)) for n in ("WEB_CONCURRENCY", "TWELVEFACTOR_REPLICAS")
        )
        if replicas is None:
            self._process.evidence.could_not_look(
                TF804, "nobody tells how many replicas run; set TWELVEFACTOR_REPLICAS in the deploy"
            )
            return
        pool = _largest(resource)
        if pool is None:
            self._process.evidence.could_not_look(TF804, f"the pool of {resource.name} has no bound of its own")
            return
        self._compare(resource, workers or 1, pool, replicas, ask(resource.client))

    def _compare(self, resource: Resource, workers: int, pool: int, replicas: int, limit: int) -> None:
        needed = workers * pool * replicas
        self._process.evidence.looked(TF804, at=f"{resource.name}: {needed} of {limit} connections")
        if needed <= limit:
            return
        message = (
            f"{workers} workers with a pool of {pool} each, in {replicas} replicas, may open {needed} connections of "
            f"{resource.name}; {resource.status.engine} allows {limit}"
        )
        self._process.evidence.report(Finding(TF804, message, culprit=resource.name, where=resource.where))


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _largest(resource: Resource) -> int | None:
    """How many connections the client opens at most."""
    pool = pool_of(resource)
    if pool is None:
        found = getattr(getattr(resource.client, "connection_pool", None), "max_connections", None)
        return found if isinstance(found, int) and found < 2**31 else None
    overflow = getattr(pool, "_max_overflow", -1)
    return None if overflow < 0 else pool.size() + overflow


def _of_postgresql(client: Any) -> int:
    with client.connect() as connection:
        asked = (
            "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
        )
        return int(connection.exec_driver_sql(asked).scalar_one())


def _of_mysql(client: Any) -> int:
    with client.connect() as connection:
        return int(connection.exec_driver_sql("SELECT @@max_connections").scalar_one())


def _of_redis(client: Any) -> int:
    return int(client.config_get("maxclients")["maxclients"])


_ASK: dict[str, Callable[[Any], int]] = {"postgresql": _of_postgresql, "mysql": _of_mysql, "redis": _of_redis}
