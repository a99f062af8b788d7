"""Whatever the environment holds: a config or a ConfigError, and never a secret in sight."""

import json
import os
import random
import warnings

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, Field, field_validator

import twelvefactor as tf
from twelvefactor._core.secrets import SECRETS
from twelvefactor.config import documents

SOAK = int(os.environ.get("TWELVEFACTOR_TESTS_SOAK", "1500"))  # 100000 takes minutes
HIDDEN = "hunter2PLANTED"  # a secret
SHOWN = "ordinaryPLANTED"  # text that may be shown in a config, and in no error


class Pool(BaseModel):
    size: int = 1
    password: tf.Secret | None = None


class Config(tf.Config):
    database_url: tf.PostgresURL
    redis_url: tf.RedisURL | None = None
    api_key: tf.Secret
    old_key: tf.Secret | None = Field(None, validation_alias=AliasChoices("NEW_KEY", "OLD_KEY"))
    workers: int
    ratio: float = Field(1.0, ge=0, le=10)
    debug: bool = False
    timeout: tf.Duration = tf.Duration(1)
    size: tf.ByteSize = tf.ByteSize(1)
    level: tf.LogLevel = tf.LogLevel.INFO
    port: tf.Port = 80
    hosts: list[str] = []
    numbers: set[int] = set()
    labels: dict[str, str] = {}
    keys: list[tf.Secret] = []
    pool: Pool = Pool()
    sender: str = ""

    @field_validator("sender")
    @classmethod
    def _polite(cls, value):
        if value.startswith("rude"):
            raise ValueError(f"how rude: {value}")
        if value.startswith("odd"):
            raise KeyError(value)
        return value


SECRETIVE = ("API_KEY", "OLD_KEY", "NEW_KEY", "POOL__PASSWORD", "KEYS")
URLS = ("DATABASE_URL", "REDIS_URL")
PLAIN = (
    "WORKERS",
    "RATIO",
    "DEBUG",
    "TIMEOUT",
    "SIZE",
    "LEVEL",
    "PORT",
    "HOSTS",
    "NUMBERS",
    "LABELS",
    "POOL",
    "SENDER",
)
PLAIN += ("POOL__SIZE", "pool__size", "workers", "WORKER", "POOL__SIZE__X", "API_KEY_FILE", "DATABASE_URL_FILE")
PLAIN += ("VCAP_SERVICES", "SERVICE_BINDING_ROOT", "VCAP_SERVICES_FILE_PATH", "TWELVEFACTOR_PHASE", "PORT_SERVICE_HOST")


def around(plant):
    return [
        plant,
        f"{plant}\n",
        f" {plant}\0",
        f"rude {plant}",
        f"odd {plant}",
        f"[{plant}",
        json.dumps([plant, 1]),
        json.dumps({plant: plant, "size": plant, "password": plant}),
        json.dumps({"postgresql": [{"name": "db", "credentials": {"password": plant, "host": 1}}]}),
        json.dumps({"postgresql": [{"name": "a", "credentials": {"uri": plant}}] * 2}),
        f"{plant},{plant}",
        plant * 1000,
        f"\udcff{plant}",
        f"/nowhere/{plant}",
    ]


def url(plant):
    return [
        f"{scheme}://user:{plant}{rest}"
        for scheme in ("postgresql", "postgres+asyncpg", "redis", "rediss", "http", "")
        for rest in (
            "@host/db",
            "@host:99999/db",
            "@@host",
            "/@host",
            "#@host",
            "?@host/x",
            "@[::1",
            "@",
            "",
            "@h,h:1/x",
            "%@h/d",
        )
    ] + [plant, f" {plant} ", f"redis://{'h' * 10}:x/?password={plant}"]


INNOCENT = [
    "",
    " ",
    "0",
    "1",
    "-1",
    "3.5",
    "1e400",
    "true",
    "null",
    "[]",
    "{}",
    "[[",
    "5m",
    "1Gi",
    "info",
    "run",
    "build",
]
INNOCENT += [
    "describe",
    "tcp://10.0.0.1:80",
    "postgresql://a/b",
    "redis://a/1",
    "9" * 5000,
    "\0",
    "\udc80",
    "/",
    ".",
    "a,b",
]
VALUES = {
    **dict.fromkeys(SECRETIVE, around(HIDDEN)),
    **dict.fromkeys(URLS, url(HIDDEN)),
    **dict.fromkeys(PLAIN, around(SHOWN)),
}
GOOD = {"DATABASE_URL": "postgresql://u:p@h/d", "API_KEY": HIDDEN, "WORKERS": "1"}
TEXT = st.text(max_size=20).filter(lambda text: "PLANTED" not in text)
ENVIRONMENTS = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values + INNOCENT) | TEXT for name, values in VALUES.items()}
)


@settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(environ=ENVIRONMENTS)
def test_any_environment(environ):
    """
    Nothing but a ConfigError is raised, and nothing shows a planted secret.
    """
    judge(environ)


def test_many_environments():
    """
    The same for many more, without looking for the smallest; most of them nearly right, so that all of the way is gone.
    """
    chance = random.Random(SOAK)
    made = 0
    for _ in range(SOAK):
        names = chance.sample(sorted(VALUES), chance.randint(0, 6))
        environ = {name: chance.choice(VALUES[name] if chance.random() < 0.7 else INNOCENT) for name in names}
        if chance.random() < 0.8:
            environ = GOOD | environ
        made += judge(environ) is None

    assert made > SOAK / 50  # not all were refused


def judge(environ):
    SECRETS.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # old names are used on purpose
        refused = refused_or_shown(environ)
    if refused is not None:
        said = f"{refused} {refused!r} {refused.as_event()} {refused.__dict__} {refused.problems!r}"
        assert "PLANTED" not in said, environ
        assert len(said.splitlines()) < 60
        assert (refused.__cause__, refused.__context__) == (None, None)
        assert "PLANTED" not in locals_of(refused)
    return refused


def refused_or_shown(environ):
    try:
        config = Config.load(environ)
    except tf.ConfigError as error:
        return error
    for said in (repr(config), str(config), json.dumps(documents.shown(config)), dumped(config, environ)):
        assert HIDDEN not in said, environ
    return None


def dumped(config, environ):
    if environ.get("TWELVEFACTOR_PHASE") in {"build", "describe"}:
        return ""  # placeholders refuse to be dumped
    return config.model_dump_json() + repr(config.model_dump())


def locals_of(error):
    """What a traceback that shows locals would show of the library's own frames."""
    shown, traceback = [], error.__traceback__
    while traceback is not None:
        if "/twelvefactor/" in traceback.tb_frame.f_code.co_filename:
            shown.append(repr({name: value for name, value in traceback.tb_frame.f_locals.items() if name != "self"}))
        traceback = traceback.tb_next
    return " ".join(shown)
