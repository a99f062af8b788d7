"""`twelvefactor check --url`: a running process is graded by what it tells on its management port."""

import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner

from twelvefactor.cli import main
from twelvefactor.factor import Finding
from twelvefactor.processes.rules import TF601

TOKEN = "correct-horse-battery-staple"


def check(*arguments, **environ):
    return CliRunner().invoke(main, ["check", *arguments], env=environ)


def test_a_running_process_is_graded(shop):
    """
    By the same arithmetic as evidence files; --min decides the status.
    """
    shop.service.evidence.report(Finding(TF601, "it kept a basket", "shop.basket", "shop/app.py:7"))
    done = check("--url", f"http://127.0.0.1:{shop.port}", "--format", "json")
    told = json.loads(done.stdout)

    assert done.exit_code == 0
    assert told["factors"][5]["verdict"] == "fail"
    assert [each["culprit"] for each in told["factors"][5]["rules"][0]["findings"]] == ["shop.basket"]
    assert check("--url", f"http://127.0.0.1:{shop.port}", "--min", "12").exit_code == 1


def test_several_are_merged(make_shop):
    """
    What one saw and the other did not fails both.
    """
    shops = [make_shop(), make_shop()]
    for each in shops:
        each.service.start()
    shops[1].service.evidence.report(Finding(TF601, "it kept a basket", "shop.basket"))
    urls = [word for each in shops for word in ("--url", f"http://127.0.0.1:{each.port}/score")]

    assert "it kept a basket" in check(*urls).output


def test_the_token_comes_from_the_environment(make_shop):
    """
    With the right one it is graded; with a wrong one and without, one line says which variable, and not the value.
    """
    made = make_shop(TWELVEFACTOR_MANAGEMENT_TOKEN=TOKEN)
    made.service.start()
    url = f"http://127.0.0.1:{made.port}"
    wrong = check("--url", url, TWELVEFACTOR_MANAGEMENT_TOKEN="wrong-horse-battery-staple")
    without = check("--url", url, TWELVEFACTOR_MANAGEMENT_TOKEN=None)

    assert check("--url", url, TWELVEFACTOR_MANAGEMENT_TOKEN=TOKEN).exit_code == 0
    assert (wrong.exit_code, without.exit_code) == (69, 69)
    assert "TWELVEFACTOR_MANAGEMENT_TOKEN" in wrong.output
    assert "wrong-horse" not in wrong.output


@contextlib.contextmanager
def answering(status, body, **headers):
    """A server of somebody else's; it remembers what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(dict(self.headers))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>"), (200, b"[]"), (200, b'{"schema": "other/9"}'), (404, b""), (500, b"{}")]
)
def test_what_is_no_management_port(status, body):
    """
    Wrong usage, in one line.
    """
    with answering(status, body) as server:
        done = check("--url", f"http://127.0.0.1:{server.server_port}")

    assert done.exit_code == 64
    assert "Traceback" not in done.output


def test_a_redirect_does_not_get_the_token():
    """
    Nobody else is asked, so nobody else is sent the token.
    """
    with (
        answering(200, b"{}") as other,
        answering(302, b"", Location=f"http://127.0.0.1:{other.server_port}/") as first,
    ):
        done = check("--url", f"http://127.0.0.1:{first.server_port}", TWELVEFACTOR_MANAGEMENT_TOKEN=TOKEN)

    assert done.exit_code == 64
    assert (len(first.asked), other.asked) == (1, [])


def test_nobody_is_there():
    """
    Unavailable (69), and what to set.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = check("--url", f"http://127.0.0.1:{port}")

    assert done.exit_code == 69
    assert "TWELVEFACTOR_MANAGEMENT_PORT" in done.output


@pytest.mark.parametrize("url", ["localhost:9000", "ftp://x", "http://"])
def test_what_is_no_url(url):
    """
    Wrong usage, with an example.
    """
    assert check("--url", url).exit_code == 64
