"""Share nothing, proved: what one real process answers, several in turn answer too."""

import sys

import pytest

from twelvefactor.testing import engines
from twelvefactor.testing.answers import Answer, common, difference
from twelvefactor.testing.driving import Request
from twelvefactor.testing.replicas import Replicas
from twelvefactor.testing.sharing import _turns, prove

APP = """
import json, os, secrets, sys
from wsgiref.simple_server import make_server, WSGIRequestHandler

class Memory(dict):
    def incr(self, key):
        self[key] = int(self.get(key, 0)) + 1
        return self[key]

    def set(self, key, value):
        self[key] = value

if os.environ.get("KEEP_IN"):
    import redis
    kept = redis.Redis.from_url(os.environ["KEEP_IN"], decode_responses=True)
else:
    kept = Memory()
if os.environ.get("ALONE"):
    os.close(os.open(os.environ["ALONE"], os.O_CREAT | os.O_EXCL))

def app(environ, start_response):
    path, post = environ["PATH_INFO"], environ["REQUEST_METHOD"] == "POST"
    status, headers, told = "200 OK", [], {"pid": os.getpid(), "token": secrets.token_hex(), "name": "cart"}
    if path == "/login":
        session = secrets.token_hex()
        kept.set(session, "ann")
        headers = [("Set-Cookie", "session=" + session + "; HttpOnly"), ("Set-Cookie", "theme=dark")]
    elif path == "/me" and not kept.get(environ.get("HTTP_COOKIE", "").partition("session=")[2].partition(";")[0]):
        status = "401 Unauthorized"
    elif path == "/cart":
        items = kept.incr("cart") if post else int(kept.get("cart") or 0)
        told["cart"] = {"items": ["tea"] * items}
    elif path == "/text":
        told = "hello " + ("again" if kept.get("cart") else "stranger")
    start_response(status, [("Content-Type", "application/json"), *headers])
    return [json.dumps(told).encode()]

class Quiet(WSGIRequestHandler):
    def log_message(self, *args): pass

make_server("127.0.0.1", int(os.environ["PORT"]), app, handler_class=Quiet).serve_forever()
"""
SESSION = (Request("POST", "/login"), Request("GET", "/other"), Request("GET", "/me?who=1"))
CART = (Request("POST", "/cart"), Request("GET", "/cart"))
SCRIPT = """
import json, os, urllib.request

def ask(method):
    url = os.environ["BASE_URL"] + "/cart"
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
        return len(json.loads(answer.read())["cart"]["items"])

assert ask("POST") == ask("GET")
"""


@pytest.fixture
def proved(tmp_path):
    """What is proved of the app when it is asked so."""
    (tmp_path / "carts.py").write_text(APP)

    def proved(requests=(), scripts=(), count=2, **environ):
        def replicas(many):
            return Replicas((sys.executable, str(tmp_path / "carts.py")), many, environ=environ, ready="/")

        return prove(replicas, requests, dict(scripts), count)

    return proved


def test_a_session_in_memory_is_found_by_who_lost_it(proved):
    """
    By the cookie that the app gave: the request, the status, and which process had answered what.
    """
    proof = proved(SESSION)

    (found,) = proof.findings
    assert (found.rule.id, found.culprit, proof.requests, proof.not_run) == ("TF601", "GET /me", 3, "")
    assert "GET /me otherwise than one does: 401 for 200" in found.message
    assert "had gone to process" in found.message
    assert found.evidence["asked"].startswith("GET /me -> 401 (process ")


def test_what_is_in_memory_is_found_in_the_body_too(proved):
    """
    By its field, without its value; what the body says of the process itself is volatile.
    """
    found = {each.culprit: each for each in proved(CART, count=3).findings}

    assert "another body, in cart.items" in found["GET /cart"].message
    assert "tea" not in found["GET /cart"].message
    assert "3 processes in turn" in found["GET /cart"].message


def test_what_is_in_redis_is_no_finding(proved):
    """
    The same requests, though the lists are longer each time and every body has a token of its own.
    """
    with engines.redis() as url:
        proof = proved(SESSION + CART, KEEP_IN=url)

    assert (proof.findings, proof.not_run, str(proof)) == ((), "", "5 requests")


