"""WebSockets over ASGI, called as a server calls an app."""

import asyncio

import pytest

import twelvefactor as tf

CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept"}
BYE = {"type": "websocket.disconnect", "code": 1000}


def scope(headers=()):
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    return {"type": "websocket", "path": "/chat", "headers": pairs, "client": ("10.0.0.9", 1), "root_path": ""}


def text(data):
    return {"type": "websocket.receive", "text": data}


class Peer:
    """The client and the server together: what is put in comes to the app, what the app sends is kept."""

    def __init__(self, app, *messages, headers=()):
        self.app = app
        self.incoming = asyncio.Queue()
        self.sent = []
        self.changed = asyncio.Event()
        self.scope = scope(headers)
        for message in messages:
            self.incoming.put_nowait(message)

    async def send(self, message):
        self.sent.append(message)
        self.changed.set()

    async def run(self):
        await self.app(self.scope, self.incoming.get, self.send)

    async def until(self, count):
        """Wait until the app has sent so many messages."""
        async with asyncio.timeout(10):
            while len(self.sent) < count:
                self.changed.clear()
                await self.changed.wait()


async def echo(scope, receive, send):
    assert await receive() == CONNECT
    await send(ACCEPT)
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": message["text"]})


def run(app, *messages, headers=()):
    async def main():
        peer = Peer(app, *messages, headers=headers)
        try:
            await peer.run()
        finally:
            run.sent = peer.sent
        return peer.sent

    return asyncio.run(main())


def test_a_connection_is_one_event(shop):
    """
    Path, status, code, duration, messages each way, client, ids.
    """
    sent = run(shop.service.asgi(echo), CONNECT, text("a"), text("b"), BYE, headers=[("x-request-id", "ws-1")])

    (event,) = shop.said("websocket")
    assert (event["path"], event["status"], event["code"], event["client"]) == ("/chat", 101, 1000, "10.0.0.9")
    assert (event["messages_in"], event["messages_out"], event["outcome"]) == (2, 2, "ok")
    assert event["request_id"] == "ws-1"
    assert (b"x-request-id", b"ws-1") in sent[0]["headers"]
    assert shop.idle


def test_each_message_is_a_unit_of_its_own(shop):
    """
    Work of kind message with an id of its own, in the request and the trace of the connection.
    """
    seen, over = [], []

    class Observer:
        def begin(self, work):
            pass

        def end(self, work):
            over.append((work.kind, work.id))

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        seen.append(tf.current_work())
        while (await receive())["type"] == "websocket.receive":
            seen.append(tf.current_work())

    shop.service.in_flight.observe(Observer())
    trace = "0af7651916cd43dd8448eb211c80319c"
    run(
        shop.service.asgi(app),
        CONNECT,
        text("a"),
        text("b"),
        BYE,
        headers=[("traceparent", f"00-{trace}-{'1' * 16}-01")],
    )

    assert [work.kind for work in seen] == ["websocket", "message", "message"]
    assert len({work.id for work in seen}) == 3
    assert len({work.request_id for work in seen}) == 1
    assert {work.trace_id for work in seen} == {trace}
    assert over == [("message", seen[1].id), ("message", seen[2].id), ("websocket", seen[0].id)]


def test_when_the_process_stops_the_message_in_hand_is_answered_and_then_1001(shop):
    """
    The app learns it as a disconnect at its next receive; it may still answer what it has.
    """

    async def main():
        working, go_on = asyncio.Event(), asyncio.Event()

        async def app(scope, receive, send):
            await receive()
            await send(ACCEPT)
            await receive()
            working.set()
            await go_on.wait()
            await send({"type": "websocket.send", "text": "answer"})
            assert (await receive())["code"] == 1001

        peer = Peer(shop.service.asgi(app), CONNECT, text("question"))
        task = asyncio.create_task(peer.run())
        await asyncio.wait_for(working.wait(), 10)
        shop.service.stopping.set()
        await asyncio.sleep(0)
        assert [message["type"] for message in peer.sent] == ["websocket.accept"]
        go_on.set()
        await asyncio.wait_for(task, 10)
        return peer.sent

    sent = asyncio.run(main())

    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert sent[-1]["code"] == 1001
    assert shop.said("websocket")[0]["code"] == 1001
    assert shop.idle


