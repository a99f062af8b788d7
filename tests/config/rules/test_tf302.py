"""TF302: app code reads the environment around the declared config."""

import os
import subprocess
import sys
from unittest import mock

import pytest

import twelvefactor as tf
from twelvefactor.config import guard

READERS = """
import os
from os import environ, getenv

def subscript():
    return os.environ["PAYMENT_MODE"]

def get():
    return os.environ.get("PAYMENT_MODE")

def getenv_():
    return getenv("PAYMENT_MODE")

def contains():
    return "PAYMENT_MODE" in environ

def bytes_():
    return os.environb.get(b"PAYMENT_MODE")
"""


class Config(tf.Config):
    payment_mode: str = "card"


@pytest.mark.parametrize("reader", ["subscript", "get", "getenv_", "contains", "bytes_"])
def test_fires_on_a_read_by_app_code(codebase, watching, monkeypatch, reader):
    """
    Every way to read a single variable is found, with file and line.
    """
    monkeypatch.setenv("PAYMENT_MODE", "card")
    shop = codebase("shop", READERS)
    process = watching(Config.load({}))

    getattr(shop, reader)()

    (finding,) = process.found("TF302")
    assert finding.message == f"shop.{reader} reads PAYMENT_MODE from the environment itself"
    line = READERS[: READERS.index(f"def {reader}(")].count("\n") + 2
    assert finding.where == f"shop.py:{line}"
    assert finding.hint == "read service.config.payment_mode instead"


def test_fires_on_a_read_while_the_module_is_imported(codebase, watching):
    """
    What was read before anybody watched is found in the compiled code.
    """
    codebase("shop", 'import os\nMODE = os.environ.get("PAYMENT_MODE")\nKEY = os.environ["HOME"]\n')

    (finding,) = watching().found("TF302")

    assert (finding.where, "while it is imported" in finding.message) == ("shop.py:2", True)


QUIET = """
import os, subprocess

def everything():
    return dict(os.environ), os.environ.copy(), {**os.environ}, list(os.environ.items())

def setdefault():
    os.environ.setdefault("HOME", "/")

def known():
    return os.environ.get("PORT"), os.environ["PATH"], os.getenv("OTEL_SERVICE_NAME")

def expanded():
    return os.path.expandvars("$PAYMENT_MODE")
"""


@pytest.mark.parametrize("reader", ["everything", "setdefault", "known", "expanded"])
def test_quiet_on_what_is_no_read_of_config(codebase, watching, reader):
    """
    Whole copies, setdefault and the platform's names are not config around the config.
    """
    shop = codebase("shop", QUIET)
    process = watching(Config.load({}))

    getattr(shop, reader)()

    assert process.found("TF302") == []


def test_quiet_on_a_library_that_the_app_calls(codebase, watching):
    """
    A library's own reads are its own business.
    """
    shop = codebase("shop", "import tempfile, webbrowser\ndef call():\n    return tempfile._candidate_tempdir_list()\n")
    process = watching(Config.load({}))

    shop.call()

    assert process.found("TF302") == []


def test_a_line_is_reported_once(codebase, watching):
    """
    The same read again is no news.
    """
    shop = codebase("shop", READERS)
    process = watching(Config.load({}))

    for _ in range(3):
        shop.get()

    assert len(process.found("TF302")) == 1


def test_can_be_undone(watching):
    """
    After the watch os.environ is what it was.
    """
    process = watching()
    assert type(os.environ) is guard.Observed

    process.stop()

    assert type(os.environ) is type(os.environb) is guard._Plain


def test_two_watchers_are_undone_in_any_order(codebase, watching):
    """
    The first to leave does not blind the second.
    """
    process, other = watching(), guard.Reads(mock.Mock(app_code=mock.Mock(owns=lambda *_: False)))
    other.install()
    shop = codebase("shop", READERS)

    other.remove()
    shop.get()

    assert len(process.found("TF302")) == 1


def test_what_others_do_with_the_environment_still_works(watching, monkeypatch):
    """
    Children inherit it, patches work, missing names raise as ever.
    """
    watching()
    monkeypatch.setenv("CONFIG_TEST_CHILD", "inherited")

    said = subprocess.run(
        [sys.executable, "-c", "import os; print(os.environ['CONFIG_TEST_CHILD'])"], capture_output=True, text=True
    )
    assert said.stdout == "inherited\n"
    with mock.patch.dict(os.environ, {"CONFIG_TEST_CHILD": "patched"}):
        assert os.environ["CONFIG_TEST_CHILD"] == "patched"
    with pytest.raises(KeyError, match="CONFIG_TEST_NOWHERE"):
        os.environ["CONFIG_TEST_NOWHERE"]
    assert os.environ.get("CONFIG_TEST_NOWHERE", "default") == "default"
    with pytest.raises(TypeError):
        os.environ[1]


def test_a_replaced_environment_is_said_not_to_be_seen(watching, monkeypatch):
    """
    Blind is unknown, not pass.
    """
    monkeypatch.setattr(os, "environ", dict(os.environ))

    assert watching().evidence.ruling(guard.TF302).verdict == tf.Verdict.UNKNOWN


def test_code_that_is_made_anew_for_ever_does_not_fill_the_memory(codebase, watching, monkeypatch):
    """
    What is remembered is bounded, and a finding is still one.
    """
    monkeypatch.setattr(guard, "_MOST", 5)
    shop = codebase("shop", "import os\ndef fresh():\n    exec(CODE, globals())\n    return read()\n")
    shop.CODE = "def read():\n    return os.environ.get('PAYMENT_MODE')"
    process = watching(Config.load({}))

    for _ in range(20):
        shop.fresh()
        shop.os.environ.get(f"NAME_{_}")

    assert len(guard._innocent) <= 5
    assert all(len(known) <= 5 for known in guard._judged.values())
    assert len(process.found("TF302")) <= 1
