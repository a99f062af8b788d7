"""TF303: a credential or a deploy's address is a constant in app code."""

import pytest

from twelvefactor.config import credentials

FIRES = {
    "a URL with a password": 'DATABASE = "postgresql://orders:Zk3v9QpLmT@db.prod.internal/orders"',
    "an AWS access key": 'def key():\n    return "AKIAQ7T2XJ5KD3MWLB6Y"',
    "a Stripe key": 'def charge(api_key="sk_live_" "4eC39HqLyjWDarjtT1zdp7dc"): ...',
    "a GitHub token": 'TOKENS = ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", 1)',
    "a private key": 'KEY = """-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAx7Vq3b9kQ\n-----END RSA PRIVATE KEY-----"""',
    "the address of a backing service": 'CACHE = "redis://cache-7.prod.internal:6379/0"',
}


@pytest.mark.parametrize("kind", FIRES)
def test_fires_on_a_constant(codebase, watching, kind):
    """
    Each kind of credential is named, with file and line, and is not repeated.
    """
    codebase("shop", "import os\n\n" + FIRES[kind] + "\n")

    (finding,) = watching().found("TF303")

    assert kind in finding.message
    assert finding.where == f"shop.py:{4 if kind == 'an AWS access key' else 3}"
    assert not any(part in str(finding) for part in ("Zk3v9", "AKIAQ", "4eC39", "16C7e", "MIIE", "cache-7"))


QUIET = {
    "a docstring of a module": '"""Use postgresql://orders:Zk3v9QpLmT@db.prod.internal/orders."""',
    "a docstring of a function": 'def f():\n    """Use postgresql://orders:Zk3v9QpLmT@db.prod.internal."""\n    return 1',
    "a docstring of a class": 'class A:\n    """Use postgresql://orders:Zk3v9QpLmT@db.prod.internal."""',
    "a comment": "# postgresql://orders:Zk3v9QpLmT@db.prod.internal/orders",
    "a sample": 'URL = "postgresql://user:pass@localhost/db"',
    "a documented example key": 'KEY = "AKIAIOSFODNN7EXAMPLE"',
    "a test key": 'KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"',
    "a template": 'URL = "postgresql://{user}:{password}@{host}/{name}"',
    "a pattern": 'PATTERN = r"AKIA[0-9A-Z]{16}"',
    "a public address": 'API = "https://api.stripe.com/v1"',
    "a local address": 'CACHE = "redis://localhost:6379/0"',
    "a sentence": 'TEXT = "provided but the URL scheme is redis://. A Redis URL is rediss://"',
    "a run of one letter": 'KEY = "sk_live_xxxxxxxxxxxxxxxxxxxxxxxx"',
}


@pytest.mark.parametrize("kind", QUIET)
def test_quiet_on(codebase, watching, kind):
    """
    What only looks like a credential is left alone.
    """
    codebase("shop", QUIET[kind] + "\n")

    assert watching().found("TF303") == []


def test_quiet_in_tests(codebase, watching):
    """
    Values in the app's tests are test values.
    """
    codebase("tests.test_orders", FIRES["a URL with a password"])

    assert watching().found("TF303") == []


def test_a_module_that_is_imported_later_is_looked_at_when_the_process_stops(codebase, watching):
    """
    A lazy import is not missed.
    """
    process = watching()
    codebase("late", FIRES["a Stripe key"])

    process.stop()

    assert len(process.found("TF303")) == 1


def test_a_url_that_is_no_url_is_none():
    """
    Broken text raises nothing.
    """
    assert credentials.found_in("postgresql://[::1:x@/") == ""
