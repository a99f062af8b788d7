"""Whatever is written into a URL, it is read back, or refused without a trace of the password."""

import string
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twelvefactor as tf
from twelvefactor._core.secrets import SECRETS
from twelvefactor.backing_services.registry import TABLE

ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
HOST = st.one_of(
    st.from_regex(r"[a-z][a-z0-9\-]{0,20}(\.[a-z0-9]{1,10}){0,3}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
PORT = st.one_of(st.just(""), st.integers(1, 65535).map(lambda port: f":{port}"))


@pytest.fixture(autouse=True, scope="module")
def _clean_registry():
    """What these tests teach the registry is forgotten."""
    yield
    SECRETS.clear()


@settings(max_examples=300, deadline=None)
@given(
    scheme=st.sampled_from(["postgres", "mysql+pymysql"]), user=ANY, password=ANY, host=HOST, port=PORT, database=ANY
)
def test_reading_what_reveal_gives_is_the_identity(scheme, user, password, host, port, database):
    """
    Credentials and names of any characters are decoded once, and written so that they are read again.
    """
    url = tf.URL(
        f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{host}{port}/{quote(database, safe='')}"
    )

    assert url.username == user
    assert url._parts.password == password
    assert url.database == database
    assert tf.URL(url.reveal()) == url


_SHAPES = st.sampled_from(
    [
        "{s}://user:{p}@host/1",
        "{s}://user:{p}@host:99/x?a=1",
        "{s}://:{p}@h",
        "{s}://user:{p}@[::1]/1",
        "{s}://user:{p}@a,b/1",
        "{s}://user:{p}",
    ]
)
_SPECIAL = st.text(st.sampled_from(list("@#/?:%[]&=,; \n\t+*'\"\\") + list("abZ9")), min_size=1, max_size=8)


@settings(max_examples=1000, deadline=None)
@given(
    scheme=st.sampled_from(sorted(TABLE)),
    shape=_SHAPES,
    pieces=st.lists(_SPECIAL, min_size=1, max_size=3),
    words=st.lists(
        st.text(string.ascii_lowercase, min_size=9, max_size=12).map(lambda w: f"Q{w}Z"), min_size=2, max_size=4
    ),
)
def test_wrong_url_never_tells_its_password(scheme, shape, pieces, words):
    """
    A raw password of awkward characters is read as it is, or refused; no word of it is in the message or the mask.
    """
    password = "".join(word + piece for word, piece in zip(words, [*pieces, *pieces, *pieces], strict=False))
    try:
        url = tf.URL(shape.format(s=scheme, p=password))
    except tf.URLError as error:
        shown = str(error)
    else:
        if url._parts.password is None:
            return  # without an '@' there is no password by any syntax
        shown = f"{url} {url!r}"
        if "@" in password or "#" in password:
            return  # the rest of it is now, by the syntax, another part; diagnosed where it can be told
    assert not [word for word in words if word in shown]


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(st.text(max_size=60), st.text(st.sampled_from(list("abpostgresqlredis:/@?#%[]&=,.+0129")), max_size=60))
)
def test_no_text_crashes_the_reader(text):
    """
    Anything at all is a URL or a URLError.
    """
    try:
        url = tf.URL(text)
    except tf.URLError:
        return
    assert tf.URL(url.reveal()) == url


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(TABLE)), st.text(st.sampled_from(list("ab:/@?#%[]&=,.+0129\x7f")), max_size=40))
def test_no_rest_of_a_known_scheme_crashes_the_reader(scheme, rest):
    """
    The same behind every scheme there is.
    """
    try:
        url = tf.URL(f"{scheme}://{rest}")
    except tf.URLError:
        return
    assert tf.URL(url.reveal()) == url
