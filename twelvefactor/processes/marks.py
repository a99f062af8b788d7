"""State that is per process on purpose: marked where it is made, or waived in pyproject, always with a reason."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from twelvefactor.exceptions import UsageError
from twelvefactor.processes.looking import length, namespace

if TYPE_CHECKING:
    from twelvefactor.processes.sightings import Sighting

T = TypeVar("T")


@dataclass(slots=True)
class Mark:
    """
    One declaration that losing this state costs nothing.

    Attributes:
        reason: Why it may be per process.
        bound: The most entries it may have, or None.
        ttl: After how many seconds an entry is worthless, or None; for the reader.
        path: The dotted path it was declared by, or an empty string.
        used: Whether it ever held back a finding.
    """

    reason: str
    bound: int | None
    ttl: float | None
    path: str = ""
    used: bool = False


class Marks:
    """The marks of this process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_path: dict[str, Mark] = {}
        self._by_id: dict[int, tuple[Any, Mark]] = {}

    def add(self, target: Any, mark: Mark) -> None:
        """Mark an object, or what a dotted path names."""
        with self._lock:
            if type(target) is str:
                mark.path = target
                self._by_path[target] = mark
            else:
                self._keep(target, mark)

    def _keep(self, target: Any, mark: Mark) -> None:
        identity = id(target)
        try:
            held: Any = weakref.ref(target, lambda _: self._by_id.pop(identity, None))
        except TypeError:
            held = target  # a dict or a list: it lives as long as the process, that is what the mark says
        self._by_id[identity] = (held, mark)

    def of(self, seen: Sighting) -> Mark | None:
        """The mark that covers what was seen, or one of the objects that it hangs at."""
        if not self._by_id and not self._by_path:
            return None
        for path, mark in list(self._by_path.items()):
            if seen.path == path or seen.path.startswith((f"{path}.", f"{path}[")):
                return mark
        return self._of_objects(seen)

    def _of_objects(self, seen: Sighting) -> Mark | None:
        if seen.old and (found := self._marked(seen.old[0][2])) is not None:
            return found
        node: Any = seen.node
        while node is not None:
            found = self._marked(node.holder) or self._marked_owner(node)
            if found is not None:
                return found
            node = node.parent
        return None

    def _marked(self, value: Any) -> Mark | None:
        found = self._by_id.get(id(value))
        if found is None:
            return None
        held, mark = found
        alive = held() if type(held) is weakref.ref else held
        return mark if alive is value else None

    def _marked_owner(self, node: Any) -> Mark | None:
        """A marked instance, known by its namespace; a cache, known by what it refers to."""
        holder = node.holder
        for held, mark in list(self._by_id.values()):
            alive = held() if type(held) is weakref.ref else held
            if alive is None or holder is None:
                continue
            if namespace(alive) is holder or _leads_to(alive, holder):
                return mark
        return None

    def stale(self) -> list[Mark]:
        """The marks that held nothing back."""
        marks = [*self._by_path.values(), *(mark for _, mark in self._by_id.values())]
        return [mark for mark in marks if not mark.used]

    def clear(self) -> None:
        """Forget everything; for tests."""
        with self._lock:
            self._by_path.clear()
            self._by_id.clear()


def _leads_to(value: Any, holder: Any) -> bool:
    import functools
    import gc

    if type(value) is functools._lru_cache_wrapper:  # noqa: SLF001 - the type has no public name
        return any(each is holder for each in gc.get_referents(value))
    return type(holder) is functools.partial and bool(holder.args) and holder.args[0] is value


MARKS = Marks()
"""What this process declared to be its own."""


def process_local(target: T, *, reason: str, bound: int | None = None, ttl: float | None = None) -> T:
    """
    Declare that *target* is per process on purpose and that losing it costs nothing; gives it back.

    >>> cache: dict[str, bytes] = process_local({}, reason="thumbnails, rebuilt on demand", bound=500)

    Args:
        target: The object, or the dotted path of a name that is bound anew, such as ``"shop.views.rates"``.
        reason: Why each process may have its own; required.
        bound: The most entries that it may have; beyond that it is reported all the same.
        ttl: After how many seconds an entry is worthless; for whoever reads it.

    Raises:
        UsageError: Without a reason.
    """
    if not reason.strip():
        raise UsageError("process_local needs a reason: why may each process have its own?")
    MARKS.add(target, Mark(reason, bound, ttl))
    return target


def covers(seen: Sighting) -> bool:
    """Whether a mark holds back what was seen; one that outgrew its bound does not."""
    mark = MARKS.of(seen)
    if mark is None:
        return False
    if mark.bound is not None and _size(seen) > mark.bound:
        return False
    mark.used = True
    return True


def _size(seen: Sighting) -> int:
    holder = seen.node.holder
    if seen.name is not None:
        return length(seen.old[0][2]) or 0 if seen.old else 0
    if seen.node.kind.name == "number" and seen.old and type(seen.old[0][2]) is int:
        return seen.old[0][2]
    return length(holder) or 0
