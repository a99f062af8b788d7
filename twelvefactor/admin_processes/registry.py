"""The admin processes that a service declares."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class AdminProcess:
    """
    One declared admin process.

    Attributes:
        name: What it is called on the command line.
        function: What it runs, sync or async.
        exclusive: Whether only one of it runs at a time, across all machines.
    """

    name: str
    function: Callable[..., Any]
    exclusive: bool = False

    @property
    def summary(self) -> str:
        """What it does: the function's docstring up to its list of arguments."""
        text = inspect.getdoc(self.function) or ""
        return text.partition("\nArgs:")[0].strip()


class AdminProcesses:
    """
    The admin processes of a service, by name.

    >>> admins = AdminProcesses()
    >>> def send_reminders(days: int = 3) -> None: ...
    >>> admins.add(send_reminders)
    >>> [each.name for each in admins]
    ['send-reminders']
    """

    def __init__(self) -> None:
        self._known: dict[str, AdminProcess] = {}

    def add(self, function: Callable[..., Any], *, name: str | None = None, exclusive: bool = False) -> None:
        """
        Declare *function*; the same one again, as a module that is imported twice does, replaces it.

        Raises:
            UsageError: Another function has that name.
        """
        called = name or getattr(function, "__name__", type(function).__name__).replace("_", "-")
        known = self._known.get(called)
        if known is not None and _place(known.function) != _place(function):
            raise UsageError(
                f"two admin processes are called {called!r}: {_place(known.function)} and {_place(function)}"
            )
        self._known[called] = AdminProcess(called, function, exclusive)

    def get(self, name: str) -> AdminProcess | None:
        """The one called *name*, dashes or underscores, or None."""
        return self._known.get(name) or self._known.get(name.replace("_", "-"))

    def __iter__(self) -> Iterator[AdminProcess]:
        return iter(tuple(self._known.values()))

    def __len__(self) -> int:
        return len(self._known)


def _place(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', repr(function))}"
