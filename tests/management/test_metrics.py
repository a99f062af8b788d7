"""The process in numbers, by the real libraries."""

import subprocess
import sys

import prometheus_client
import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.parser import text_string_to_metric_families

from twelvefactor.factor import Finding
from twelvefactor.integrations import opentelemetry as otel
from twelvefactor.processes.rules import TF601


def scraped(text=None):
    text = prometheus_client.generate_latest().decode() if text is None else text
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ours(samples):
    return {key for key in samples if key[0].startswith("twelvefactor_")}


@pytest.fixture
def busy(shop):
    """One with two sights of a finding, and a unit of work in hand."""
    for _ in range(2):
        shop.service.evidence.report(Finding(TF601, "it kept a basket", "shop.basket"))
    with shop.service.work("job", "pack"):
        yield shop


@pytest.fixture(scope="module")
def reader():
    """The provider of this process: it can be set once."""
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    return reader


class TestPrometheus:
    """prometheus_client."""

    def test_the_default_registry_has_them(self, busy):
        """
        Findings by rule, score, work in flight, state, release.
        """
        samples = scraped()
        release = [key for key in samples if key[0] == "twelvefactor_release_info"]

        assert samples["twelvefactor_findings_total", ("rule", "TF601")] == 2
        assert samples["twelvefactor_score",] == busy.service.report().points
        assert samples["twelvefactor_in_flight",] == 1
        assert samples["twelvefactor_state", ("state", "ready")] == 1
        assert samples["twelvefactor_state", ("state", "draining")] == 0
        assert samples["twelvefactor_factor_score", ("factor", "VI")] == 0
        assert ("release", "v7") in release[0]
        assert ("service", "shop") in release[0]

    def test_they_are_read_when_somebody_scrapes(self, busy):
        """
        The state of the process as it is then.
        """
        busy.service.drain()
        wait = busy.service.lifecycle
        assert wait.leaving
        samples = scraped()

        assert samples["twelvefactor_state", ("state", "ready")] == 0
        assert samples["twelvefactor_ready",] == 0

    def test_a_closed_service_takes_them_back(self, shop):
        """
        Closed, they are gone from the registry; started again, they are back.
        """
        assert ours(scraped())
        shop.service.close()
        gone = ours(scraped())
        shop.service.start()
        shop.service.ready()

        assert gone == set()
        assert ours(scraped())

    def test_the_management_port_shows_all(self, busy):
        """
        The app's own numbers and ours, once each.
        """
        counter = prometheus_client.Counter("shop_baskets_total", "Baskets")
        counter.inc(3)
        try:
            _, headers, text = busy.ask("/metrics")
            samples = scraped(text)
        finally:
            prometheus_client.REGISTRY.unregister(counter)

        assert headers["content-type"].startswith("text/plain")
        assert samples["shop_baskets_total",] == 3
        assert samples["twelvefactor_in_flight",] == 1
        assert text.count("# TYPE twelvefactor_score gauge") == 1

    def test_of_many_processes_the_shared_folder_is_shown(self, busy, monkeypatch, tmp_path):
        """
        With PROMETHEUS_MULTIPROC_DIR: what all workers wrote, and what this process is.
        """
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
        code = "import prometheus_client as p; p.Counter('shop_sold_total', 'Sold').inc(5)"
        subprocess.run([sys.executable, "-c", code], check=True)
        samples = scraped(busy.ask("/metrics")[2])

        assert samples["shop_sold_total",] == 5
        assert samples["twelvefactor_in_flight",] == 1


class TestOpenTelemetry:
    """The SDK, with a reader in memory."""

    def observed(self, reader):
        data = reader.get_metrics_data()
        return {
            (metric.name, *sorted(point.attributes.items())): point.value
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }

    def test_they_are_observed(self, reader, busy):
        """
        The same numbers under dotted names.
        """
        observed = self.observed(reader)

        assert observed["twelvefactor.findings", ("rule", "TF601")] == 2
        assert observed["twelvefactor.in_flight",] == 1
        assert observed["twelvefactor.state", ("state", "ready")] == 1

    def test_a_closed_service_is_observed_no_more(self, reader, shop):
        """
        No instrument of ours has a value; another life uses the same instruments.
        """
        made = len(otel._made)
        shop.service.close()
        gone = self.observed(reader)
        shop.service.start()
        shop.service.ready()

        assert gone == {}
        assert self.observed(reader)["twelvefactor.ready",] == 1
        assert len(otel._made) == made


def test_what_the_app_does_not_import_is_not_imported_for_it():
    """
    Neither library is loaded by a service whose app uses none.
    """
    code = (
        "import sys, twelvefactor as tf; s = tf.Service('shop', stream=sys.stderr); s.start(); s.ready(); s.close();"
        "print([each for each in ('prometheus_client', 'opentelemetry.metrics', 'http.server') if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
