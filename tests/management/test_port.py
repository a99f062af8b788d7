"""The management port: who may ask it, what it answers, and how long it is there."""

import asyncio
import os
import socket
import threading
import time

import pytest

import twelvefactor as tf
from tests.management.conftest import wait_for
from twelvefactor.factor import Finding
from twelvefactor.management import port as module
from twelvefactor.processes.rules import TF601

TOKEN = "correct-horse-battery-staple"


def test_it_is_off_unless_asked_for(make_shop):
    """
    Without the variable nothing listens and no thread is there.
    """
    made = make_shop(TWELVEFACTOR_MANAGEMENT_PORT="")
    made.service.start()

    assert made.service._management is None
    assert not [each for each in threading.enumerate() if "management" in each.name]


@pytest.mark.parametrize("path", ["/", "/version", "/score", "/findings", "/evidence", "/metrics", "/loglevel"])
def test_it_answers_on_the_loopback(shop, path):
    """
    Every path of its own; what it answers is never kept by a cache.
    """
    status, headers, told = shop.ask(path)

    assert (status, headers["cache-control"]) == (200, "no-store")
    assert told


def test_probes_follow_the_life_of_the_process(make_shop):
    """
    Start-up and readiness turn green when the process is ready, and readiness red when it drains; liveness stays green.
    """
    made = make_shop(TWELVEFACTOR_DRAIN_DELAY="0")
    made.service.start()
    before = {path: made.ask(path)[0] for path in ("/livez", "/readyz", "/startupz")}
    made.service.ready()
    ready = {path: made.ask(path)[0] for path in ("/livez", "/readyz", "/startupz")}
    made.service.drain().wait(5)
    draining = {path: made.ask(path)[0] for path in ("/livez", "/readyz", "/startupz")}

    assert before == {"/livez": 200, "/readyz": 503, "/startupz": 503}
    assert set(ready.values()) == {200}
    assert draining == {"/livez": 200, "/readyz": 503, "/startupz": 200}


def test_it_answers_while_the_process_finishes(shop):
    """
    Shutdown hooks still run and it tells so; when the service is closed the port is free again.
    """
    seen = []
    shop.service.on_shutdown(lambda: seen.append(shop.ask("/score")))
    port = shop.port
    shop.service.close()

    (status, _, told) = seen[0]
    assert (status, told["state"]) == (200, "stopping")
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_liveness_is_red_while_the_event_loop_is_stuck(shop, monkeypatch):
    """
    The loop gives no sign of life: 503 and why; it turns again: 200.
    """
    monkeypatch.setattr(module, "_TICK", 0.02)
    stuck, release, alive = threading.Event(), threading.Event(), threading.Event()

    async def serve():
        shop.service.serves()
        await asyncio.sleep(0)
        stuck.set()
        release.wait(10)
        while not alive.is_set():
            await asyncio.sleep(0.01)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    stuck.wait(5)
    try:
        wait_for(lambda: shop.ask("/livez")[0] == 503)
        told = shop.ask("/livez")[2]
        release.set()
        wait_for(lambda: shop.ask("/livez")[0] == 200)
    finally:
        release.set()
        alive.set()
        thread.join(5)

    assert told == {"status": "the event loop is stuck"}


def test_a_loop_that_is_closed_is_not_stuck(shop, monkeypatch):
    """
    A test client's loop ends before the service does.
    """
    monkeypatch.setattr(module, "_TICK", 0.01)

    async def serve():
        shop.service.serves()

    asyncio.run(serve())
    time.sleep(0.3)  # twenty beats

    assert shop.ask("/livez")[0] == 200


