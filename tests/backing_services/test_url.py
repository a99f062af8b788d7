"""URLs are read right, shown masked, and wrong ones are diagnosed by the part."""

import copy
import pickle
import subprocess
import sys

import pytest

import twelvefactor as tf
from twelvefactor._core.secrets import SECRETS

PASSWORD = "pa55word-of-the-app"


@pytest.fixture(autouse=True)
def _clean_registry():
    """What a test teaches the registry is forgotten."""
    yield
    SECRETS.clear()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://h/db", "postgresql://h:5432/db"),
        ("PostgreSQL://H/Db", "postgresql://h:5432/Db"),
        ("postgresql+asyncpg://h/db", "postgresql+asyncpg://h:5432/db"),
        (f"postgres://u:{PASSWORD}@h/db", "postgresql://u:********@h:5432/db"),
        ("postgres://u@[::1]:5433/db", "postgresql://u@[::1]:5433/db"),
        ("postgres://a:1,[::1]:2,c/db", "postgresql://a:1,[::1]:2,c:5432/db"),
        ("postgres:///db?host=/run/pg", "postgresql:///db?host=/run/pg"),
        ("postgres://%2Frun%2Fpg/db", "postgresql:///db?host=/run/pg"),
        ("postgres:///db?host=a,b&port=1,2", "postgresql://a:1,b:2/db"),
        (
            "postgres://h/db?sslmode=REQUIRE&connect_timeout=3",
            "postgresql://h:5432/db?connect_timeout=3&sslmode=require",
        ),
        (f"postgres://h/db?user=u&password={PASSWORD}", "postgresql://u:********@h:5432/db"),
        ("redis://h", "redis://h:6379/0"),
        ("valkey://h/3", "redis://h:6379/3"),
        ("redis://h?db=4", "redis://h:6379/4"),
        (f"rediss://:{PASSWORD}@h:7000/1?ssl_cert_reqs=none", "rediss://:********@h:7000/1?ssl_cert_reqs=none"),
        (f"unix:///run/r.sock?db=2&password={PASSWORD}", "unix://:********@/run/r.sock?db=2"),
        ("redis+socket:///run/r.sock?virtual_host=2", "unix:///run/r.sock?db=2"),
        ("redis://%2Frun%2Fr.sock/2", "unix:///run/r.sock?db=2"),
        ("redis+sentinel://a,b:1/primary/2", "redis+sentinel://a:26379,b:1/primary/2"),
    ],
)
def test_url_is_normalised_and_masked(text, shown):
    """
    A URL shows itself normalised, with its password masked.
    """
    url = tf.URL(text)

    assert str(url) == shown
    assert PASSWORD not in repr(url) + format(url)


def test_reading_what_reveal_gives_is_the_identity():
    """
    A password of every awkward character survives, decoded once.
    """
    url = tf.URL("postgres://u%40x:%2F%23%3F%40%3A%2525%20@h/d%2Fb?application_name=a%26b%3D%25")

    assert tf.URL(url.reveal()) == url
    assert url._parts.password == "/#?@:%25 "
    assert url.query == {"application_name": "a&b=%"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("postgres://u:pa@55word@h/db", "raw '@' in it; write it as %40"),
        ("postgres://u:pa/55word@h/db", "raw '/' in it; write it as %2F"),
        ("postgres://u:pa#55word@h/db", "raw '#' in it; write it as %23"),
        ("postgres://u:pa?55word@h/db", "raw '?' in it; write it as %3F"),
        ("postgres://u:pa%55word%zz@h/db", "the password has a '%'"),
        ("postgres://h:55word/db", "the port is not a number"),
        ("postgres://h:70000/db", "the port is out of range"),
        ("postgres://h:0/db", "the port is out of range"),
        ("postgres://::1/db", "an IPv6 address stands in brackets"),
        ("postgres://h/db?sslmod=require", "the option 'sslmod' is unknown to postgresql (did you mean 'sslmode'?)"),
        ("postgres://h/db?sslmode=55word", "the option 'sslmode' takes one of disable"),
        ("postgres://h/db?connect_timeout=55word", "takes a whole number"),
        ("postgres://u:p@h/db?password=55word", "says again"),
        ("postgres://u:********@h/db", "the mask that str() shows"),
        ("postgrs://h/db", "did you mean 'postgres'?"),
        ("postgres:///db?password=pa&55word", "option 2 is unknown to postgresql"),
        ("mysql://u:pa?55word", "the port is not a number"),
        ("redis://h/55word", "this is not a number"),
        ("redis://h/2?db=5", "given twice"),
        ("redis://h?ssl_ca_certs=x", "write the scheme as rediss"),
        ("redis://a,b/0", "redis+sentinel"),
        ("redis+sentinel://a/", "names the service in its path"),
        ("unix://run/r.sock", "three slashes"),
        ("redis://", "needs a host"),
        ("redis://h \n", "white space"),
        ("55word", "this is not a URL"),
        ("", "the URL is empty"),
    ],
)
def test_wrong_url_is_diagnosed_without_its_text(text, says):
    """
    The message names the part and the next step, and holds nothing of a password.
    """
    with pytest.raises(tf.URLError) as caught:
        tf.URL(text)

    assert says in str(caught.value)
    assert "55word" not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    frames = []
    traceback = caught.value.__traceback__.tb_next
    while traceback is not None:
        frames.append(repr(traceback.tb_frame.f_locals))
        traceback = traceback.tb_next
    assert "55word" not in "".join(frames)


