"""HTTP over ASGI, called as a server calls an app."""

import asyncio
import inspect

import pytest

import twelvefactor as tf
from tests.integrations.conftest import acall, call, http_scope
from twelvefactor.disposability.lifecycle import State

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
DISCONNECT = {"type": "http.disconnect"}


def start(status=200, headers=()):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data=b"hello", more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


def sends(*messages):
    """An app that sends *messages* and returns."""

    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    return app


hello = sends(start(), body())


def raises(error, *before):
    async def app(scope, receive, send):
        for message in before:
            await send(message)
        raise error

    return app


# -- the access event


def test_an_access_event_says_what_happened(shop):
    """
    Method, path without query, route, status, duration, bytes, client and the request's id, once.
    """
    answer = call(shop.service.asgi(hello), "/things/7", "POST")

    event = shop.request
    assert (event["method"], event["path"], event["route"]) == ("POST", "/things/7", None)
    assert (event["status"], event["bytes"], event["client"]) == (200, 5, "10.0.0.9")
    assert (event["level"], event["outcome"]) == ("info", "ok")
    assert 0 <= event["duration_ms"] < 10_000
    assert event["request_id"] == answer.headers["x-request-id"] == event["work_id"]
    assert shop.idle


def test_a_client_on_a_unix_socket_has_no_address(shop):
    """
    The scope's client may be None.
    """
    asyncio.run(acall(shop.service.asgi(hello), http_scope(client=None)))

    assert shop.request["client"] is None


def test_the_bytes_of_a_stream_are_all_counted(shop):
    """
    Chunk by chunk.
    """
    call(shop.service.asgi(sends(start(), body(b"ab", True), body(b"cde", True), body(b""))))

    assert shop.request["bytes"] == 5


def test_a_served_file_is_an_answer(shop):
    """
    `http.response.pathsend` ends a response as a last body does.
    """
    call(shop.service.asgi(sends(start(), {"type": "http.response.pathsend", "path": "/etc/hostname"})))

    assert (shop.request["status"], shop.request["outcome"]) == (200, "ok")


def test_a_servers_error_is_told_as_one(shop):
    """
    A 5xx that the app itself answers.
    """
    call(shop.service.asgi(sends(start(503), body())))

    assert (shop.request["level"], shop.request["status"], shop.request["outcome"]) == ("error", 503, "error")


def test_the_client_has_its_answer_before_the_event_is_written(shop):
    """
    A stream that is held up holds up nobody's answer.
    """
    told_when_sent = []

    async def send(message):
        told_when_sent.append(len(shop.requests))

    async def receive():
        return {"type": "http.request"}

    asyncio.run(shop.service.asgi(hello)(http_scope(), receive, send))

    assert told_when_sent == [0, 0]
    assert shop.request["status"] == 200


def test_the_apps_own_message_is_left_as_it_is(shop):
    """
    An app may send the same message object again and again.
    """
    message = start(200, [(b"content-type", b"text/plain")])
    app = shop.service.asgi(sends(message, body()))
    call(app)
    call(app)

    assert message == start(200, [(b"content-type", b"text/plain")])


# -- ids


def test_a_well_formed_request_id_is_taken_and_echoed(shop):
    """
    On every event of the request and in the answer.
    """
    answer = call(shop.service.asgi(hello), headers=[("X-Request-ID", "abc-1")])

    assert answer.headers["x-request-id"] == "abc-1"
    assert shop.request["request_id"] == "abc-1"
    assert shop.request["work_id"] != "abc-1"


@pytest.mark.parametrize("given", ["a b", "x" * 129, "<b>", "é"])
def test_a_malformed_request_id_is_replaced(shop, given):
    """
    By one of ours; nothing of the malformed one comes back.
    """
    answer = call(shop.service.asgi(hello), headers=[("X-Request-ID", given)])

    assert answer.headers["x-request-id"] == shop.request["work_id"]


def test_the_header_of_the_request_id_can_be_named(shop):
    """
    `request_id_header`, in and out.
    """
    app = shop.service.asgi(hello, request_id_header="X-Correlation-ID")
    answer = call(app, headers=[("X-Correlation-ID", "c-1"), ("X-Request-ID", "r-1")])

    assert answer.headers["x-correlation-id"] == "c-1"
    assert shop.request["request_id"] == "c-1"


