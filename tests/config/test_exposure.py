"""What the config knows as secret is masked wherever text leaves the process."""

import base64
import threading

import pydantic
import pytest
from pydantic import BaseModel, PostgresDsn, SecretBytes, SecretStr

import twelvefactor as tf
from twelvefactor._core.secrets import KEPT, SECRETS, SecretRegistry


class Inner(BaseModel):
    password: SecretStr


class Config(tf.Config):
    token: tf.Secret
    theirs: SecretStr = SecretStr("x")
    raw: SecretBytes = SecretBytes(b"x")
    generic: pydantic.Secret[str] = pydantic.Secret("x")
    inner: Inner = Inner(password=SecretStr("x"))
    keys: list[tf.Secret] = []
    database_url: tf.PostgresURL | None = None
    dsn: PostgresDsn | None = None
    plain_url: str = ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TOKEN", "planted-value"),
        ("THEIRS", "planted-value"),
        ("RAW", "planted-value"),
        ("GENERIC", "planted-value"),
        ("INNER__PASSWORD", "planted-value"),
        ("KEYS", "other-value,planted-value"),
        ("DATABASE_URL", "postgresql://app:planted-value@db/orders"),
        ("DSN", "postgresql://app:planted-value@db/orders"),
        ("PLAIN_URL", "https://app:planted-value@host/"),
        ("TOKEN", "amqp://app:planted-value@host/"),
    ],
)
def test_every_secret_and_url_password_is_registered(name, text):
    """
    Ours, pydantic's, nested, in lists, in URLs of any kind.
    """
    config = Config.load({"TOKEN": "other-value", name: text})

    assert "planted" not in SECRETS.mask("with planted-value in it")
    assert "planted-value" not in repr(config)


@pytest.mark.parametrize("name", ["app", "db.internal", "orders_db"])
def test_public_names_are_never_masked(name):
    """
    A password equal to a user, host or database would blank the logs.
    """
    long = name * 3
    urls = {
        "app": f"postgresql://{long}:{long}@db/orders",
        "db.internal": f"postgresql://app:{long}@{long}/orders",
        "orders_db": f"postgresql://app:{long}@db/{long}",
    }

    Config.load({"TOKEN": "other-value", "DATABASE_URL": urls[name]})

    assert SECRETS.mask(long) == long


def test_a_public_name_of_one_url_is_not_masked_for_another():
    """
    Whatever the order.
    """

    class Two(tf.Config):
        a: tf.Secret
        database_url: tf.PostgresURL

    Two.load({"A": "orders_owner", "DATABASE_URL": "postgresql://orders_owner:x@h/d"})

    assert SECRETS.mask("orders_owner") == "orders_owner"


def test_text_that_is_called_a_password_is_hidden_too():
    """
    Who comes from pydantic-settings may have it as str.
    """
    from twelvefactor.config import documents

    class Plain(tf.Config):
        smtp_password: str = "planted-default"
        password_hint: str = "a hint of a word"
        stripe_api_key: str = ""

    config = Plain.load({"STRIPE_API_KEY": "planted-api-key"})

    assert "planted" not in repr(documents.shown(config)) + documents.example(Plain) + documents.kubernetes(Plain, "x")
    assert SECRETS.mask("planted-api-key planted-default") == "******** planted-default"
    assert "a hint of a word" in repr(documents.shown(config))


def test_short_values_are_not_masked():
    """
    guest is a word.
    """
    Config.load({"TOKEN": "guest", "DATABASE_URL": "postgresql://app:postgres1@db/orders"})

    assert SECRETS.mask("guest postgres1") == "guest ********"


def test_a_credential_that_is_asked_for_anew_is_masked_too():
    """
    A resource with a callable registers what it gives, and keeps the last values of many.
    """
    from twelvefactor.backing_services.kind import Opening

    numbers = iter(range(100))
    opening = Opening(lambda: f"token-number-{next(numbers)}")
    for _ in range(20):
        opening.login(tf.URL("postgresql://app@db/orders"))

    assert SECRETS.mask("token-number-19 token-number-0") == "******** token-number-0"


# -- the registry


@pytest.fixture
def registry():
    return SecretRegistry()


@pytest.mark.parametrize("before", [b"", b"u", b"us", b"use", b"user:"])
def test_base64_is_masked_wherever_it_begins(registry, before):
    """
    The header of Basic login holds user:password.
    """
    registry.register("planted-password")

    header = "Basic " + base64.b64encode(before + b"planted-password").decode()

    assert "********" in registry.mask(header)


def test_url_encoded_is_masked(registry):
    """
    As it stands in a link.
    """
    registry.register("p@ss/word&more")

    assert registry.mask("?token=p%40ss%2Fword%26more") == "?token=********"


def test_a_longer_secret_is_masked_whole(registry):
    """
    Not as its shorter part and a rest.
    """
    registry.register("12345678")
    registry.register("12345678-90")

    assert registry.mask("12345678-90") == "********"


def test_the_version_tells_of_every_change(registry):
    """
    Who caches by it never shows an old verdict.
    """
    versions = [registry.version]
    registry.register("planted-one")
    versions.append(registry.version)
    registry.register("planted-one")
    versions.append(registry.version)
    registry.exempt("planted-one")
    versions.append(registry.version)

    assert versions == [0, 1, 1, 2]
    assert registry.shortest == 0


def test_a_rotated_secret_keeps_its_last_values(registry):
    """
    A token that changes every minute does not fill the memory, and the last ones are still masked.
    """
    for at in range(100):
        registry.register(f"token-number-{at}", slot="DATABASE_URL")

    assert len(registry) == KEPT
    assert registry.mask("token-number-99 token-number-98 token-number-1") == "******** ******** token-number-1"


def test_a_value_that_another_slot_holds_stays(registry):
    """
    Two resources may share a token.
    """
    registry.register("shared-token", slot="a")
    registry.register("shared-token", slot="b")
    for at in range(10):
        registry.register(f"token-number-{at}", slot="a")

    assert registry.found_in("shared-token")


def test_threads_may_register_and_mask_at_once(registry):
    """
    No fault, and everything registered is masked in the end.
    """
    faults = []

    def work(number):
        try:
            for at in range(50):
                registry.register(f"secret-{number}-{at}")
                registry.mask(f"secret-{number}-{at}")
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert faults == []
    assert not any("secret-3" in registry.mask(f"secret-{number}-{at}") for number in range(4) for at in range(50))
