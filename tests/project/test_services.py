"""A missing backing service: a skip that says so, and a failure in CI."""

import pytest

from tests import conftest


@pytest.fixture
def nothing_listens(monkeypatch):
    monkeypatch.setattr(conftest, "listens", lambda port: False)


def test_a_missing_service_is_skipped_by_name(nothing_listens, monkeypatch):
    """
    On a developer's machine the reason names the service and its port.
    """
    monkeypatch.delenv("CI", raising=False)

    with pytest.raises(pytest.skip.Exception, match=r"RabbitMQ is not running on 127.0.0.1:5672"):
        conftest.url_of("rabbitmq")


def test_a_missing_service_fails_in_ci(nothing_listens, monkeypatch):
    """
    In CI nothing is left out in silence.
    """
    monkeypatch.setenv("CI", "true")

    with pytest.raises(pytest.fail.Exception, match="PostgreSQL is not running"):
        conftest.url_of("postgres")
