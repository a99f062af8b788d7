"""TF301: the environment does not satisfy the declared config."""

import pytest

import twelvefactor as tf


class Config(tf.Config):
    workers: int


def test_fires_where_the_environment_lacks_a_variable():
    """
    The config refuses to be made, with every problem.
    """
    with pytest.raises(tf.ConfigError) as refused:
        Config.load({})

    assert [problem.names for problem in refused.value.problems] == [("WORKERS",)]
    assert refused.value.exit_code == 78


def test_quiet_where_the_environment_satisfies_it(watching):
    """
    A process that has its config passes.
    """
    process = watching(Config.load({"WORKERS": "1"}))

    assert process.evidence.ruling(tf_rule("TF301")).verdict == tf.Verdict.PASS


def test_unknown_without_a_config(watching):
    """
    A service that declares no config is not said to satisfy it.
    """
    assert watching().evidence.ruling(tf_rule("TF301")).verdict == tf.Verdict.UNKNOWN


def tf_rule(id):
    from twelvefactor.config import RULES

    return next(rule for rule in RULES if rule.id == id)