def test_kinds_own_class_refuses_other_schemes():
    """
    A Redis URL in DATABASE_URL is refused, naming what is expected.
    """
    with pytest.raises(tf.URLError, match="expected postgresql://"):
        tf.PostgresURL("redis://h/0")


def test_url_is_a_value():
    """
    Equal when equivalent, hashable, immutable, its own copy, never pickled.
    """
    url, same = tf.URL("postgres://H/db"), tf.PostgresURL("postgresql://h:5432/db")

    assert url == same
    assert hash(url) == hash(same)
    assert url != tf.URL("postgres://h/other")
    assert copy.deepcopy(url) is url
    with pytest.raises(AttributeError, match="is a value"):
        url.host = "x"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(url)


def test_password_is_registered_and_public_names_are_not():
    """
    The stream masks the password from the moment it is read, never the database's name.
    """
    tf.URL(f"postgres://application:{PASSWORD}@h/application")
    tf.URL("postgres://orders-user:application@h/x")

    assert SECRETS.mask(f"x {PASSWORD} application") == "x ******** application"


def test_placeholder_raises_when_used_and_names_its_variable():
    """
    In the build phase a URL exists and is of no use.
    """
    url = tf.PostgresURL.placeholder("DATABASE_URL")

    assert repr(url) == "<PostgresURL placeholder for DATABASE_URL>"
    assert url == tf.PostgresURL.placeholder("DATABASE_URL")
    assert url.django() == {"ENGINE": "django.db.backends.dummy"}
    with pytest.raises(tf.TwelveFactorError, match="DATABASE_URL is not known"):
        url.host  # noqa: B018
    with pytest.raises(tf.TwelveFactorError, match="DATABASE_URL"):
        url.reveal()


def test_pydantic_keeps_the_url_and_masks_it_in_json():
    """
    As a field it parses, dumps itself in Python and its mask in JSON, and an error quotes nothing.
    """
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(tf.PostgresURL)
    url = adapter.validate_python(f"postgres://u:{PASSWORD}@h/db")

    assert adapter.dump_python(url) is url
    assert PASSWORD not in adapter.dump_json(url).decode()
    assert adapter.json_schema()["writeOnly"] is True
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python("postgres://u:55@word@h/db")
    assert "%40" in str(caught.value.errors(include_input=False))
    assert caught.value.__context__ is None


def test_no_client_library_is_imported_by_a_url():
    """
    Parsing costs one regular expression, not the import of SQLAlchemy, redis or pydantic.
    """
    code = (
        "import sys, twelvefactor as tf; tf.PostgresURL('postgres://u:p@h/d?sslmode=require'); tf.RedisURL('redis://h');"
        "print(sorted({'sqlalchemy', 'redis', 'pydantic', 'pydantic_core', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_postgres_shapes():
    """
    Django, libpq and SQLAlchemy get the URL in their own shape, the password in clear.
    """
    url = tf.PostgresURL(f"postgres+psycopg://u:{PASSWORD}@h/db?sslmode=require")

    assert url.dsn == f"postgresql://u:{PASSWORD}@h:5432/db?sslmode=require"
    assert url.django()["PASSWORD"] == PASSWORD
    assert url.django()["OPTIONS"]["sslmode"] == "require"
    assert url.sqlalchemy_url.drivername == "postgresql+psycopg"
    assert url.sqlalchemy_url.password == PASSWORD


def test_redis_shapes():
    """
    Celery gets the options that kombu insists on; Django a location.
    """
    assert tf.RedisURL("rediss://h/1").celery() == "rediss://h:6379/1?ssl_cert_reqs=CERT_REQUIRED"
    assert tf.RedisURL("unix:///r.sock?db=1").celery() == "redis+socket:///r.sock?virtual_host=1"
    assert tf.RedisURL("redis+sentinel://a,b/p/1").celery() == "sentinel://a:26379/1;sentinel://b:26379/1"
    assert tf.RedisURL("redis://h/1").django()["LOCATION"] == "redis://h:6379/1"
