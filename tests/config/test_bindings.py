"""Services that the platform bound."""

import json

import pytest

import twelvefactor as tf
from twelvefactor.config import provenance


class Config(tf.Config):
    database_url: tf.PostgresURL


class Two(tf.Config):
    database_url: tf.PostgresURL
    replica_url: tf.PostgresURL


@pytest.fixture
def bound(tmp_path):
    """Mount service bindings: name to entries."""

    def mount(**bindings):
        for name, entries in bindings.items():
            folder = tmp_path / name.replace("_", "-")
            folder.mkdir()
            for entry, text in entries.items():
                (folder / entry.replace("_", "-")).write_bytes(text if isinstance(text, bytes) else text.encode())
        return {"SERVICE_BINDING_ROOT": str(tmp_path)}

    return mount


def vcap(**services):
    return {"VCAP_SERVICES": json.dumps({label.replace("_", "-"): each for label, each in services.items()})}


def refused(cls, environ):
    with pytest.raises(tf.ConfigError) as error:
        cls.load(environ)
    return [line.strip() for line in str(error.value).splitlines()[1:]]


PARTS = {"host": "db.internal", "port": "5433", "username": "app", "password": "p@ss/word", "database": "orders"}


def test_the_only_binding_of_a_kind(bound):
    """
    The URL is put together from its parts, each percent-encoded.
    """
    config = Config.load(bound(anything={"type": "postgresql", **PARTS}))

    assert config.database_url.reveal() == "postgresql://app:p%40ss%2Fword@db.internal:5433/orders"
    assert provenance(config)["database_url"].kind == "binding"


def test_a_uri_is_taken_as_it_is(bound):
    """
    One trailing newline apart.
    """
    config = Config.load(bound(anything={"type": "postgres", "uri": "postgres://a:b@h/x\n", **PARTS}))

    assert config.database_url.host == "h"


def test_a_binding_of_the_name_wins_among_several(bound):
    """
    DATABASE_URL is the binding called database.
    """
    environ = bound(database={"type": "postgresql", "host": "a"}, other={"type": "postgresql", "host": "b"})

    assert Config.load(environ).database_url.host == "a"


def test_two_bindings_that_fit_are_named(bound):
    """
    Nobody guesses between them.
    """
    environ = bound(one={"type": "postgresql", "host": "a"}, two={"type": "postgresql", "host": "b"})

    assert refused(Config, environ) == [
        (
            "DATABASE_URL: the bindings one and two both fit; expected a URL postgresql://… (looked in binding). "
            "Name one of them database"
        )
    ]


def test_a_binding_that_fits_two_variables_is_contested(bound):
    """
    Nor between the variables.
    """
    told = refused(Two, bound(one={"type": "postgresql", "host": "a"}))

    assert [line.partition(";")[0] for line in told] == [
        "DATABASE_URL: the binding one fits it and REPLICA_URL alike",
        "REPLICA_URL: the binding one fits it and DATABASE_URL alike",
    ]


def test_a_required_variable_comes_before_an_optional_one(bound):
    """
    The replica that may be absent does not take the only database.
    """

    class Optional(tf.Config):
        replica_url: tf.PostgresURL | None = None
        database_url: tf.PostgresURL

    config = Optional.load(bound(one={"type": "postgresql", "host": "a"}))

    assert (config.replica_url, config.database_url.host) == (None, "a")


def test_each_by_its_name(bound):
    """
    Two bindings, two variables.
    """
    config = Two.load(bound(database={"type": "postgresql", "host": "a"}, replica={"type": "postgresql", "host": "b"}))

    assert (config.database_url.host, config.replica_url.host) == ("a", "b")


def test_an_entry_is_a_value(bound):
    """
    stripe/secret-key is STRIPE_SECRET_KEY.
    """

    class Shop(tf.Config):
        stripe_secret_key: tf.Secret

    assert Shop.load(bound(stripe={"type": "api", "secret_key": "sk\n"})).stripe_secret_key.reveal() == "sk"


def test_a_binding_without_a_type_is_none(bound):
    """
    As the specification says.
    """
    assert refused(Config, bound(one=PARTS))[0].startswith("DATABASE_URL: is not set")


def test_entries_of_the_mount_itself_are_skipped(bound, tmp_path):
    """
    ..data is Kubernetes'.
    """
    environ = bound(one={"type": "postgresql", **PARTS})
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "type").write_text("postgresql")
    (tmp_path / "one" / "..data").mkdir()

    assert Config.load(environ).database_url.host == "db.internal"


