"""Anything goes in and a line comes out."""

import array
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import json
import pathlib
import threading
import types
import uuid

import numpy as np
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twelvefactor.logs import EventStream

from .conftest import Out

UTC = dt.UTC


@dataclasses.dataclass
class Card:
    number: str
    holder: str
    pin: str = dataclasses.field(default="1234", repr=False)


class Order(pydantic.BaseModel):
    id: int
    card: pydantic.SecretStr
    at: dt.date


class Colour(enum.Enum):
    RED = "red"


class Bad:
    def __repr__(self):
        raise RuntimeError("no")


class BadStr(Exception):
    def __str__(self):
        raise RuntimeError("no")


class Zone(dt.tzinfo):
    def utcoffset(self, when):
        return dt.timedelta(hours=2)

    def dst(self, when):
        return None

    def tzname(self, when):
        return "Z"


class BadZone(Zone):
    def utcoffset(self, when):
        raise RuntimeError("no")


class Structured:
    def __structlog__(self):
        return "structured"


Point = collections.namedtuple("Point", "x y")
ID = uuid.UUID("0af76519-16cd-43dd-8448-eb211c80319c")
CASES = {
    "datetime": (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05Z"),
    "naive datetime": (dt.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
    "strange zone": (dt.datetime(2026, 1, 2, tzinfo=Zone()), "2026-01-02T00:00:00+02:00"),
    "bad zone": (dt.datetime(2026, 1, 2, tzinfo=BadZone()), "<datetime that cannot be shown: RuntimeError>"),
    "date": (dt.date(2026, 1, 2), "2026-01-02"),
    "time": (dt.time(3, 4, tzinfo=UTC), "03:04:00+00:00"),
    "timedelta": (dt.timedelta(minutes=1.5), 90.0),
    "uuid": (ID, str(ID)),
    "decimal": (decimal.Decimal("1.10"), "1.10"),
    "fraction": (fractions.Fraction(1, 3), "1/3"),
    "path": (pathlib.Path("/a/b"), "/a/b"),
    "address": (ipaddress.ip_address("::1"), "::1"),
    "bytes": (b"ab\xff", "ab\\xff"),
    "bytearray": (bytearray(b"ab"), "ab"),
    "memoryview": (memoryview(b"ab"), "ab"),
    "set": ({1}, [1]),
    "frozenset": (frozenset({"a"}), ["a"]),
    "tuple": ((1, "a"), [1, "a"]),
    "named tuple": (Point(1, 2), {"x": 1, "y": 2}),
    "deque": (collections.deque([1, 2]), [1, 2]),
    "dict view": ({"a": 1}.values(), [1]),
    "keys view": ({"a": 1}.keys(), ["a"]),
    "ordered dict": (collections.OrderedDict(a=1), {"a": 1}),
    "mapping proxy": (types.MappingProxyType({"a": 1}), {"a": 1}),
    "dataclass": (Card("4111", "Ann"), {"number": "4111", "holder": "Ann"}),
    "pydantic": (
        Order(id=1, card="s", at=dt.date(2026, 1, 2)),
        {"id": 1, "card": "********", "at": "2026-01-02"},
    ),
    "enum": (Colour.RED, "red"),
    "exception": (ValueError("no"), "ValueError: no"),
    "bad exception": (BadStr(), "tests.logs.test_values.BadStr: <str() of the exception failed>"),
    "type": (ValueError, "ValueError"),
    "numpy integer": (np.int64(7), 7),
    "numpy float": (np.float32(0.5), 0.5),
    "numpy bool": (np.bool_(True), True),
    "numpy array": (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    "nan": (float("nan"), None),
    "infinity": (float("inf"), None),
    "huge": (2**70, str(2**70)),
    "negative huge": (-(2**70), str(-(2**70))),
    "unsigned": (2**64 - 1, 2**64 - 1),
    "surrogate": ("a\ud800b", "a\\ud800b"),
    "surrogate key": ({"\ud800": 1}, {"\\ud800": 1}),
    "bad repr": (Bad(), "<Bad that cannot be shown: RuntimeError>"),
    "keys that are no text": (
        {1: "a", None: "b", (1, 2): "c", b"k": "d", Colour.RED: "e", 2.5: "f"},
        {"1": "a", "None": "b", "(1, 2)": "c", "k": "d", "red": "e", "2.5": "f"},
    ),
    "structlog's protocol": (Structured(), "structured"),
    "array": (array.array("i", [1]), "array('i', [1])"),
    "line ends": ("a\nb\r\u2028c", "a\nb\r\u2028c"),
    "nested": ({"a": [{"b": {1}}, Bad()]}, {"a": [{"b": [1]}, "<Bad that cannot be shown: RuntimeError>"]}),
}


@pytest.mark.parametrize(("value", "shown"), CASES.values(), ids=CASES)
def test_a_value_is_shown(log, out, value, shown):
    """
    Each sort of value has one readable form, as a field, within others, and as the event itself.
    """
    log.info("x", value=value, within=[value])

    assert (out.event["value"], out.event["within"]) == (shown, [shown])


@pytest.mark.parametrize("value", [case[0] for case in CASES.values()], ids=CASES)
def test_any_value_may_be_the_event(log, out, value):
    """
    The event is always text.
    """
    log.info(value)

    assert isinstance(out.event["event"], str)


def test_a_circle_ends(log, out):
    """
    A structure that holds itself is shown once, then named.
    """
    circle = {"name": "a"}
    circle["self"] = [circle]

    log.info("x", circle=circle)

    assert "circle" in json.dumps(out.event["circle"])
    assert len(out.getvalue()) < 1000


def test_the_same_object_twice_is_no_circle(log, out):
    """
    Only what holds itself is cut.
    """
    part = {"a": [1]}

    log.info("x", both=[part, part])

    assert out.event["both"] == [{"a": [1]}, {"a": [1]}]


@pytest.mark.parametrize("depth", [50, 5000])
def test_a_deep_structure_is_cut(log, out, depth):
    """
    Depth neither raises nor makes an endless line.
    """
    deep = []
    for _ in range(depth):
        deep = [deep]

    log.info("x", deep=deep)

    assert "too deep" in json.dumps(out.event["deep"])


def test_a_structure_that_multiplies_is_cut(log, out):
    """
    Sharing that would unfold to billions of values ends at ten thousand.
    """
    laugh = ["ha"] * 10
    for _ in range(12):
        laugh = [laugh] * 10

    log.info("x", laugh=laugh)

    assert len(out.getvalue()) < 500_000


def test_a_long_list_is_cut(log, out):
    """
    The first ten thousand values are shown, and how many there are more.
    """
    log.info("x", rows=list(range(25_000)), table={number: number for number in range(25_000)})

    assert out.event["rows"][-2:] == [9999, "… 15000 more"]
    assert out.event["table"]["…"] == "15000 more"


def test_a_number_with_more_digits_than_python_prints(log, out):
    """
    Python refuses to print it; the line comes out.
    """
    log.info("x", number=10**6000)

    assert out.event["number"].startswith("0x")


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\r", "\x0b", "\x1c"])
def test_a_line_is_a_line_for_every_reader(log, out, mark):
    """
    No sign that some reader takes for the end of a line stands in a line as it is.
    """
    log.info(f"a{mark}b", value={mark: mark})

    (line,) = out.getvalue().decode().splitlines()
    assert json.loads(line)["event"] == f"a{mark}b"


def test_values_are_not_changed(log):
    """
    What was handed in is as it was.
    """
    value = {"password": "p", "list": [{"token": "t"}, {1, 2}]}

    log.info("x", value=value)

    assert value == {"password": "p", "list": [{"token": "t"}, {1, 2}]}


def test_a_dict_that_another_thread_changes(log, out):
    """
    A dict that grows while it is shown costs its content, never the line.
    """
    shared = {str(number): {number} for number in range(200)}
    stop = threading.Event()

    def grow():
        number = 0
        while not stop.is_set():
            number += 1
            shared[f"k{number % 500}"] = {number}
            shared.pop(f"k{(number * 7) % 500}", None)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        for _ in range(50):
            log.info("x", shared=shared)
    finally:
        stop.set()
        thread.join()

    assert len(out.events) == 50


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=30),
    st.binary(max_size=20),
    st.datetimes(timezones=st.one_of(st.none(), st.timezones())),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(),
    st.uuids(),
    st.complex_numbers(),
    st.builds(Bad),
    st.builds(BadStr),
    st.sampled_from([Colour.RED, ValueError, object(), len, Card("1", "2")]),
)
KEYS = st.one_of(st.text(st.characters(), max_size=10), st.integers(), st.binary(max_size=5), st.none())
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(event=VALUES, fields=st.dictionaries(st.text(st.characters(), min_size=1, max_size=12), VALUES, max_size=5))
def test_one_line_for_any_event(event, fields):
    """
    Whatever is said, it is one line of JSON.
    """
    out = Out()
    stream = EventStream("orders", environ={}, stream=out)
    fields = {key: value for key, value in fields.items() if key not in ("self", "event")}

    stream.logger().info(event, **fields)

    assert out.getvalue().count(b"\n") == 1
    assert out.event["level"] == "info"
    assert stream.lost == 0