def test_an_id_that_the_app_sets_itself_is_left(shop):
    """
    No header twice.
    """
    answer = call(shop.service.asgi(sends(start(200, [(b"x-request-id", b"mine")]), body())))

    assert [value for name, value in answer.sent[0]["headers"] if name == b"x-request-id"] == [b"mine"]


def test_the_callers_trace_is_on_every_event(shop):
    """
    `traceparent` and `tracestate` are bound while the app runs.
    """
    seen = {}

    async def app(scope, receive, send):
        work = tf.current_work()
        seen.update(trace=work.trace_id, state=work.trace_state, flags=work.trace_flags)
        shop.service.log.info("inside")
        await hello(scope, receive, send)

    call(shop.service.asgi(app), headers=[("traceparent", PARENT), ("tracestate", "rojo=1")])

    assert seen == {"trace": TRACE, "state": "rojo=1", "flags": "01"}
    assert {event["trace_id"] for event in shop.said("inside", "request")} == {TRACE}


def test_a_malformed_traceparent_costs_nothing_but_the_trace(shop):
    """
    The request is served, without a trace.
    """
    answer = call(shop.service.asgi(hello), headers=[("traceparent", "00-zzz-1-01")])

    assert answer.status == 200
    assert "trace_id" not in shop.request


# -- the unit of work


def test_the_work_carries_the_scope_and_gets_the_routes_name(shop):
    """
    What observers see: the scope while it runs; a bare callable has no route, so the path stays the name.
    """
    seen = []

    class Observer:
        def begin(self, work):
            seen.append(("begin", work.kind, work.name, work.carrier["method"]))

        def end(self, work):
            seen.append(("end", work.outcome, work.name, work.carrier["method"]))

    shop.service.in_flight.observe(Observer())
    call(shop.service.asgi(hello), "/a")

    assert seen == [("begin", "request", "/a", "GET"), ("end", "ok", "/a", "GET")]


def test_a_request_is_in_flight_until_its_background_work_is_done(shop):
    """
    The answer and its event are out; the process must still wait.
    """
    seen = []

    async def app(scope, receive, send):
        await hello(scope, receive, send)
        seen.extend([len(shop.requests), len(shop.service.in_flight)])

    call(shop.service.asgi(app))

    assert seen == [1, 1]
    assert shop.idle


def test_nothing_of_a_request_is_kept_alive_by_a_circle(shop):
    """
    The work is freed when the request ends, without the garbage collector.
    """
    import gc
    import weakref

    seen = []

    async def app(scope, receive, send):
        seen.append(weakref.ref(tf.current_work()))
        await hello(scope, receive, send)

    wrapped = shop.service.asgi(app)
    call(wrapped)
    gc.disable()
    try:
        call(wrapped)
        assert seen[1]() is None
    finally:
        gc.enable()


def test_a_longer_stream_is_marked_as_one_and_a_plain_answer_is_not(shop):
    """
    A stream leaves the barrier of the leak watch; one chunk and an end do not make one.
    """
    marks = []

    class Observer:
        def begin(self, work):
            pass

        def end(self, work):
            marks.append(work.streaming)

    shop.service.in_flight.observe(Observer())
    call(shop.service.asgi(sends(start(), body(b"a", True), body(b""))))
    call(shop.service.asgi(sends(start(), body(b"a", True), body(b"b", True), body(b""))))

    assert marks == [False, True]


# -- what goes wrong


def test_an_unhandled_exception_is_one_event_and_goes_on(shop):
    """
    One traceback, one access event with the 500 that the server makes, and the exception itself for the server.
    """
    error = ValueError("no such order")
    with pytest.raises(ValueError) as raised:
        call(shop.service.asgi(raises(error)), "/orders/7")

    (told,) = shop.said("request.failed")
    assert raised.value is error
    assert (told["exception_type"], told["path"]) == ("ValueError", "/orders/7")
    assert "raise error" in told["exception"]
    assert (shop.request["status"], shop.request["outcome"], shop.request["level"]) == (500, "error", "error")
    assert shop.idle


