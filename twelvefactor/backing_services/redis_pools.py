"""Watch redis-py's pool of an attached client: who takes a connection, and that it comes back."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_WATCHED = ("get_connection", "release")


def pool_of(client: Any) -> Any:
    """The pool of redis-py behind *client*, or None."""
    pool = getattr(client, "connection_pool", None)
    return pool if all(hasattr(pool, name) for name in _WATCHED) else None


def watch(pool: Any, taken: Callable[[Any], None], given_back: Callable[[Any], None]) -> Callable[[], None]:
    """
    Tell *taken* and *given_back* of each connection of *pool*, sync or async; gives what ends it, idempotent.

    redis-py has no events for it, so the two methods of this one pool are replaced.
    """
    get, release = pool.get_connection, pool.release
    if inspect.iscoroutinefunction(get):

        async def get_connection(*args: Any, **kwargs: Any) -> Any:
            connection = await get(*args, **kwargs)
            taken(connection)
            return connection

        async def release_connection(connection: Any) -> Any:
            given_back(connection)
            return await release(connection)

        pool.get_connection, pool.release = get_connection, release_connection
    else:

        def get_connection_now(*args: Any, **kwargs: Any) -> Any:
            connection = get(*args, **kwargs)
            taken(connection)
            return connection

        def release_now(connection: Any) -> Any:
            given_back(connection)
            return release(connection)

        pool.get_connection, pool.release = get_connection_now, release_now

    def undo() -> None:
        for name in _WATCHED:
            pool.__dict__.pop(name, None)

    return undo
