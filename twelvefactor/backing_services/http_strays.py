"""TF403 for HTTP clients: one that is made for a call and closed is normal, one that stays is beside attach."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from twelvefactor.work import current_work

if TYPE_CHECKING:
    from collections.abc import Callable

    from twelvefactor._core.process import Process
    from twelvefactor.work import Work

HTTP_CLIENTS = {
    "httpx._client": ("Client", "AsyncClient"),
    "requests.sessions": ("Session",),
    "aiohttp.client": ("ClientSession",),
}
"""The constructors that are watched, by module."""

_IN_PROCESS = ("ASGITransport", "WSGITransport", "MockTransport")


class HTTPStrays:
    """
    Judges the HTTP clients of app code: those open at the end of the work that made them, and those of no work.

    A client of no work is judged when the next unit begins; work is observed only while there is one to judge.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._made: dict[int, tuple[weakref.ref[Any], Work | None, Callable[[], object]]] = {}

    def note(self, client: Any, report: Callable[[], object]) -> None:
        """Remember *client*, just made by app code; *report* says so where it stays."""
        if is_in_process(client):
            return
        key, work = id(client), current_work()

        def forget(_: Any) -> None:
            self._made.pop(key, None)

        self._made[key] = (weakref.ref(client, forget), None if work is None or work.closed else work, report)
        self._process.in_flight.observe(self)

    def remove(self) -> None:
        """Judge no more."""
        self._process.in_flight.unobserve(self)
        self._made.clear()

    def begin(self, work: Work) -> None:
        """What was made outside of any work, and is open, serves more than one unit."""
        self._judge(None)

    def end(self, work: Work) -> None:
        """What this work made, and did not close, outlives it."""
        self._judge(work)

    def _judge(self, work: Work | None) -> None:
        for key, (made, maker, report) in list(self._made.items()):
            if maker is work:
                self._made.pop(key, None)
                client = made()
                if client is not None and not is_closed(client, used=maker is not None):
                    report()
        if not self._made:
            self._process.in_flight.unobserve(self)


def is_closed(client: Any, *, used: bool) -> bool:
    """Whether *client* says that it is closed; requests does not, so its pools tell, once it was *used*: empty is."""
    for word in ("is_closed", "closed"):
        if isinstance(getattr(client, word, None), bool):
            return bool(getattr(client, word))
    if not used:
        return False
    managers = [getattr(each, "poolmanager", None) for each in getattr(client, "adapters", {}).values()]
    return not any(len(manager.pools) for manager in managers if manager is not None)


def is_in_process(client: Any) -> bool:
    """Whether *client* calls an app in this process, as tests do, or answers by itself."""
    return type(getattr(client, "_transport", None)).__name__ in _IN_PROCESS
