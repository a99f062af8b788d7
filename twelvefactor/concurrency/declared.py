"""TF801: is the type of this process one that the app declares?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twelvefactor.concurrency.early import EarlyLooks
from twelvefactor.concurrency.procfile import types_of
from twelvefactor.concurrency.rules import TF801
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable


ONE_OFF = frozenset({"admin", "shell", "release"})
"""Not of the formation: somebody starts them by hand, or the release phase does."""


class Declared(EarlyLooks):
    """
    Looks when the process is ready, and once more after its first unit of work where nobody knew its type before.

    The type is told by `TWELVEFACTOR_PROCESS_TYPE`, by ``twelvefactor run TYPE``, or by the adapter that serves: who
    speaks ASGI or WSGI to a server is web. The types are those of `service.process` and of a Procfile.
    """

    def look(self) -> None:
        """One look at the type, where it is known."""
        process_type, evidence = self._process.process_type, self._process.evidence
        if process_type is None:
            evidence.could_not_look(
                TF801, "nobody told the type of this process: start it with `twelvefactor run TYPE`, or set "
                "TWELVEFACTOR_PROCESS_TYPE"
            )  # fmt: skip
            return
        evidence.could_look(TF801)
        if process_type in ONE_OFF:
            evidence.does_not_apply(TF801, f"{process_type} is a one-off process, which no formation has")
            return
        declared = declared_types(self._process)
        evidence.looked(TF801, f"this is {process_type}, of {', '.join(declared) or 'no declared type'}")
        if process_type not in declared:
            among = f"only {', '.join(declared)}" if declared else "no process types"
            message = f"this process is of the type {process_type}, and the app declares {among}"
            hint = f"declare it: service.process({process_type!r}, …), or a line `{process_type}: …` in the Procfile"
            evidence.report(Finding(TF801, message, process_type, hint=hint))
        self.remove()


def declared_types(process: Any) -> tuple[str, ...]:
    """The names of the process types that the app declares, in its code or in its Procfile."""
    named: Iterable[str] = getattr(process, "processes", ())
    return tuple(dict.fromkeys((*named, *types_of(process.app_code.root))))
