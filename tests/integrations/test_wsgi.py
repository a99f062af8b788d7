"""WSGI, called as a server calls an app, with the standard library's validator on both sides."""

import io
import os
import sys
from wsgiref.handlers import SimpleHandler
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

import twelvefactor as tf

TRACE = "0af7651916cd43dd8448eb211c80319c"


class Answer:
    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        self.status = int(status.split()[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def environ_of(path="/", method="GET", **headers):
    environ = {
        "PATH_INFO": path,
        "REQUEST_METHOD": method,
        "REMOTE_ADDR": "10.0.0.9",
        "QUERY_STRING": "q=1",
        "SCRIPT_NAME": "",
    }
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    setup_testing_defaults(environ)
    return environ


class Handler(SimpleHandler):
    """The standard library's own server side; its errors go to the test."""

    http_version = "1.1"
    wsgi_run_once = False
    os_environ = {}

    def log_exception(self, exc_info):
        self.raised = exc_info[1]


def call(app, path="/", method="GET", *, valid=True, **headers):
    """Serve one request as PEP 3333 says; the answer, with what the app raised at `.raised`."""
    out = io.BytesIO()
    environ = environ_of(path, method, **headers)
    del environ["wsgi.input"], environ["wsgi.errors"]
    handler = Handler(io.BytesIO(), out, io.StringIO(), environ, multithread=False, multiprocess=False)
    handler.raised = None
    handler.run(validator(app) if valid else app)
    answer = Answer(out.getvalue())
    answer.raised = handler.raised
    return answer


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def wrap(shop, app, **options):
    """Our middleware between two validators: what it makes of the app is valid, and so is how it calls it."""
    return shop.service.wsgi(validator(app), **options)


def test_an_access_event_says_what_happened(shop):
    """
    Method, path without query, route, status, duration, bytes, client and the request's id, once.
    """
    answer = call(wrap(shop, hello), "/things/7")

    event = shop.request
    assert (answer.status, answer.body) == (200, b"hello")
    assert (event["method"], event["path"], event["route"]) == ("GET", "/things/7", None)
    assert (event["status"], event["bytes"], event["client"]) == (200, 5, "10.0.0.9")
    assert (event["level"], event["outcome"]) == ("info", "ok")
    assert 0 <= event["duration_ms"] < 10_000
    assert event["request_id"] == answer.headers["x-request-id"] == event["work_id"]
    assert shop.idle


def test_a_well_formed_request_id_is_taken_and_echoed(shop):
    """
    On the event and in the answer.
    """
    answer = call(wrap(shop, hello), x_request_id="abc-1")

    assert answer.headers["x-request-id"] == shop.request["request_id"] == "abc-1"


@pytest.mark.parametrize("given", ["a b", "x" * 129, "<b>", "é", "a,b"])
def test_a_malformed_request_id_is_replaced(shop, given):
    """
    By one of ours; two of them, which a server joins with a comma, are none.
    """
    answer = call(wrap(shop, hello), x_request_id=given)

    assert answer.headers["x-request-id"] == shop.request["work_id"]


def test_the_callers_trace_is_bound(shop):
    """
    For the app, and on every event.
    """
    seen = []

    def app(environ, start_response):
        work = tf.current_work()
        seen.append((work.trace_id, work.trace_state, work.carrier is environ))
        return hello(environ, start_response)

    call(shop.service.wsgi(app), traceparent=f"00-{TRACE}-{'1' * 16}-01", tracestate="rojo=1")

    assert seen == [(TRACE, "rojo=1", True)]
    assert shop.request["trace_id"] == TRACE


def test_a_malformed_traceparent_costs_nothing_but_the_trace(shop):
    """
    The request is served, without a trace.
    """
    assert call(wrap(shop, hello), traceparent="nonsense").status == 200
    assert "trace_id" not in shop.request


def test_a_generator_is_in_flight_until_it_is_closed(shop):
    """
    Its chunks are made in the request's own context, and counted.
    """
    seen = []

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        for chunk in (b"ab", b"cde"):
            seen.append((len(shop.service.in_flight), tf.current_work().request_id))
            yield chunk

    answer = call(wrap(shop, app), x_request_id="g-1")

    assert (answer.body, seen) == (b"abcde", [(1, "g-1"), (1, "g-1")])
    assert shop.request["bytes"] == 5
    assert shop.idle


def test_close_is_called_once_and_ends_the_request(shop):
    """
    What PEP 3333 promises to the app.
    """
    closed = []

    class Chunks:
        def __iter__(self):
            return iter([b"a"])

        def close(self):
            closed.append(len(shop.service.in_flight))

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Chunks()

    call(shop.service.wsgi(app))

    assert closed == [1]
    assert shop.idle


def test_write_is_counted(shop):
    """
    The old imperative way.
    """

    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"abc")
        return [b"de"]

    assert call(wrap(shop, app)).body == b"abcde"
    assert shop.request["bytes"] == 5


def test_exc_info_replaces_the_answer(shop):
    """
    An app's error handler starts its response anew; the last one counts.
    """

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"sorry"]

    answer = call(wrap(shop, app))

    assert (answer.status, shop.request["status"], shop.request["outcome"]) == (500, 500, "error")
    assert "x-request-id" in answer.headers


