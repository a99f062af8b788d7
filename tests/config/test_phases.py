"""Building and describing without an environment."""

import asyncio
import contextlib
import subprocess
import sys

import pytest
from pydantic import BaseModel, Field, PrivateAttr, field_validator, model_validator

import twelvefactor as tf
from twelvefactor._core.secrets import SECRETS
from twelvefactor.config import phase
from twelvefactor.exceptions import PhaseError

BUILD = {"TWELVEFACTOR_PHASE": "build"}
DESCRIBE = {"TWELVEFACTOR_PHASE": "describe"}


class Pool(BaseModel):
    size: int = 3
    password: tf.Secret


class Config(tf.Config):
    sender: str = Field(min_length=3)
    api_key: tf.Secret
    database_url: tf.PostgresURL
    shards: int = tf.at_build(1, ge=1)
    pool: Pool
    debug: bool = False


@pytest.fixture(params=[BUILD, DESCRIBE], ids=["build", "describe"])
def config(request):
    return Config.load(request.param)


USES = {
    "SENDER": [
        lambda config: config.sender.upper(),
        lambda config: f"{config.sender}",
        lambda config: config.sender + "x",
        lambda config: "x" + config.sender,
        lambda config: "%s" % config.sender,
        lambda config: len(config.sender),
        lambda config: config.sender == "x",
        lambda config: str(config.sender),
        lambda config: config.sender[0],
        lambda config: list(config.sender),
        lambda config: config.sender.encode(),
    ],
    "API_KEY": [lambda config: config.api_key.reveal(), lambda config: config.api_key.get_secret_value()],
    "DATABASE_URL": [lambda config: config.database_url.host, lambda config: config.database_url.reveal()],
    "POOL__PASSWORD": [lambda config: config.pool.password.reveal()],
}


@pytest.mark.parametrize(("name", "use"), [(name, use) for name, uses in USES.items() for use in uses])
def test_what_is_absent_raises_when_it_is_used(config, name, use):
    """
    The variable is named.
    """
    with pytest.raises(PhaseError, match=f"^{name} is not "):
        use(config)


def test_what_is_absent_can_be_held_and_shown(config):
    """
    Passing it around is no use.
    """
    assert "SENDER" in repr(config)
    assert {config.sender: 1}[config.sender] == 1


def test_the_rest_has_its_values(config):
    """
    Defaults, and what was given for the build.
    """
    assert (config.shards, config.debug, config.pool.size) == (1, False, 3)


def test_placeholders_are_not_registered_as_secrets(config):
    """
    There is nothing to mask.
    """
    assert len(SECRETS) == 0


def test_what_cannot_be_stood_in_for_is_a_problem_in_a_build():
    """
    A number without a default needs a value for the build, and the message says how.
    """

    class Numbers(tf.Config):
        shards: int

    with pytest.raises(
        tf.ConfigError, match=r"SHARDS: has nothing to stand in .* Give the field a default or tf\.at_build"
    ):
        Numbers.load(BUILD)


def test_a_description_needs_no_environment_at_all():
    """
    Any value can be absent there, and what is set wrongly does not matter.
    """

    class Numbers(tf.Config):
        shards: int
        ratio: float

    config = Numbers.load({**DESCRIBE, "RATIO": "x"})

    with pytest.raises(PhaseError, match="^SHARDS is not "):
        int(config.shards)


def test_at_build_counts_in_a_build_only():
    """
    In a run the variable is required.
    """
    with pytest.raises(tf.ConfigError, match="SHARDS: is not set"):
        Config.load({})


def test_what_is_set_in_a_build_is_used_and_checked():
    """
    A build may set some of it; wrong is wrong.
    """
    assert Config.load({**BUILD, "SHARDS": "4", "DEBUG": "1"}).shards == 4
    with pytest.raises(tf.ConfigError, match="SHARDS: is less than 1"):
        Config.load({**BUILD, "SHARDS": "0"})


def test_validators_that_want_what_is_absent_wait_for_the_run():
    """
    A build does not fail for a check that it cannot do.
    """

    class Checked(tf.Config):
        sender: str
        workers: int = 1

        @field_validator("sender")
        @classmethod
        def _lower(cls, value):
            return value.lower()

        @model_validator(mode="after")
        def _whole(self):
            assert self.sender.startswith("a")
            return self

    config = Checked.load({**BUILD, "WORKERS": "3"})

    assert config.workers == 3
    with pytest.raises(tf.ConfigError):
        Checked.load({"SENDER": "b"})


def test_what_is_done_once_a_config_is_made_waits_too():
    """
    model_post_init may want what is absent.
    """

    class Derived(tf.Config):
        sender: str
        workers: int = 1
        _domain: str = PrivateAttr("")

        def model_post_init(self, context):
            self._domain = self.sender.partition("@")[2]

    config = Derived.load({**BUILD, "WORKERS": "3"})

    assert (config.workers, config._domain) == (3, "")
    assert Derived.load({"SENDER": "a@b"})._domain == "b"


def test_the_config_of_a_build_is_of_its_class():
    """
    And frozen.
    """
    config = Config.load(BUILD)

    assert type(config) is Config
    with pytest.raises(AttributeError):
        config.debug = True


def test_the_phase_is_run_unless_it_is_named():
    """
    Unset and empty alike.
    """
    assert [phase({}), phase({"TWELVEFACTOR_PHASE": ""}), phase(BUILD), phase(DESCRIBE)] == [
        "run",
        "run",
        "build",
        "describe",
    ]


def test_nothing_serves_in_a_build():
    """
    The service refuses to start, naming the phase.
    """
    service = tf.Service("shop", Config, environ=BUILD)
    try:
        with pytest.raises(PhaseError):
            service.start()
        said = []

        async def receive():
            return {"type": "lifespan.startup"}

        async def send(message):
            said.append(message)

        with contextlib.suppress(PhaseError):
            asyncio.run(service.asgi(lambda *_: None)({"type": "lifespan"}, receive, send))
        assert [message["type"] for message in said] == ["lifespan.startup.failed"]
        assert "TWELVEFACTOR_PHASE is 'build'" in said[0]["message"]
    finally:
        service.close()


def test_asking_for_the_phase_imports_no_pydantic():
    """
    A room stays cheap until somebody declares a config.
    """
    code = (
        "import sys, twelvefactor.config as c; c.phase({}); c.RULES; print([m for m in sys.modules if 'pydantic' in m])"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=".").stdout == "[]\n"
