"""A cluster client that asks its first nodes when it is used, not when it is made."""

from __future__ import annotations

import threading
from typing import Any

from redis import RedisCluster
from redis.cluster import ClusterNode


class LazyCluster(RedisCluster):
    """
    redis-py's own, whose ``__init__`` connects; here the first use calls it. Thread-safe.

    Args:
        hosts: The nodes to ask first.
        arguments: What redis-py's cluster client takes.
    """

    def __init__(self, hosts: tuple[tuple[str, int | None], ...], arguments: dict[str, Any]) -> None:
        self._lazy = (hosts, arguments, threading.RLock())

    def __getattr__(self, name: str) -> Any:
        """Reached only while an attribute is missing: connect, and look again."""
        if name == "_lazy" or name.startswith("__") or "nodes_manager" in self.__dict__:
            raise AttributeError(name)
        self._connect()
        return getattr(self, name)

    def _connect(self) -> None:
        hosts, arguments, lock = self._lazy
        with lock:
            if "nodes_manager" in self.__dict__:
                return
            kept = dict(self.__dict__)
            try:
                nodes = [ClusterNode(host, port) for host, port in hosts]  # type: ignore[no-untyped-call]  # redis-py's
                super().__init__(startup_nodes=nodes, **arguments)
            except BaseException:
                self.__dict__.clear()  # half a client is none: the next use tries again
                self.__dict__.update(kept)
                raise

    def __del__(self) -> None:
        if "nodes_manager" in self.__dict__:
            super().__del__()  # type: ignore[no-untyped-call]  # redis-py's

    def close(self) -> None:
        """Close every connection; idempotent."""
        if "nodes_manager" in self.__dict__:
            super().close()