def test_a_root_that_cannot_be_read_is_one_problem(tmp_path):
    """
    Not one for every variable.
    """
    told = refused(Two, {"SERVICE_BINDING_ROOT": str(tmp_path / "planted")})

    assert told[0] == "SERVICE_BINDING_ROOT: cannot be read: No such file or directory"
    assert "planted" not in "".join(told)


def test_an_entry_that_is_not_text(bound):
    """
    Its place is told.
    """
    (line,) = refused(Config, bound(one={"type": "postgresql", **PARTS, "password": b"\xff"}))

    assert line.startswith("DATABASE_URL: the binding's entry ")
    assert line.endswith("/one/password is not UTF-8 (first bad byte at 0)")


def test_a_certificate_that_is_not_text_harms_nobody(bound):
    """
    Only what is used is read.
    """
    assert Config.load(bound(one={"type": "postgresql", **PARTS, "keystore": b"\xff"})).database_url.port == 5433


# -- Cloud Foundry

CREDENTIALS = {"uri": "postgres://a:b@cf-host/x"}


@pytest.mark.parametrize(
    "service",
    [
        {"p_postgresql": [{"name": "db1", "credentials": CREDENTIALS}]},
        {"user_provided": [{"name": "db1", "tags": ["postgres", "relational"], "credentials": CREDENTIALS}]},
        {"user_provided": [{"name": "database", "credentials": CREDENTIALS}]},
        {"user_provided": [{"name": "x", "binding_name": "database_url", "credentials": CREDENTIALS}]},
        {"elephantsql": [{"name": "x", "instance_name": "database", "credentials": {"hostname": "cf-host"}}]},
    ],
)
def test_a_bound_service_is_found(service):
    """
    By binding name, instance name, tag or label; hidden labels included.
    """
    config = Config.load(vcap(**service))

    assert config.database_url.host == "cf-host"
    assert provenance(config)["database_url"].kind == "VCAP_SERVICES"


def test_the_document_in_a_file(tmp_path):
    """
    Cloud Foundry writes it there and sets no VCAP_SERVICES.
    """
    path = tmp_path / "vcap.json"
    path.write_text(json.dumps({"postgresql": [{"name": "x", "credentials": CREDENTIALS}]}))

    assert Config.load({"VCAP_SERVICES_FILE_PATH": str(path)}).database_url.host == "cf-host"


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"planted": ', "[" * 100_000])
def test_a_broken_document_is_one_problem(text):
    """
    However many variables wanted something of it.
    """
    told = refused(Two, {"VCAP_SERVICES": text})

    assert [line.partition(":")[0] for line in told] == ["VCAP_SERVICES", "DATABASE_URL", "REPLICA_URL"]
    assert "planted" not in "".join(told)


@pytest.mark.parametrize("text", ['{"a": 3}', '{"a": [3]}', '{"a": [{"name": 3, "tags": 3, "credentials": 3}]}'])
def test_odd_documents_harm_nobody(text):
    """
    What is not as documented is not used.
    """
    assert refused(Config, {"VCAP_SERVICES": text})[0].startswith("DATABASE_URL: is not set")


def test_a_variable_beats_what_is_bound(bound):
    """
    The environment is the first place.
    """
    environ = bound(one={"type": "postgresql", **PARTS})

    assert Config.load({**environ, "DATABASE_URL": "postgresql://own/x"}).database_url.host == "own"


def test_a_binding_without_host_or_uri_is_said_to_lack_them(bound):
    """
    The next step is clear.
    """
    (line,) = refused(Config, bound(database={"type": "postgresql"}))

    assert line.startswith("DATABASE_URL: the binding database has neither uri nor host")


def test_two_bindings_of_one_name_are_told():
    """
    For a URL and for an entry alike.
    """

    class Shop(tf.Config):
        database_url: tf.PostgresURL
        stripe_secret_key: tf.Secret

    stripe = {"name": "stripe", "credentials": {"secret_key": "planted"}}
    database = {"name": "database", "credentials": CREDENTIALS}

    told = refused(Shop, vcap(user_provided=[stripe, stripe, database, database]))

    assert [line.partition(";")[0] for line in told] == [
        "DATABASE_URL: the bindings database and database both fit",
        "STRIPE_SECRET_KEY: 2 bindings called stripe have it",
    ]
