"""Secret, Port, Duration, ByteSize, LogLevel and lists."""

import copy
import json
import logging
import pickle
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError, create_model

import twelvefactor as tf


class Holder(tf.Config):
    secret: tf.Secret = tf.Secret("planted-secret")
    optional: tf.Secret | None = None
    many: list[tf.Secret] = []


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        lambda config: repr(config.secret),
        lambda config: f"{config.secret}",
        lambda config: f"{config.secret:>20}",
        lambda config: "%s %r" % (config.secret, config.secret),
        lambda config: repr(config.model_dump()),
        lambda config: config.model_dump_json(),
        lambda config: json.dumps(config.model_dump(mode="json")),
        lambda config: json.dumps(config.model_dump(), default=str),
        lambda config: repr([config.secret]),
        lambda config: repr(vars(config)),
        lambda config: json.dumps(Holder.model_json_schema()),
        lambda config: logging.makeLogRecord({"msg": "%s", "args": (config.secret,)}).getMessage(),
    ],
)
def test_a_secret_is_stars_wherever_it_is_shown(show):
    """
    Every common way to print one.
    """
    config = Holder.load({"SECRET": "planted-secret", "MANY": '["planted-secret"]'})

    assert "planted" not in show(config)


def test_a_secret_is_revealed_only_by_asking():
    """
    Aloud.
    """
    assert tf.Secret("x").reveal() == "x"


@pytest.mark.parametrize("text", ["", " ", "\t\n"])
def test_a_secret_is_never_empty(text):
    """
    White space is no secret either.
    """
    with pytest.raises(tf.ConfigError):
        Holder.load({"SECRET": text})
    with pytest.raises(ValidationError):
        create_model("Model", secret=(tf.Secret, ...))(secret=text)


def test_an_optional_secret_is_not_empty_either():
    """
    Unset it to have none.
    """
    with pytest.raises(tf.ConfigError, match="OPTIONAL: is empty"):
        Holder.load({"OPTIONAL": ""})


def test_a_secret_is_not_pickled():
    """
    A pickle would hold the clear text.
    """
    with pytest.raises(TypeError, match="is not pickled"):
        pickle.dumps(tf.Secret("planted"))
    with pytest.raises(TypeError, match="is not pickled"):
        pickle.dumps(Holder.load({}))


def test_copies_of_a_secret_are_the_same_object():
    """
    There is one clear text.
    """
    secret = tf.Secret("x")

    assert copy.copy(secret) is copy.deepcopy(secret) is secret
    assert copy.deepcopy(Holder.load({})).secret.reveal() == "planted-secret"


def test_secrets_compare_and_hash_by_value():
    """
    As SecretStr does.
    """
    assert tf.Secret("x") == tf.Secret("x") != tf.Secret("y")
    assert len({tf.Secret("x"), tf.Secret("x")}) == 1


def test_a_list_of_secrets_is_read_and_hidden():
    """
    With commas, too.
    """
    config = Holder.load({"MANY": "planted-1,planted-2"})

    assert [secret.reveal() for secret in config.many] == ["planted-1", "planted-2"]
    assert "planted" not in repr(config)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("2d", 172800), ("10", 10), ("1.5", 1.5), ("0", 0)]
    + [("1m 30s", 90), (timedelta(minutes=1), 60), (5, 5), (2.5, 2.5)],
)
def test_durations(text, seconds):
    """
    Seconds, however they are written.
    """

    class Config(tf.Config):
        wait: tf.Duration

    config = Config.load({"WAIT": text}) if isinstance(text, str) else Config.load({}, wait=text)
    assert config.wait == seconds
    assert isinstance(config.wait, float)


@pytest.mark.parametrize("text", ["-1", "5 minutes", "1e3", "nan", "inf", "s", "1x", "1h-1m", "9" * 400, "١s", "5M"])
def test_what_is_no_duration(text):
    """
    Refused without being repeated.
    """
    with pytest.raises(ValueError, match="^is not a duration$"):
        tf.Duration.parse(text)


@settings(deadline=None)
@given(st.floats(0, 1e9))
def test_a_duration_is_written_as_it_is_read(seconds):
    """
    What str says, parse takes, to the millisecond's twelve digits.
    """
    assert tf.Duration.parse(str(tf.Duration(round(seconds, 3)))) == pytest.approx(round(seconds, 3))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512Mi", 512 * 2**20),
        ("1.5GB", 1_500_000_000),
        ("1024", 1024),
        ("1 KiB", 1024),
        ("5k", 5000),
        ("0", 0),
        ("7b", 7),
    ],
)
def test_sizes(text, size):
    """
    Bytes, however they are written.
    """
    assert tf.ByteSize.parse(text) == size


@pytest.mark.parametrize("text", ["-1", "5 MB rubbish", "MB", "1e3", "", "5 apples", "9" * 100])
def test_what_is_no_size(text):
    """
    Refused without being repeated.
    """
    with pytest.raises(ValueError, match="^is not a size$"):
        tf.ByteSize.parse(text)


@pytest.mark.parametrize(("text", "level"), [("info", 20), ("WARN", 30), ("Warning", 30), ("10", 10), ("fatal", 50)])
def test_levels(text, level):
    """
    By name in any case, or by number.
    """

    class Config(tf.Config):
        level: tf.LogLevel

    assert Config.load({"LEVEL": text}).level == level


def test_a_level_is_what_logging_takes():
    """
    It is a number of the standard library.
    """
    logger = logging.getLogger("twelvefactor.tests.level")
    logger.setLevel(tf.LogLevel.ERROR)

    assert logger.level == logging.ERROR


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (list[str], "a, b,,c,", ["a", "b", "c"]),
        (list[int], "1,2", [1, 2]),
        (list[str], '["a,b", "c"]', ["a,b", "c"]),
        (tuple[str, ...], "a", ("a",)),
        (set[int], "1,1", {1}),
        (frozenset[str], "a,b", frozenset({"a", "b"})),
        (list[str] | None, "a,b", ["a", "b"]),
        (list, "a,b", ["a", "b"]),
    ],
)
def test_lists_are_written_with_commas_or_as_json(kind, text, value):
    """
    As everybody writes them.
    """

    class Config(tf.Config):
        it: kind

    assert Config.load({"IT": text}).it == value


@pytest.mark.parametrize("text", ["0", "65536", "-1", "x", "80.5"])
def test_what_is_no_port(text):
    """
    1 to 65535.
    """

    class Config(tf.Config):
        it: tf.Port

    with pytest.raises(tf.ConfigError, match=r"IT: is .*a port, 1 to 65535$"):
        Config.load({"IT": text})
