"""What a ConfigError says, and what it never says."""

import json
import pickle
import traceback

import pytest
from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator, model_validator

import twelvefactor as tf
from twelvefactor.exceptions import Problem


def refused(cls, environ, **values):
    with pytest.raises(tf.ConfigError) as error:
        cls.load(environ, **values)
    return error.value


def lines(cls, environ, **values):
    return [line.strip() for line in str(refused(cls, environ, **values)).splitlines()[1:]]


class Shop(tf.Config):
    stripe_secret_key: tf.Secret
    workers: int
    database_url: tf.PostgresURL
    redis_url: tf.RedisURL
    mail_token: tf.Secret


FIVE = {
    "WORKERS": "four-hunter2",
    "DATABASE_URL": "postgresql://app:planted-password@db:99999/orders",
    "REDIS_URI": "redis://:planted-password@cache/0",
    "MAIL_TOKEN": "",
}


def test_five_mistakes_are_five_lines_by_exact_name():
    """
    Missing, bad integer, bad URL, misspelt and empty secret, all at once and in the order of the declaration.
    """
    assert lines(Shop, FIVE) == [
        (
            "STRIPE_SECRET_KEY: is not set; expected a secret, not empty "
            "(looked in environment, STRIPE_SECRET_KEY_FILE, /run/secrets/stripe_secret_key)"
        ),
        "WORKERS: is not an integer",
        "DATABASE_URL: the port is out of range; it is 1 to 65535; expected a URL postgresql://…",
        (
            "REDIS_URL: is not set; expected a URL redis://… (looked in environment, REDIS_URL_FILE, /run/secrets/redis_url). "
            "REDIS_URI is set and nothing reads it: rename it?"
        ),
        "MAIL_TOKEN: is empty; expected a secret, not empty",
    ]


def test_no_value_is_told():
    """
    Neither in the text, the repr, the attributes, the data, nor in a whole traceback.
    """
    error = refused(Shop, FIVE)

    told = (
        "".join(traceback.format_exception(error)) + repr(error) + repr(error.__dict__) + json.dumps(error.as_event())
    )
    assert [value for value in ("hunter2", "planted") if value in told] == []


def test_there_is_no_chain_that_could_hold_one():
    """
    Neither cause nor context.
    """
    error = refused(Shop, FIVE)

    assert (error.__cause__, error.__context__) == (None, None)


def test_no_frame_of_ours_holds_one():
    """
    A traceback with locals, as rich and sentry print, shows nothing of the environment.
    """
    error = refused(Shop, FIVE, workers="planted-argument")

    frames = [
        frame for frame, _ in traceback.walk_tb(error.__traceback__) if "/twelvefactor/" in frame.f_code.co_filename
    ]
    assert len(frames) == 2
    shown = [{name: value for name, value in frame.f_locals.items() if name != "self"} for frame in frames]
    assert "planted" not in repr(shown)


def test_ends_with_the_status_for_config():
    """
    A platform can tell it from a crash.
    """
    assert refused(Shop, {}).exit_code == 78


def test_as_an_event():
    """
    The problems as data, for the event stream.
    """
    event = refused(Shop, FIVE).as_event()

    assert event["event"] == "twelvefactor.config.refused"
    assert event["problems"][1] == {
        "variables": ["WORKERS"],
        "wrong": "is not an integer",
        "expected": "an integer",
        "looked": [],
        "hint": "",
    }


def test_can_be_pickled():
    """
    A worker process hands it to its parent.
    """
    error = refused(Shop, FIVE)

    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_aliases_are_named_as_they_are_set():
    """
    Every accepted name is told, in upper case where case does not count.
    """

    class Config(tf.Config):
        key: str = Field(validation_alias=AliasChoices("stripe_key", "STRIPE_API_KEY"))

    assert lines(Config, {})[0].startswith("STRIPE_KEY or STRIPE_API_KEY: is not set; ")