@pytest.mark.parametrize("requests", [1, 2, 5, 16, 40])
@pytest.mark.parametrize("count", [2, 3])
def test_every_two_requests_meet_two_processes_in_some_round(requests, count):
    """
    Up to a distance of sixteen; and every request meets two over the rounds.
    """
    turns = [[who % count for who in turn] for turn in _turns(requests, count)]

    for one in range(requests):
        assert len({turn[one] for turn in turns}) > 1
        for other in range(one + 1, min(one + 16, requests)):
            assert any(turn[one] != turn[other] for turn in turns), (one, other)


def test_a_single_request_meets_every_process(proved):
    """
    A counter that is told grows by one each time, in whichever process.
    """
    assert [each.culprit for each in proved([Request("POST", "/cart")]).findings] == ["POST /cart"]


@pytest.fixture
def script(tmp_path):
    from twelvefactor.testing.driving import run_script

    (tmp_path / "shop.py").write_text(SCRIPT)
    return {"shop.py": lambda url: run_script(str(tmp_path / "shop.py"), url, {})}


def test_a_script_that_passes_with_one_process_only(proved, script):
    """
    Is named, with the pair of requests that shows it.
    """
    (found,) = proved(scripts=script).findings

    assert found.culprit == "GET /cart"
    assert "shop.py passes with one process and fails with 2 in turn; POST /cart had gone to process" in found.message


def test_a_script_that_passes_with_both(proved, script):
    """
    Its state is in Redis.
    """
    with engines.redis() as url:
        proof = proved(scripts=script, KEEP_IN=url)

    assert (proof.findings, str(proof)) == ((), "1 script")


def test_nothing_is_proved_by_what_fails_with_one_process(proved):
    """
    It says nothing of sharing.
    """
    proof = proved(scripts={"wrong": lambda url: "no such thing"})

    assert proof.not_run == "no request was answered alike twice by one process"


def test_nothing_is_proved_where_nothing_asks(proved):
    """
    No process is started for it.
    """
    assert proved().not_run == "nothing drove it"


def test_nothing_is_proved_where_only_one_process_can_run(proved, tmp_path):
    """
    Why the other did not come up is told.
    """
    proof = proved(CART, ALONE=str(tmp_path / "lock"))

    assert proof.not_run.startswith("another process did not come up")
    assert (str(proof), proof.findings) == ("", ())


class TestAnswers:
    """What of an answer can be compared."""

    def answer(self, body, status=200, kind="application/json"):
        return Answer.of(status, kind, body)

    def test_a_list_that_grows_is_volatile(self):
        """
        Whole: what stands in a place once is elsewhere the next time.
        """
        same = common([self.answer(b'{"a": [1], "b": 2}'), self.answer(b'{"a": [1, 1], "b": 2}')])

        assert difference(same, self.answer(b'{"a": [7, 8], "b": 2}')) == ""
        assert difference(same, self.answer(b'{"a": [1], "b": 3}')) == "another body, in b"

    def test_text_is_compared_by_its_words(self):
        """
        A page without its token, and lines of JSON that are as many.
        """
        pages = [self.answer(f"<p>token {n}\n<p>ann is here".encode(), kind="text/html") for n in (1, 2, 3)]
        gone = self.answer(b"<p>token 4\n<p>nobody is here", kind="text/html")

        assert difference(common(pages[:2]), pages[2]) == ""
        assert difference(common(pages[:2]), gone) == "another body"

    def test_another_status_each_time_is_no_answer_to_compare(self):
        """
        The second time a name may be taken.
        """
        assert common([self.answer(b"", 201), self.answer(b"", 409)]) is None

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff\x00", b"null", b"[]", b'{"a": {}}', b'"x"'])
    def test_any_body_equals_itself(self, body):
        """
        Whatever it is.
        """
        assert difference(common([self.answer(body), self.answer(body)]), self.answer(body)) == ""