def test_an_exception_in_the_middle_of_a_stream_keeps_the_status_that_was_sent(shop):
    """
    The client has seen a 200.
    """
    with pytest.raises(ValueError):
        call(shop.service.asgi(raises(ValueError(), start(), body(b"ab", True))))

    assert (shop.request["status"], shop.request["bytes"], shop.request["outcome"]) == (200, 2, "error")
    assert len(shop.said("request.failed")) == 1


def test_an_exception_after_the_answer_is_told_and_the_answer_stands(shop):
    """
    As of a background task: the access event was right when it was said.
    """
    with pytest.raises(ValueError):
        call(shop.service.asgi(raises(ValueError(), start(), body())))

    assert (shop.request["status"], shop.request["outcome"]) == (200, "ok")
    assert len(shop.said("request.failed")) == 1
    assert shop.idle


def test_a_frozen_exception_is_marked_too(shop):
    """
    One whose class forbids new attributes: the server's record is to be known all the same.
    """
    import dataclasses

    @dataclasses.dataclass(frozen=True)
    class Frozen(Exception):
        code: int

    with pytest.raises(Frozen) as raised:
        call(shop.service.asgi(raises(Frozen(1))))

    assert raised.value.__twelvefactor_told__


def test_an_app_that_sends_nothing_is_told(shop):
    """
    A server makes a 500 of it.
    """
    call(shop.service.asgi(sends()))

    assert (shop.request["status"], shop.request["outcome"], shop.request["level"]) == (500, "no response", "error")
    assert shop.idle


def test_an_answer_without_an_end_is_told(shop):
    """
    The app returned in the middle of its body.
    """
    call(shop.service.asgi(sends(start(), body(b"ab", True))))

    assert (shop.request["status"], shop.request["outcome"], shop.request["level"]) == (200, "incomplete", "warning")


def test_what_is_sent_twice_or_after_the_end_goes_to_the_server_and_counts_once(shop):
    """
    The server's own error says what is wrong; our event tells the first answer.
    """
    answer = call(shop.service.asgi(sends(start(201), start(202), body(), start(203), body(b"more"))))

    assert [message.get("status") for message in answer.sent] == [201, 202, None, 203, None]
    assert (shop.request["status"], shop.request["bytes"]) == (201, 5)


def test_a_disconnect_is_told_as_one(shop):
    """
    The app saw `http.disconnect` and left: neither its error nor a warning.
    """

    async def app(scope, receive, send):
        await send(start())
        await send(body(b"ab", True))
        assert await receive() == DISCONNECT

    call(shop.service.asgi(app), incoming=[DISCONNECT])

    assert (shop.request["outcome"], shop.request["level"], shop.request["status"]) == ("disconnected", "info", 200)
    assert shop.idle


def test_a_disconnect_before_any_answer_has_no_status(shop):
    """
    Nobody was answered.
    """

    async def app(scope, receive, send):
        await receive()

    call(shop.service.asgi(app), incoming=[DISCONNECT])

    assert (shop.request["outcome"], shop.request["status"]) == ("disconnected", None)


def test_an_error_of_the_apps_own_after_the_client_left_is_still_an_error(shop):
    """
    A disconnect hides no mistake.
    """

    async def app(scope, receive, send):
        await receive()
        raise ValueError

    with pytest.raises(ValueError):
        call(shop.service.asgi(app), incoming=[DISCONNECT])

    assert shop.request["outcome"] == "error"
    assert len(shop.said("request.failed")) == 1


def test_a_cancelled_request_is_told_and_no_traceback(shop):
    """
    A server that gives up cancels the task.
    """

    async def app(scope, receive, send):
        await asyncio.Event().wait()

    async def main():
        task = asyncio.create_task(acall(shop.service.asgi(app), http_scope()))
        while shop.idle:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(main())

    assert (shop.request["outcome"], shop.request["level"], shop.request["status"]) == ("cancelled", "warning", None)
    assert not shop.said("request.failed")
    assert shop.idle


def test_a_request_whose_time_is_over_is_cut(shop):
    """
    The drain's last resort ends the task that serves it.
    """

    async def app(scope, receive, send):
        await asyncio.Event().wait()

    async def main():
        task = asyncio.create_task(acall(shop.service.asgi(app), http_scope()))
        while shop.idle:
            await asyncio.sleep(0)
        for work in shop.service.in_flight:
            for cutter in shop.service.cutters:
                cutter(work)
        await asyncio.wait([task], timeout=10)
        assert task.cancelled()

    asyncio.run(main())
    assert shop.idle