def test_a_prefix_is_part_of_the_name():
    """
    Operators copy the name from the message.
    """

    class Config(tf.Config, env_prefix="shop_"):
        port: int

    assert lines(Config, {"SHOP_PORT": "x"}) == ["SHOP_PORT: is not an integer"]


def test_names_are_exact_where_case_counts():
    """
    A case-sensitive config reads and names exactly what it declares.
    """

    class Config(tf.Config, case_sensitive=True):
        Port: int

    assert lines(Config, {"PORT": "80"})[0].startswith("Port: is not set; ")
    assert Config.load({"Port": "80"}).Port == 80


class Pool(BaseModel):
    size: int
    password: SecretStr


class Nested(tf.Config):
    pool: Pool
    labels: dict[str, int] = {}
    hosts: list[int] = []


def test_nested_variables_are_named_in_full():
    """
    Missing and wrong parts of a nested model each have their own line.
    """
    assert [line.partition(" ")[0] for line in lines(Nested, {})] == ["POOL__SIZE:", "POOL__PASSWORD:"]
    assert lines(Nested, {"POOL__SIZE": "x", "POOL__PASSWORD": "y"}) == ["POOL__SIZE: is not an integer"]


def test_keys_of_the_data_are_not_told():
    """
    Below what is declared stand keys that may be secrets.
    """
    error = refused(Nested, {"POOL": '{"size": 1, "password": "x"}', "LABELS": '{"planted-key": "planted-value"}'})

    assert "planted" not in str(error)
    assert [problem.names for problem in error.problems] == [("LABELS",)]


def test_a_part_that_is_not_declared_is_not_told():
    """
    A key of the JSON may be anything.
    """

    class Strict(BaseModel, extra="forbid"):
        size: int = 1

    class Config(tf.Config):
        pool: Strict

    assert lines(Config, {"POOL": '{"planted-key": 1}'}) == [
        "POOL: has a part that is not declared; expected a JSON object"
    ]


def test_items_of_a_list_are_counted():
    """
    The place in the list helps, the item is not told.
    """
    assert lines(Nested, {"POOL": '{"size": 1, "password": "x"}', "HOSTS": "1,two,3"}) == [
        "HOSTS: item 2 is not a comma list, each an integer"
    ]


def test_broken_json_hides_no_other_problem():
    """
    Errors inside a source are problems like others.
    """

    class Config(tf.Config):
        labels: dict[str, str]
        workers: int

    assert lines(Config, {"LABELS": '{"planted', "WORKERS": "x"}) == [
        "LABELS: is not JSON (at character 1); expected a JSON object",
        "WORKERS: is not an integer",
    ]


def test_an_unreadable_file_hides_no_other_problem(tmp_path):
    """
    A directory behind NAME_FILE is one line of several.
    """
    assert lines(Shop, {**FIVE, "STRIPE_SECRET_KEY_FILE": str(tmp_path)})[0] == (
        "STRIPE_SECRET_KEY_FILE: the file it points at is a directory"
    )


@pytest.mark.parametrize("kind", [int, str])
def test_a_service_link_is_recognised(kind):
    """
    REDIS_PORT=tcp://… is Kubernetes' doing, whatever type is wanted.
    """
    Config = type("Config", (tf.Config,), {"__annotations__": {"redis_port": kind}, "__module__": __name__})

    (line,) = lines(Config, {"REDIS_PORT": "tcp://10.0.0.7:6379", "REDIS_SERVICE_HOST": "10.0.0.7"})

    assert line.startswith("REDIS_PORT: is the service link that Kubernetes sets for a Service of that name")
    assert line.endswith("Set enableServiceLinks: false in the pod's spec, or rename the Service")


def test_an_address_of_ones_own_is_no_service_link():
    """
    Without the Service's other variables it is a value.
    """

    class Config(tf.Config):
        upstream_port: str

    assert Config.load({"UPSTREAM_PORT": "tcp://10.0.0.7:6379"}).upstream_port == "tcp://10.0.0.7:6379"