def test_an_idle_socket_is_closed_with_1001_when_the_process_stops(shop):
    """
    One that waits for its client.
    """

    async def main():
        peer = Peer(shop.service.asgi(echo), CONNECT)
        task = asyncio.create_task(peer.run())
        await peer.until(1)
        shop.service.stopping.set()
        await asyncio.wait_for(task, 10)
        return peer.sent

    assert asyncio.run(main())[-1] == {"type": "websocket.close", "code": 1001, "reason": "going away"}


def test_a_message_is_not_lost_where_the_app_gave_up_waiting_for_it(shop):
    """
    A receive with a timeout, and again.
    """

    async def main():
        got = []

        async def app(scope, receive, send):
            await receive()
            await send(ACCEPT)
            try:
                await asyncio.wait_for(receive(), 0.01)
            except TimeoutError:
                peer.incoming.put_nowait(text("late"))
            got.append((await receive())["text"])

        peer = Peer(shop.service.asgi(app), CONNECT)
        await peer.run()
        return got

    assert asyncio.run(main()) == ["late"]


def test_what_the_app_sends_after_we_closed_is_dropped(shop):
    """
    It could not know yet; the server would call it an error.
    """

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        await receive()
        await send({"type": "websocket.send", "text": "too late"})
        await send({"type": "websocket.close", "code": 1000})

    async def main():
        peer = Peer(shop.service.asgi(app), CONNECT)
        task = asyncio.create_task(peer.run())
        await peer.until(1)
        shop.service.stopping.set()
        await asyncio.wait_for(task, 10)
        return [message["type"] for message in peer.sent]

    assert asyncio.run(main()) == ["websocket.accept", "websocket.close"]


def test_a_refused_connection_has_its_status(shop):
    """
    Closed before it was accepted: the server answers 403.
    """

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.close"})

    run(shop.service.asgi(app), CONNECT)

    (event,) = shop.said("websocket")
    assert (event["status"], event["code"]) == (403, None)


def test_a_denial_response_has_its_status_and_the_request_id(shop):
    """
    The extension that lets an app answer instead of accepting.
    """

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"who are you?"})

    sent = run(shop.service.asgi(app), CONNECT, headers=[("x-request-id", "ws-2")])

    assert shop.said("websocket")[0]["status"] == 401
    assert (b"x-request-id", b"ws-2") in sent[0]["headers"]


def test_an_exception_is_one_event_of_the_message_in_hand_and_goes_on(shop):
    """
    One traceback, the connection's event, nothing left in flight.
    """
    outcomes = []

    class Observer:
        def begin(self, work):
            pass

        def end(self, work):
            outcomes.append((work.kind, work.outcome))

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        await receive()
        raise ValueError("bad message")

    shop.service.in_flight.observe(Observer())
    with pytest.raises(ValueError) as raised:
        run(shop.service.asgi(app), CONNECT, text("a"))

    (told,) = shop.said("request.failed")
    (event,) = shop.said("websocket")
    assert (told["exception_type"], told["path"]) == ("ValueError", "/chat")
    assert (event["outcome"], event["level"]) == ("error", "error")
    assert outcomes == [("message", "error"), ("websocket", "error")]
    assert raised.value.__twelvefactor_told__
    assert shop.idle


def test_a_disconnect_that_the_app_raises_is_no_error(shop):
    """
    Starlette's way to say that the client left.
    """
    from starlette.websockets import WebSocketDisconnect

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        raise WebSocketDisconnect((await receive())["code"])

    with pytest.raises(WebSocketDisconnect):
        run(shop.service.asgi(app), CONNECT, BYE)

    (event,) = shop.said("websocket")
    assert (event["level"], event["outcome"], event["code"]) == ("info", "ok", 1000)
    assert not shop.said("request.failed")
    assert shop.idle


def test_a_socket_whose_time_is_over_is_cut(shop):
    """
    One that neither receives nor ends.
    """

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        await asyncio.Event().wait()

    async def main():
        peer = Peer(shop.service.asgi(app), CONNECT)
        task = asyncio.create_task(peer.run())
        await peer.until(1)
        for work in shop.service.in_flight:
            for cutter in shop.service.cutters:
                cutter(work)
        await asyncio.wait([task], timeout=10)
        assert task.cancelled()

    asyncio.run(main())

    assert shop.said("websocket")[0]["outcome"] == "cancelled"
    assert shop.idle
