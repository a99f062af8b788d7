"""TF305: app code changes the environment or the config after start."""

import os
import subprocess

import pytest

import twelvefactor as tf
from twelvefactor.exceptions import FrozenConfigError

WRITERS = """
import os

def assign():
    os.environ["CONFIG_TEST"] = "x"

def delete():
    os.environ["CONFIG_TEST"] = "x"
    del os.environ["CONFIG_TEST"]

def update():
    os.environ.update(CONFIG_TEST="x")

def putenv():
    os.putenv("CONFIG_TEST", "x")

def config(config):
    config.workers = 5
"""


class Config(tf.Config):
    workers: int = 1
    hosts: list[str] = ["a"]


@pytest.fixture(autouse=True)
def _restored():
    yield
    os.environ.pop("CONFIG_TEST", None)
    os.unsetenv("CONFIG_TEST")


@pytest.mark.parametrize("writer", ["assign", "delete", "update", "putenv"])
def test_fires_on_a_change_of_the_environment(codebase, watching, writer):
    """
    Every way to change it is found, with file and line.
    """
    shop = codebase("shop", WRITERS)
    process = watching(Config.load({}))

    getattr(shop, writer)()

    finding = process.found("TF305")[0]
    assert finding.message == f"shop.{writer} sets CONFIG_TEST in the environment after start"
    assert finding.where.startswith("shop.py:")


def test_fires_on_an_assignment_to_the_config(codebase, watching):
    """
    The attempt is found, and refused.
    """
    shop = codebase("shop", WRITERS)
    process = watching(Config.load({}))

    with pytest.raises(FrozenConfigError):
        shop.config(process.config)

    (finding,) = process.found("TF305")
    assert (finding.culprit, finding.where) == ("config.workers", "shop.py:18")


def test_fires_on_a_value_that_is_changed_in_place(watching):
    """
    A list that grew is found when the process stops.
    """
    process = watching(Config.load({}))
    process.config.hosts.append("b")

    process.stop()

    assert [finding.culprit for finding in process.found("TF305")] == ["config.hosts"]


def test_quiet_before_start_and_in_children(codebase, watching):
    """
    What is set before the start, or for a child alone, is no change after start.
    """
    shop = codebase("shop", WRITERS)
    shop.assign()
    process = watching(Config.load({}))

    subprocess.run(["true"], env={**os.environ, "CONFIG_TEST": "y"}, check=True)
    process.stop()

    assert process.found("TF305") == []


def test_quiet_on_a_test_that_patches(codebase, watching, monkeypatch):
    """
    pytest's monkeypatch is not the app.
    """
    process = watching(Config.load({}))

    monkeypatch.setenv("CONFIG_TEST", "x")

    assert process.found("TF305") == []