# -- how it is put around the app


def test_servers_see_a_coroutine_function(shop):
    """
    An instance whose call is one: how each server tells ASGI 3 from ASGI 2 and WSGI.
    """
    app = shop.service.asgi(hello)

    assert inspect.iscoroutinefunction(app.__call__)
    assert asyncio.iscoroutinefunction(app.__call__)
    assert app.app is hello


def test_applied_twice_it_counts_once_and_says_so(shop):
    """
    One access event, one header, one warning for the life of the process.
    """
    app = shop.service.asgi(shop.service.asgi(hello))
    answer = call(app)
    call(app)

    assert [name for name, _ in answer.sent[0]["headers"]].count(b"x-request-id") == 1
    assert len(shop.requests) == 2
    assert len(shop.said("twelvefactor.applied_twice")) == 1


def test_two_services_each_tell_their_own(make_shop):
    """
    An app of one mounted in an app of the other: an access event of each, and one warning that there are two.
    """
    outer, inner = make_shop(), make_shop()
    call(outer.service.asgi(inner.service.asgi(hello)))

    assert (outer.request["status"], inner.request["status"]) == (200, 200)
    assert outer.idle
    assert inner.idle
    assert len(inner.said("twelvefactor.second_service")) == 1


def test_mode_off_passes_straight_through(make_shop):
    """
    Not a header, not an event, not a probe.
    """
    shop = make_shop({"TWELVEFACTOR_MODE": "off"})
    scope = http_scope("/livez")
    answer = asyncio.run(acall(shop.service.asgi(hello), scope))

    assert (answer.body, answer.headers) == (b"hello", {})
    assert shop.requests == []
    assert not shop.service.started


def test_other_kinds_of_scope_are_passed_on(shop):
    """
    What a server may invent.
    """
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    asyncio.run(shop.service.asgi(app)({"type": "tea"}, None, None))

    assert seen == [{"type": "tea"}]


# -- starting without a lifespan


def test_without_a_lifespan_the_first_request_starts_the_service(shop):
    """
    Ready hooks run before the app does, once.
    """
    order = []
    shop.service.on_ready(lambda: order.append("ready"))

    async def app(scope, receive, send):
        order.append("app")
        await hello(scope, receive, send)

    wrapped = shop.service.asgi(app)
    call(wrapped)
    call(wrapped)

    assert order == ["ready", "app", "app"]


def test_requests_wait_until_a_late_start_is_over(shop):
    """
    Two first requests at once: neither overtakes the ready hooks, which run once.
    """
    order = []

    @shop.service.on_ready
    async def connect():
        order.append("connecting")
        await asyncio.sleep(0.01)
        order.append("connected")

    async def app(scope, receive, send):
        order.append("app")
        await hello(scope, receive, send)

    wrapped = shop.service.asgi(app)

    async def main():
        await asyncio.gather(acall(wrapped, http_scope()), acall(wrapped, http_scope()))

    asyncio.run(main())

    assert order == ["connecting", "connected", "app", "app"]


def test_a_late_start_that_fails_is_told_and_tried_again(shop):
    """
    The request fails, the next one starts anew: no request is served by half a service.
    """
    tries = []

    @shop.service.on_ready
    def connect():
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("no database")

    app = shop.service.asgi(hello)
    with pytest.raises(ConnectionError):
        call(app)

    assert call(app).status == 200
    assert [event["fault_in"] for event in shop.said("twelvefactor.fault")].count("start") == 1


# -- draining


def test_while_draining_a_kept_connection_is_closed(shop):
    """
    HTTP/1.1 only: in HTTP/2 the header is forbidden.
    """
    app = shop.service.asgi(sends(start(200, [(b"Connection", b"keep-alive")]), body()))
    call(app)
    shop.service._shutdown.lifecycle.set(State.DRAINING)

    assert call(app).headers["connection"] == "close"
    answer = asyncio.run(acall(app, http_scope(http_version="2")))
    assert "connection" not in answer.headers
