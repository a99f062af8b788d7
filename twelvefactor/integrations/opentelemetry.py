"""
OpenTelemetry: the process's own numbers as observable instruments.

An instrument cannot be taken back, so there is one set in a process, which observes nothing once the service is closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twelvefactor._core.lazy import load
from twelvefactor.exceptions import MissingExtraError

try:
    from opentelemetry import metrics
    from opentelemetry.metrics import Observation
except ImportError as error:
    raise MissingExtraError("otel") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.metrics import CallbackOptions

    from twelvefactor.service import Service

_watching: list[Service[Any]] = []
_made: list[Any] = []


class Numbers:
    """
    The instruments that observe *service*. Idempotent.

    Args:
        service: Whose numbers they are.
    """

    def __init__(self, service: Service[Any]) -> None:
        self._service = service

    def install(self) -> None:
        """Observe from now on, in whichever provider is set, now or later."""
        if not _watching:
            _watching.append(self._service)
            if not _made:
                _made.extend(_instruments(self._service))

    def remove(self) -> None:
        """Observe nothing."""
        if self._service in _watching:
            _watching.remove(self._service)


def _instruments(service: Service[Any]) -> Iterator[Any]:
    meter = metrics.get_meter("twelvefactor")
    for each in load("twelvefactor.report.running:metrics")(service):
        make = meter.create_observable_counter if each.kind == "counter" else meter.create_observable_gauge
        yield make(_dotted(each.name), callbacks=[_callback(each.name)], description=each.help)


def _dotted(name: str) -> str:
    """The name as OpenTelemetry writes it: the namespace, a dot, the rest."""
    return name.replace("_", ".", 1)


def _callback(name: str) -> Callable[[CallbackOptions], list[Observation]]:
    def observe(_: CallbackOptions) -> list[Observation]:
        return [
            Observation(value, dict(labels))
            for service in _watching
            for each in load("twelvefactor.report.running:metrics")(service)
            if each.name == name
            for labels, value in each.values
        ]

    return observe