class TestWhoMayAsk:
    """The token, the loopback, and pages in a browser."""

    def test_with_a_token_only_who_knows_it(self, make_shop):
        """
        No token, a wrong one and a shorter one are 401 and one event; probes are for everybody.
        """
        made = make_shop(TWELVEFACTOR_MANAGEMENT_TOKEN=TOKEN)
        made.service.start()
        answers = [
            made.ask("/score"),
            made.ask("/score", Authorization="Bearer wrong"),
            made.ask("/score", Authorization=f"Bearer {TOKEN[:-1]}"),
            made.ask("/score", Authorization=TOKEN),
        ]

        assert {status for status, _, _ in answers} == {401}
        assert answers[0][1]["www-authenticate"] == "Bearer"
        assert made.ask("/score", Authorization=f"Bearer {TOKEN}")[0] == 200
        assert made.ask("/livez")[0] == 200
        (denied,) = made.said("twelvefactor.management.denied")
        assert denied["path"] == "/score"

    def test_the_token_may_lie_in_a_file(self, make_shop, tmp_path):
        """
        As platforms mount secrets.
        """
        (tmp_path / "token").write_text(f"{TOKEN}\n")
        made = make_shop(TWELVEFACTOR_MANAGEMENT_TOKEN_FILE=str(tmp_path / "token"))
        made.service.start()

        assert made.ask("/score")[0] == 401
        assert made.ask("/score", Authorization=f"Bearer {TOKEN}")[0] == 200

    def test_beyond_the_loopback_nothing_without_a_token(self, make_shop):
        """
        On all addresses and without a token only probes are answered, and the answer names the variable.
        """
        made = make_shop(TWELVEFACTOR_MANAGEMENT_HOST="0.0.0.0")
        made.service.start()
        status, _, told = made.ask("/score")

        assert status == 403
        assert "TWELVEFACTOR_MANAGEMENT_TOKEN" in told["problem"]
        assert made.ask("/livez")[0] == 200

    def test_a_page_that_names_the_loopback_otherwise_gets_nothing(self, shop):
        """
        A browser is made to call 127.0.0.1 by another name (DNS rebinding): refused.
        """
        assert shop.ask("/score", Host="evil.example:9000")[0] == 403
        assert shop.ask("/score", Host="localhost:9000")[0] == 200

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("TWELVEFACTOR_MANAGEMENT_PORT", "http"),
            ("TWELVEFACTOR_MANAGEMENT_PORT", "70000"),
            ("TWELVEFACTOR_MANAGEMENT_HOST", "localhost"),
            ("TWELVEFACTOR_MANAGEMENT_TOKEN", "hunter2"),
            ("TWELVEFACTOR_MANAGEMENT_TOKEN_FILE", "/nowhere"),
        ],
    )
    def test_what_cannot_be_used_refuses_to_start(self, make_shop, variable, value):
        """
        One line that names the variable, and never its value.
        """
        with pytest.raises(tf.ConfigError) as refused:
            make_shop(**{variable: value})

        assert variable in str(refused.value)
        assert value not in str(refused.value)


class TestWhatItTells:
    """Score, findings, release."""

    def test_the_score_and_which_process_has_it(self, shop):
        """
        The published schema, and who answers.
        """
        shop.service.evidence.report(Finding(TF601, "it kept a basket", "shop.basket", "shop/app.py:7"))
        _, _, told = shop.ask("/score")

        assert (told["schema"], told["service"], told["release"]) == ("twelvefactor-scorecard/1", "shop", "v7")
        assert (told["pid"], told["state"], told["in_flight"]) == (os.getpid(), "ready", 0)
        assert (told["factors"][5]["verdict"], told["factors"][5]["score"]) == ("fail", 0.0)

    def test_the_score_as_an_event_on_demand(self, shop):
        """
        POST says it on the stream, as `service.report()` does.
        """
        assert shop.ask("/score")[0] == 200
        assert shop.said("twelvefactor.score") == []
        assert shop.ask("/score", "POST")[0] == 200
        (said,) = shop.said("twelvefactor.score")

        assert said["factors"].keys() == {"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"}
        assert said["score"] == sum(each for each in said["factors"].values() if not isinstance(each, str))

    def test_the_score_as_a_page(self, shop):
        """
        To a browser: one page of HTML that holds everything.
        """
        status, headers, page = shop.ask("/score", Accept="text/html,application/xhtml+xml")

        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert page.startswith("<!DOCTYPE html>")
        assert "shop, release v7" in page

    def test_the_findings(self, shop):
        """
        Each with its rule, place, count and fix.
        """
        for _ in range(3):
            shop.service.evidence.report(Finding(TF601, "it kept a basket", "shop.basket", "shop/app.py:7"))
        _, _, told = shop.ask("/findings")
        (found,) = [each for each in told["findings"] if each["rule"] == "TF601"]

        assert (found["culprit"], found["where"], found["count"]) == ("shop.basket", "shop/app.py:7", 3)
        assert found["hint"] == TF601.fix

    def test_no_value_of_the_config_is_in_any_answer(self, make_shop):
        """
        Nor is the token, and nor is a secret that the app put into a finding itself.
        """

        class Config(tf.Config):
            database_url: tf.PostgresURL
            stripe_secret_key: tf.Secret
            receipt_sender: str

        made = make_shop(
            Config,
            DATABASE_URL="postgresql://ada:l0vel4ce-pass@db.secretplace/engine",
            STRIPE_SECRET_KEY="sk_live_4242424242",
            RECEIPT_SENDER="byron@poems.example",
            TWELVEFACTOR_MANAGEMENT_TOKEN=TOKEN,
        )
        made.service.start()
        made.service.evidence.report(Finding(TF601, "kept sk_live_4242424242", "shop.basket"))
        paths = made.ask("/", Authorization=f"Bearer {TOKEN}")[2]["paths"]
        told = "".join(str(made.ask(path, Authorization=f"Bearer {TOKEN}")) for path in paths)

        assert len(paths) == 10
        for value in ("l0vel4ce-pass", "secretplace", "sk_live_4242424242", "byron@poems", TOKEN):
            assert value not in told

    def test_what_is_not_there(self, shop):
        """
        An unknown path is told the known ones, a wrong method the right ones; a body that is too large is not read.
        """
        missing, wrong = shop.ask("/secrets"), shop.ask("/score", "PUT")

        assert (missing[0], "/score" in missing[2]["paths"]) == (404, True)
        assert (wrong[0], wrong[1]["allow"]) == (405, "GET, POST")
        assert shop.ask("/loglevel", "PUT", body="x" * 5000)[0] == 413


