"""When a sensor looks whose facts are settled soon after the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.work import nothing

if TYPE_CHECKING:
    from twelvefactor._core.process import Process
    from twelvefactor.work import Work


class EarlyLooks:
    """Looks when it is installed, when the process is ready, and a last time when the first unit of work has ended."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """Look, since an enforced rule must refuse to start."""
        self._process.in_flight.observe(self)
        self.look()

    def remove(self) -> None:
        """Look no more."""
        self._process.in_flight.unobserve(self)

    def ready(self) -> None:
        """Look once more: an adapter has said what it knows, a parent has had time to leave."""
        self.look()

    begin = staticmethod(nothing)

    def end(self, work: Work) -> None:
        """The first unit of work is over."""
        del work
        self._process.in_flight.unobserve(self)
        self.look()

    def look(self) -> None:
        """One look."""
        raise NotImplementedError