def test_the_servers_file_wrapper_stays_one(shop, tmp_path):
    """
    So that the server can send the file itself; the request ends when the server closes it.
    """
    file = tmp_path / "page"
    file.write_bytes(b"x" * 10_000)
    results = []

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "10000")])
        return environ["wsgi.file_wrapper"](file.open("rb"))

    wrapped = shop.service.wsgi(app)

    def server_side(environ, start_response):
        results.append(wrapped(environ, start_response))
        return results[0]

    answer = call(server_side, valid=False)

    assert isinstance(results[0], FileWrapper)
    assert len(answer.body) == 10_000
    assert shop.request["bytes"] == 10_000
    assert results[0].filelike.closed
    assert shop.idle


def test_a_list_keeps_its_length(shop):
    """
    A server works out Content-Length from a single chunk.
    """
    assert call(shop.service.wsgi(hello), valid=False).headers["content-length"] == "5"


def test_an_unhandled_exception_is_one_event_and_goes_on(shop):
    """
    One traceback, one access event with the 500 that the server makes, and the exception itself for the server.
    """
    error = ValueError("no such order")

    def app(environ, start_response):
        raise error

    answer = call(wrap(shop, app), "/orders/7")

    (told,) = shop.said("request.failed")
    assert answer.raised is error
    assert error.__twelvefactor_told__
    assert (told["exception_type"], told["path"]) == ("ValueError", "/orders/7")
    assert (shop.request["status"], shop.request["outcome"], shop.request["level"]) == (500, "error", "error")
    assert shop.idle


def test_an_exception_in_a_generator_is_one_event_and_goes_on(shop):
    """
    In the middle of the answer.
    """

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"ab"
        raise ValueError

    answer = call(wrap(shop, app))

    assert isinstance(answer.raised, ValueError)
    assert len(shop.said("request.failed")) == 1
    assert (shop.request["bytes"], shop.request["outcome"]) == (2, "error")
    assert shop.idle


def test_an_exception_in_close_is_one_event(shop):
    """
    The answer is out, its event says what happened to it.
    """

    class Chunks:
        def __iter__(self):
            return iter([b"a"])

        def close(self):
            raise ValueError

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Chunks()

    chunks = shop.service.wsgi(app)(environ_of(), lambda *args: None)
    assert list(chunks) == [b"a"]
    with pytest.raises(ValueError):
        chunks.close()

    assert len(shop.said("request.failed")) == 1
    assert shop.request["outcome"] == "error"
    assert shop.idle


def test_a_client_that_leaves_is_no_error(shop):
    """
    The server stops iterating and closes: a generator sees GeneratorExit, the request ends.
    """

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"ab"
        yield b"cd"

    chunks = shop.service.wsgi(app)(environ_of(), lambda *args: None)
    next(iter(chunks))
    chunks.close()

    assert (shop.request["outcome"], shop.request["bytes"], shop.request["level"]) == ("disconnected", 2, "info")
    assert shop.idle


def test_a_server_that_forgets_to_close_leaves_nothing_in_flight(shop):
    """
    The end of the iterator's life is the end of the request.
    """
    chunks = shop.service.wsgi(hello)(environ_of(), lambda *args: None)
    assert list(chunks) == [b"hello"]
    del chunks

    assert shop.idle
    assert shop.request["status"] == 200