class TestLogLevel:
    """Louder and quieter while the process runs, without a signal."""

    def test_the_level_of_all_and_of_one_logger(self, shop):
        """
        PUT changes it at once, says so on the stream, and GET tells it.
        """
        log = shop.service.stream.logger("shop.db")
        log.debug("before")
        status, _, told = shop.ask("/loglevel", "PUT", body='{"level": "debug", "logger": "shop.db"}')
        log.debug("after")

        assert (status, told) == (200, {"level": "info", "loggers": {"shop.db": "debug"}})
        assert (shop.said("before"), len(shop.said("after"))) == ([], 1)
        assert shop.said("twelvefactor.loglevel")[0]["of"] == "shop.db"
        assert shop.ask("/loglevel?level=error", "PUT")[2]["level"] == "error"

    @pytest.mark.parametrize("body", ["{}", '{"level": "loud"}', "[", '"debug"', '{"level": {}}'])
    def test_what_is_no_level(self, shop, body):
        """
        422 and an example; nothing changes.
        """
        status, _, told = shop.ask("/loglevel", "PUT", body=body)

        assert status == 422
        assert '"level": "debug"' in told["problem"]
        assert shop.ask("/loglevel")[2]["level"] == "info"


class TestSeveralProcesses:
    """One port, several that want it."""

    def test_the_second_says_so_and_takes_it_over(self, make_shop, monkeypatch):
        """
        One event; when the first closes, the second listens.
        """
        monkeypatch.setattr(module, "_TICK", 0.02)
        first = make_shop()
        first.service.start()
        second = make_shop(TWELVEFACTOR_MANAGEMENT_PORT=str(first.port))
        second.service.start()
        port = first.port
        assert second.said("twelvefactor.management.taken")[0]["port"] == port
        assert second.said("twelvefactor.management.listening") == []
        first.service.close()
        wait_for(lambda: second.port == port)

        assert second.ask("/score")[0] == 200
        assert len(second.said("twelvefactor.management.taken")) == 1

    def test_a_forked_child_does_not_hold_it(self, shop):
        """
        The child lives on when the parent gives the port back, and the port is free.
        """
        port, (reader, writer), (forked, told) = shop.port, os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.write(told, b"!")  # it has given up its copy of the socket
            os.read(reader, 1)
            os._exit(0)
        os.close(reader)
        os.close(told)
        try:
            assert os.read(forked, 1) == b"!"
            shop.service.close()
            with socket.create_server(("127.0.0.1", port)):
                pass
        finally:
            os.close(writer)
            os.close(forked)
            os.waitpid(child, 0)

    def test_an_admin_process_does_not_take_it(self, make_shop):
        """
        It would be gone in a second, and the port with it.
        """
        made = make_shop(TWELVEFACTOR_PROCESS_TYPE="admin")
        made.service.start()

        assert made.port is None


class TestBadCallers:
    """Who calls and says nothing, or nonsense."""

    def test_nonsense(self, shop):
        """
        Bytes that are no HTTP, half a request, a body shorter than told: the next caller is answered.
        """
        for sent in (b"\x16\x03\x01\x00\xff\r\n\r\n", b"GET /score HTTP/1.1\r\nHost:", b"GET / HTTP/9\r\n\r\n", b""):
            with socket.create_connection(("127.0.0.1", shop.port), 5) as caller:
                caller.sendall(sent)
        with socket.create_connection(("127.0.0.1", shop.port), 5) as caller:
            caller.sendall(b"PUT /loglevel HTTP/1.1\r\nHost: localhost\r\nContent-Length: -7\r\n\r\n")
            assert b" 413 " in caller.recv(100)

        assert shop.ask("/score")[0] == 200
        assert shop.said("twelvefactor.fault") == []

    def test_silent_ones_do_not_keep_others_out(self, shop, monkeypatch):
        """
        As many as there are places call and say nothing: they are hung up on, and the next is answered.
        """
        monkeypatch.setattr(module._Handler, "timeout", 0.2)
        silent = [socket.create_connection(("127.0.0.1", shop.port), 5) for _ in range(module._AT_ONCE)]
        try:
            assert shop.ask("/livez")[0] == 200
        finally:
            for each in silent:
                each.close()
