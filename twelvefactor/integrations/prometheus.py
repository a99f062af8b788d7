"""prometheus_client: the process's own numbers beside the app's, and all of them as text."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from twelvefactor._core.lazy import load
from twelvefactor.exceptions import MissingExtraError

try:
    import prometheus_client
    from prometheus_client import core
except ImportError as error:
    raise MissingExtraError("prometheus") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector

    from twelvefactor.service import Service

_watching: list[Numbers] = []


class Numbers:
    """
    A collector that reads the numbers of *service* when somebody scrapes. Idempotent.

    Args:
        service: Whose numbers they are.
    """

    def __init__(self, service: Service[Any]) -> None:
        self._service = service

    def install(self) -> None:
        """Be scraped with the default registry; the second service of a process is not, since names would clash."""
        if not _watching:
            _watching.append(self)
            prometheus_client.REGISTRY.register(self)

    def remove(self) -> None:
        """Be scraped no more."""
        if self in _watching:
            _watching.remove(self)
            prometheus_client.REGISTRY.unregister(self)

    def describe(self) -> list[Metric]:
        """Nothing, so that registering reads nothing."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What the service is, now."""
        for each in load("twelvefactor.report.running:metrics")(self._service):
            labels = tuple(each.values[0][0]) if each.values else ()
            family = core.CounterMetricFamily if each.kind == "counter" else core.GaugeMetricFamily
            metric = family(each.name, each.help, labels=labels)
            for of, value in each.values:
                metric.add_metric(tuple(of.values()), value)
            yield metric


def exposition(service: Service[Any]) -> tuple[str, bytes]:
    """The content type and the text of all numbers: those of the default registry and those of *service*."""
    registry = _registry(Numbers(service))
    return prometheus_client.CONTENT_TYPE_LATEST, prometheus_client.generate_latest(registry)


def _registry(numbers: Numbers) -> Any:
    """The app's own, with *numbers* in it; where many processes share a folder, what is in that."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client import multiprocess

        registry = prometheus_client.CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call,unused-ignore]  # it has no types
        registry.register(numbers)
        return registry
    return prometheus_client.REGISTRY if _watching else _Both(numbers)


class _Both:
    """The default registry and *numbers*, for one scrape."""

    def __init__(self, numbers: Collector) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        yield from prometheus_client.REGISTRY.collect()
        yield from self._numbers.collect()
