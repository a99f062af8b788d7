"""What the detector must never do to an app."""

import asyncio
import gc
import os
import pickle
import threading
import weakref

import pytest

from twelvefactor.processes import sensors
from twelvefactor.processes.lines import AVAILABLE, LINES


def test_a_value_is_never_told(app):
    """
    Neither finding nor event holds what the app stored, not even as a key.
    """
    module = app.write("cache = {}\n\ndef handle(user, secret):\n    cache[user] = {'token': secret}\n")
    app.start()

    for number in range(5):
        app.run(module.handle, f"alice-{number}@example.com", f"hunter2-{number}")

    assert app.findings
    told = repr([(f, str(f), dict(f.evidence)) for f in app.findings]) + repr(app.process.events)
    assert "alice" not in told
    assert "hunter2" not in told


def test_request_data_is_let_go_at_the_next_look(app):
    """
    An object that the app forgot is garbage after the next unit, although it was seen.
    """
    module = app.write("last = None\nclass Data: pass\n\ndef handle(data):\n    global last\n    last = data\n")
    app.start()
    data = module.Data()
    gone = weakref.ref(data)

    app.run(module.handle, data, carrier={"type": "http", "path": "/", "query_string": b"", "headers": [], "d": data})
    del data
    module.last = None
    app.run(lambda: None)
    gc.collect()

    assert gone() is None


def test_threads_and_looks_do_not_disturb_each_other(app):
    """
    Containers that many threads change while they are looked at raise nothing anywhere.
    """
    module = app.write(
        "shared = {}\nrows = []\n\ndef handle(n):\n    for i in range(200):\n        shared[n, i] = i\n        rows.append(i)\n"
        "    for i in range(200):\n        del shared[n, i]\n        rows.pop()\n"
    )
    app.start()
    failed = []

    def work(number):
        try:
            for _ in range(10):
                app.run(module.handle, number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failed == []
    assert app.findings == []


def test_objects_can_still_be_pickled_and_subclassed(app):
    """
    Watched objects are what they were.
    """
    module = app.write("class Cart:\n    def __init__(self):\n        self.items = []\ncart = Cart()\n")
    app.start()
    app.run(lambda: None, times=2)

    assert pickle.loads(pickle.dumps(module.cart)).items == []
    assert type("Sub", (module.Cart,), {})().items == []


def test_own_faults_are_reported_and_never_raised(app, monkeypatch):
    """
    A detector that breaks is one event; the unit of work goes on.
    """
    module = app.write("hits = 0\n\ndef handle():\n    global hits\n    hits += 1\n")
    watch = app.start()
    monkeypatch.setattr(watch.graph, "look", lambda _: 1 / 0)
    app.process.in_flight.on_fault = app.process.fault

    app.run(module.handle)

    assert module.hits == 1
    assert [type(error) for _, error in app.process.faults] == [ZeroDivisionError]
    app.process.faults.clear()
    monkeypatch.undo()


@pytest.mark.skipif(not AVAILABLE, reason="Python 3.12 and later")
def test_lines_are_disarmed_with_the_sensor(app):
    """
    When the last watch is removed no monitoring tool is held.
    """
    watch = app.start()
    assert LINES.armed

    watch.remove()

    assert not LINES.armed


def test_a_forked_child_starts_anew(app):
    """
    A child looks at its own objects from its first unit on, and reports to nobody else's evidence.
    """
    module = app.write("hits = 0\n\ndef handle():\n    global hits\n    hits += 1\n")
    app.start()
    app.run(module.handle, times=2)

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            app.process.in_flight.forget()
            app.run(module.handle, times=4)
            os.write(writing, b",".join(f.culprit.encode() for f in app.process.findings))
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()

    assert told == f"{module.__name__}.hits"
    assert app.findings == []


def test_a_stream_holds_back_no_verdict(app):
    """
    An open socket or stream does not keep what others did from being reported.
    """
    module = app.write("hits = 0\n\ndef handle():\n    global hits\n    hits += 1\n")
    app.start()

    with app.work("socket") as socket:
        socket.streaming = True
        app.run(module.handle, times=5)
        found = app.findings

    assert [finding.culprit for finding in found] == [f"{module.__name__}.hits"]


def test_units_of_two_services_are_kept_apart(app, tmp_path):
    """
    Two detectors in one process each report what their own work did.
    """
    module = app.write("mine = 0\n\ndef handle():\n    global mine\n    mine += 1\n")
    other = type(app)(tmp_path / "other")
    (tmp_path / "other").mkdir()
    app.start()
    other.start()
    try:
        app.run(module.handle, times=5)
        assert len(app.findings) == 1
        assert other.findings == []
    finally:
        other.close()


def test_off_says_that_nobody_looks(app):
    """
    Turned off, every rule of the factor is unknown, never passed.
    """
    app.process.environ["TWELVEFACTOR_LEAKS"] = "off"
    (sensor,) = sensors(app.process)

    sensor.install()
    sensor.remove()

    from twelvefactor.processes import RULES

    assert {app.process.evidence.ruling(rule).verdict.value for rule in RULES} == {"unknown"}


def test_the_loop_of_an_async_app_is_watched(app):
    """
    Requests that overlap on one loop are told apart by their context.
    """
    module = app.write(
        "import asyncio\nowner = []\n\nasync def handle(write):\n    await asyncio.sleep(0)\n"
        "    if write:\n        owner.append(1)\n    await asyncio.sleep(0)\n"
    )
    app.start()
    writers = []

    async def unit(write):
        async with app.process.in_flight.work("request", "r") as work:
            await module.handle(write)
        if write:
            writers.append(work.id)

    async def main():
        for _ in range(4):
            await asyncio.gather(unit(True), unit(False), unit(False))

    asyncio.run(main())

    (finding,) = app.findings
    assert set(finding.evidence["works"]) <= set(writers)