def test_limits_are_told():
    """
    What the declaration limits is said with the limit.
    """

    class Config(tf.Config):
        workers: int = Field(ge=1, le=8)
        mode: str = Field(pattern="^[a-z]+$", max_length=4)

    assert lines(Config, {"WORKERS": "99", "MODE": "x"}) == ["WORKERS: is more than 8; expected an integer"]


def test_choices_are_told():
    """
    A Literal says what it takes.
    """
    from typing import Literal

    class Config(tf.Config):
        mode: Literal["card", "invoice"]

    assert lines(Config, {"MODE": "planted"}) == ["MODE: is none of 'card' or 'invoice'; expected card or invoice"]


class Validated(tf.Config):
    key: tf.Secret
    other: str = ""
    note: str = ""

    @field_validator("key")
    @classmethod
    def _key(cls, value):
        if not value.reveal().startswith("sk_"):
            raise ValueError(f"bad key {value.reveal()}")
        return value

    @field_validator("note")
    @classmethod
    def _note(cls, value):
        if value == "planted-note":
            raise ValueError(f"the note {value} is bad")
        if value == "planted-odd":
            raise KeyError(value)
        return value

    @model_validator(mode="after")
    def _both(self):
        if self.other == "planted-other":
            raise ValueError(f"{self.other} does not go with {self.key.reveal()}")
        if self.other == "planted-crash":
            raise RuntimeError(self.key.reveal())
        return self


def test_a_validator_of_a_secret_is_not_quoted():
    """
    It might say a part of the value.
    """
    (line,) = lines(Validated, {"KEY": "planted-key"})

    assert line.startswith("KEY: was refused at test_errors.py:")
    assert "bad key" not in line


def test_a_validator_is_quoted_without_the_value():
    """
    The app's own words help; the value in them is left out.
    """
    (line,) = lines(Validated, {"KEY": "sk_1", "NOTE": "planted-note"})

    assert line.startswith("NOTE: was refused at test_errors.py:")
    assert line.endswith(": the note … is bad; expected text")


def test_a_validator_of_the_whole_is_quoted_without_siblings():
    """
    Neither the secret nor the other field is told.
    """
    (line,) = lines(Validated, {"KEY": "sk_planted", "OTHER": "planted-other"})

    assert line.startswith("Validated: was refused at test_errors.py:")
    assert line.endswith(": … does not go with …")


def test_a_validator_that_crashes_is_a_problem_and_hides_none():
    """
    What it raised is named with its place, not its text, and the other fields are judged as well.
    """
    told = lines(Validated, {"KEY": "bad", "NOTE": "planted-odd"})

    assert [line.partition(" at ")[0] for line in told] == ["KEY: was refused", "NOTE: its validator raised KeyError"]
    (line,) = lines(Validated, {"KEY": "sk_1", "OTHER": "planted-crash"})
    assert line.startswith("Validated: its validator raised RuntimeError at test_errors.py:")


def test_an_unknown_argument_is_named():
    """
    A typing error in a test is found.
    """
    assert lines(Validated, {"KEY": "sk_1"}, nonsense="planted") == ["nonsense: is not declared"]


def test_a_wrong_argument_is_named_as_an_argument():
    """
    It did not come from the environment.
    """
    assert lines(Validated, {}, key="sk_1", note=3) == ["note: is not text (looked in arguments)"]


def test_a_problem_shows_no_more_than_its_line():
    """
    Its repr is its text.
    """
    assert repr(Problem(("A",), "is empty")) == "Problem('A: is empty')"


def test_the_phase_is_checked():
    """
    A misspelt phase is a problem, not a run.
    """
    assert lines(Validated, {"TWELVEFACTOR_PHASE": "planted"}) == [
        "TWELVEFACTOR_PHASE: names no phase; expected run, build or describe"
    ]