def test_an_app_that_starts_no_response_is_told(shop):
    """
    The server's own error says so too.
    """

    def app(environ, start_response):
        return []

    call(shop.service.wsgi(app), valid=False)

    assert (shop.request["status"], shop.request["outcome"], shop.request["level"]) == (500, "no response", "error")
    assert shop.idle


def test_a_response_that_is_started_twice_is_the_servers_error(shop):
    """
    Without exc_info it is forbidden: one event, and the request is over.
    """

    def app(environ, start_response):
        start_response("200 OK", [])
        start_response("201 Created", [])
        return []

    answer = call(shop.service.wsgi(app), valid=False)

    assert isinstance(answer.raised, AssertionError)
    assert len(shop.said("request.failed")) == 1
    assert shop.idle


def test_applied_twice_it_counts_once_and_says_so(shop):
    """
    One access event, one warning for the life of the process.
    """
    app = shop.service.wsgi(shop.service.wsgi(hello))
    call(app)
    call(app)

    assert len(shop.requests) == 2
    assert len(shop.said("twelvefactor.applied_twice")) == 1


def test_two_services_each_tell_their_own(make_shop):
    """
    An app of one inside an app of the other.
    """
    outer, inner = make_shop(), make_shop()
    call(outer.service.wsgi(inner.service.wsgi(hello)))

    assert (outer.request["status"], inner.request["status"]) == (200, 200)
    assert outer.idle
    assert inner.idle


def test_mode_off_passes_straight_through(make_shop):
    """
    Not a header, not an event, not a probe.
    """
    shop = make_shop({"TWELVEFACTOR_MODE": "off"})
    answer = call(shop.service.wsgi(hello), "/livez")

    assert answer.body == b"hello"
    assert "x-request-id" not in answer.headers
    assert shop.requests == []


def test_the_path_includes_where_the_app_is_mounted(shop):
    """
    SCRIPT_NAME and PATH_INFO, whatever a dispatcher inside moves between them.
    """

    def app(environ, start_response):
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/api/v1", "/x"
        return hello(environ, start_response)

    environ = environ_of("/v1/x") | {"SCRIPT_NAME": "/api"}
    list(shop.service.wsgi(app)(environ, lambda *args: None))

    assert shop.request["path"] == "/api/v1/x"


def test_the_first_request_starts_the_service_and_others_wait(shop):
    """
    Two threads at once: neither overtakes the ready hook, which runs once.
    """
    import threading

    order, inside, go_on = [], threading.Event(), threading.Event()

    @shop.service.on_ready
    def connect():
        order.append("connecting")
        inside.set()
        assert go_on.wait(10)
        order.append("connected")

    def app(environ, start_response):
        order.append("app")
        return hello(environ, start_response)

    wrapped = shop.service.wsgi(app)
    threads = [threading.Thread(target=call, args=(wrapped,)) for _ in range(2)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(10)

    assert order == ["connecting", "connected", "app", "app"]


def test_a_start_that_fails_is_told_and_tried_again(shop):
    """
    No request is served by half a service.
    """
    tries = []

    @shop.service.on_ready
    def connect():
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("no database")

    app = shop.service.wsgi(hello)
    first = call(app)
    second = call(app)

    assert isinstance(first.raised, ConnectionError)
    assert second.status == 200
    assert [event["fault_in"] for event in shop.said("twelvefactor.fault")].count("start") == 1


def test_the_work_gets_a_fresh_context_in_each_thread(shop):
    """
    When the answer is closed nobody's work is at hand any more.
    """
    call(wrap(shop, hello))

    assert tf.current_work() is None


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_that_a_request_forks_has_none_of_its_work_and_serves_its_own(shop):
    """
    As a pre-forking server and `multiprocessing` do it: the parent's request goes on, the child begins anew.
    """

    def forks(environ, start_response):
        child = os.fork()
        if child == 0:
            served = shop.idle and call(shop.service.wsgi(hello)).status == 200 and shop.idle
            os._exit(0 if served else 1)
        _, status = os.waitpid(child, 0)
        start_response(f"{200 + os.waitstatus_to_exitcode(status)} From child", [("Content-Type", "text/plain")])
        return [b"ok"]

    assert call(shop.service.wsgi(forks)).status == 200
    assert shop.idle
