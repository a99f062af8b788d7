"""Put the process's numbers beside the app's own, in whichever library the app has imported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from twelvefactor._core.lazy import load

if TYPE_CHECKING:
    from twelvefactor.service import Service

_LIBRARIES = {
    "prometheus_client": "twelvefactor.integrations.prometheus:Numbers",
    "opentelemetry.metrics": "twelvefactor.integrations.opentelemetry:Numbers",
}


class Metrics:
    """
    A sensor of nothing: it waits until the app is ready, since only then is known which library it uses.

    One that is installed and that nobody imports has nobody who scrapes it, and would cost the start its import.

    Args:
        service: Whose numbers they are.
    """

    def __init__(self, service: Service[Any]) -> None:
        self._service = service
        self._numbers: list[Any] = []

    def install(self) -> None:
        """Nothing yet."""

    def ready(self) -> None:
        """Attach to what is there. Idempotent."""
        for module, home in _LIBRARIES.items():
            if module in sys.modules and not any(home.startswith(type(each).__module__) for each in self._numbers):
                numbers = load(home)(self._service)
                numbers.install()
                self._numbers.append(numbers)

    def remove(self) -> None:
        """Take the numbers back. Idempotent."""
        while self._numbers:
            self._numbers.pop().remove()
