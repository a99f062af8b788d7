"""The declared config, loaded."""

import pydantic
import pytest

import twelvefactor as tf
from twelvefactor.config import provenance
from twelvefactor.exceptions import FrozenConfigError


class Config(tf.Config):
    token: tf.Secret
    workers: int = 2


def test_values_come_from_the_environment_that_is_given():
    """
    The environment is a parameter.
    """
    config = Config.load({"TOKEN": "sk_live_1234", "WORKERS": "4"})

    assert (config.token.reveal(), config.workers) == ("sk_live_1234", 4)


def test_the_process_environment_is_the_default(monkeypatch):
    """
    Without a mapping, os.environ is read.
    """
    monkeypatch.setenv("TOKEN", "sk_live_5678")

    assert Config().token.reveal() == "sk_live_5678"


def test_explicit_arguments_win():
    """
    An argument beats the environment.
    """
    assert Config.load({"TOKEN": "sk_live_1234", "WORKERS": "4"}, workers=8).workers == 8


def test_where_a_value_came_from_is_kept():
    """
    Provenance names the variable; a default is not named.
    """
    assert {name: str(origin) for name, origin in provenance(Config.load({"TOKEN": "x"})).items()} == {"token": "TOKEN"}


def test_assignment_raises():
    """
    The config is frozen, and the error does not repeat the value.
    """
    config = Config.load({"TOKEN": "sk_live_1234"})

    with pytest.raises(FrozenConfigError, match=r"^Config\.workers: ") as refused:
        config.workers = "sk_live_9999"

    assert "9999" not in str(refused.value)


def test_deletion_raises():
    """
    A field cannot be deleted either.
    """
    with pytest.raises(FrozenConfigError):
        del Config.load({"TOKEN": "sk_live_1234"}).workers


def test_is_a_pydantic_model():
    """
    What takes a pydantic model takes a config.
    """
    assert isinstance(Config.load({"TOKEN": "x"}), pydantic.BaseModel)
