"""The release as a response header, where it is asked for: by the adapter's option, or by the environment."""

import pytest

import twelvefactor as tf
from tests.integrations.test_probes import Client

RELEASE = {"TWELVEFACTOR_RELEASE": "v42"}


@pytest.fixture(params=["asgi", "wsgi"])
def headers(request, make_shop):
    """The headers of an answer of the app and of a probe, from an app with *options* in an environment."""

    def headers(path="/", *, environ=RELEASE, **options):
        shop = make_shop(environ)
        _, got, _ = Client(shop, request.param, **options).ask(path)
        return got

    return headers


@pytest.mark.parametrize("path", ["/", "/readyz"])
def test_it_is_told_by_choice(headers, path):
    """
    Of the app's answers and of probes; the request id stays beside it.
    """
    got = headers(path, release_header="X-Release")

    assert got["x-release"] == "v42"
    assert got["x-request-id"]


def test_the_environment_may_choose(headers):
    """
    A deploy turns it on without a change of code; the option of the adapter beats it, and an empty one turns it off.
    """
    environ = {**RELEASE, "TWELVEFACTOR_RELEASE_HEADER": "X-Version"}

    assert headers(environ=environ)["x-version"] == "v42"
    assert "x-version" not in headers(environ=environ, release_header="X-Release")
    assert "x-version" not in headers(environ=environ, release_header="")


def test_nobody_is_told_by_default(headers):
    """
    Which release runs is nobody's business from outside.
    """
    assert not [name for name, value in headers().items() if "v42" in value]


def test_without_a_name_the_digest_is_told(headers):
    """
    A release always has one, and it holds no value of a variable.
    """
    got = headers(environ={}, release_header="X-Release")

    assert got["x-release"]
    assert got["x-release"].isprintable()


def test_a_name_that_would_break_the_header_is_encoded(headers):
    """
    A line end in a release's name starts no header of its own.
    """
    got = headers(environ={"TWELVEFACTOR_RELEASE": "v1\r\nSet-Cookie: a=b; ü"}, release_header="X-Release")

    assert got["x-release"] == "v1%0D%0ASet-Cookie: a=b; %C3%BC"
    assert "set-cookie" not in got


def test_what_is_no_name_of_a_header_is_refused(headers):
    """
    Before the first request, by whoever said it.
    """
    with pytest.raises(ValueError, match="release_header: 'X Release' is no name of a header"):
        headers(release_header="X Release")
    with pytest.raises(tf.ConfigError, match="TWELVEFACTOR_RELEASE_HEADER"):
        headers(environ={"TWELVEFACTOR_RELEASE_HEADER": "X:\n"})


def test_an_app_that_says_it_itself_is_left_alone(make_shop):
    """
    No header twice.
    """
    shop = make_shop(RELEASE)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-release", b"mine")]})
        await send({"type": "http.response.body", "body": b""})

    def plain(environ, start_response):
        start_response("200 OK", [("X-Release", "mine")])
        return [b""]

    for kind, each in (("asgi", app), ("wsgi", plain)):
        client = Client(shop, kind)
        client.app = getattr(shop.service, kind)(each, release_header="X-Release")
        assert client.ask("/")[1]["x-release"] == "mine"
