"""What is written about the declared config."""

import json
import shlex

import pytest
import yaml
from pydantic import BaseModel, Field

import twelvefactor as tf
from twelvefactor.config import documents


class Pool(BaseModel):
    size: int = Field(5, description="Connections kept open.")
    password: tf.Secret | None = None


class Config(tf.Config):
    database_url: tf.PostgresURL = Field(description="Where orders are kept.")
    stripe_secret_key: tf.Secret
    workers: int
    port: tf.Port = 8000
    timeout: tf.Duration = tf.Duration(30)
    hosts: list[str] = ["a", "b"]
    level: tf.LogLevel = tf.LogLevel.INFO
    pool: Pool = Pool(size=7)
    sender: str = Field("two words", deprecated="use SENDERS")
    token: tf.Secret = tf.Secret("planted-default-secret")
    cache_url: tf.RedisURL = tf.RedisURL("redis://:planted-password@cache/0")
    address: str = "postgresql://orders:planted-in-text@db.internal/orders"


ENVIRON = {
    "DATABASE_URL": "postgresql://app:planted-url-password@db/orders",
    "STRIPE_SECRET_KEY": "planted-stripe-key",
    "WORKERS": "3",
}


@pytest.mark.parametrize(
    "document",
    [
        documents.example(Config),
        documents.table(Config),
        json.dumps(documents.schema(Config)),
        documents.kubernetes(Config, "orders"),
        json.dumps(documents.shown(Config.load(ENVIRON))),
    ],
    ids=["example", "docs", "schema", "kubernetes", "show"],
)
def test_no_document_holds_a_secret(document):
    """
    Neither a default nor a value that is secret is written.
    """
    assert "planted" not in document


def test_every_variable_is_in_every_document():
    """
    Nested ones are listed each on its own.
    """
    for document in (documents.example(Config), documents.table(Config), documents.kubernetes(Config, "x")):
        assert [
            name for name in ("DATABASE_URL", "WORKERS", "POOL__SIZE", "POOL__PASSWORD") if name not in document
        ] == []


def test_the_example_can_be_filled_in_and_loaded():
    """
    Its lines are what the config reads.
    """
    environ = {}
    for line in documents.example(Config).splitlines():
        name, sign, value = line.removeprefix("# ").partition("=")
        if sign and name.isupper():
            environ[name] = "".join(shlex.split(value))

    assert {name for name, value in environ.items() if value == ""} >= {"DATABASE_URL", "STRIPE_SECRET_KEY", "WORKERS"}
    del environ["SENDER"]  # deprecated, which would be warned about
    config = Config.load({name: value for name, value in environ.items() if value} | ENVIRON)
    assert (config.port, config.timeout, config.hosts, config.pool.size) == (8000, 30, ["a", "b"], 7)


def test_the_example_is_no_shell_trap():
    """
    A default with a blank is quoted.
    """
    assert "# SENDER='two words'" in documents.example(Config)


def test_the_table_is_put_between_the_marks():
    """
    The rest of the page stays.
    """
    page = f"before\n{documents.BEGIN}\nstale\n{documents.END}\nafter\n"

    new = documents.inserted(page, documents.table(Config))

    assert new.startswith("before\n")
    assert new.endswith("\nafter\n")
    assert "stale" not in new
    assert documents.inserted(new, documents.table(Config)) == new


def test_the_schema_names_what_must_be_set():
    """
    Properties are variables, with types, limits and defaults as they are written.
    """
    made = documents.schema(Config, "orders")

    assert made["required"] == ["DATABASE_URL", "STRIPE_SECRET_KEY", "WORKERS"]
    assert made["properties"]["PORT"] == {"type": "integer", "minimum": 1, "maximum": 65535, "default": 8000}
    assert made["properties"]["TIMEOUT"]["default"] == "30s"
    assert made["properties"]["POOL__SIZE"]["default"] == 7


def test_the_manifests_are_yaml_and_keep_secrets_apart():
    """
    Secrets and URLs stand in the Secret, the rest in the ConfigMap, and the Deployment reads both.
    """
    config_map, secret, deployment = yaml.safe_load_all(documents.kubernetes(Config, "orders"))

    assert (config_map["kind"], config_map["data"]) == ("ConfigMap", {"WORKERS": ""})
    assert (secret["kind"], set(secret["stringData"])) == ("Secret", {"DATABASE_URL", "STRIPE_SECRET_KEY"})
    pod = deployment["spec"]["template"]["spec"]
    assert pod["enableServiceLinks"] is False
    assert pod["containers"][0]["envFrom"] == [{"configMapRef": {"name": "orders"}}, {"secretRef": {"name": "orders"}}]


def test_what_is_shown_says_where_it_came_from():
    """
    A value from the environment names its variable, another says default.
    """
    shown = {row["variable"]: row for row in documents.shown(Config.load(ENVIRON))}

    assert shown["WORKERS"] == {"variable": "WORKERS", "value": "3", "from": "WORKERS"}
    assert shown["PORT"]["from"] == "default"
    assert shown["STRIPE_SECRET_KEY"]["value"] == "********"
    assert shown["DATABASE_URL"]["value"] == "postgresql://app:********@db:5432/orders"
