"""Ids and traces from headers: well-formed ones are taken, others ignored, and nothing raises."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twelvefactor.integrations._headers import parse_request_id, parse_traceparent, parse_tracestate, take
from twelvefactor.work import InFlight

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
lower_hex = st.sampled_from("0123456789abcdef")


def hex_of(length):
    return st.text(lower_hex, min_size=length, max_size=length)


def taken(*pairs, id_header=b"x-request-id"):
    work = InFlight().work("request", "/")
    take(work, id_header, pairs)
    return work


@pytest.mark.parametrize(
    "text", ["a", "a-1", "8c0f0d4e-5e0b-4c3f-9f6e-0b0a3b5b7a11", "Root=1-67891233-abcdef", "x" * 128]
)
def test_a_well_formed_request_id_is_accepted(text):
    """
    What proxies send, kept as it is.
    """
    assert parse_request_id(text) == text


@pytest.mark.parametrize(
    "text", ["", " ", "a b", "-a", "a\r\nSet-Cookie: x=1", "a\n", "x" * 129, "é", "a;b", "<script>", '"a"', "a\x00"]
)
def test_a_malformed_request_id_is_refused(text):
    """
    Nothing that could split a header, a line or a page comes through.
    """
    assert parse_request_id(text) is None


@settings(deadline=None)
@given(st.text())
def test_a_request_id_is_itself_or_nothing(text):
    """
    Whatever is sent: the very text, harmless, or None.
    """
    found = parse_request_id(text)

    assert found is None or (found == text and found.isascii() and found.isprintable() and 0 < len(found) <= 128)


@settings(deadline=None)
@given(hex_of(32), hex_of(16), hex_of(2))
def test_every_valid_traceparent_is_read(trace, span, flags):
    """
    Version 00: two ids that are not zero, and two digits of flags.
    """
    found = parse_traceparent(f"00-{trace}-{span}-{flags}")

    zero = not trace.strip("0") or not span.strip("0")
    assert found == (None if zero else (trace, span, flags))


@settings(deadline=None)
@given(st.text())
def test_a_traceparent_is_valid_or_ignored(text):
    """
    Whatever is sent: valid ids, or None.
    """
    found = parse_traceparent(text)

    assert found is None or (len(found.trace_id), len(found.span_id), len(found.flags)) == (32, 16, 2)


@settings(deadline=None)
@given(st.integers(0, len(PARENT) - 1), st.characters())
def test_one_wrong_character_is_never_taken_for_another_trace(position, character):
    """
    A changed character gives None or a traceparent that says exactly what is written.
    """
    text = PARENT[:position] + character + PARENT[position + 1 :]
    found = parse_traceparent(text)

    assert found is None or "-".join(found) in text


@pytest.mark.parametrize(
    "text",
    [
        PARENT.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01more",
        f"{PARENT}\n",
        "",
    ],
)
def test_an_invalid_traceparent_is_ignored(text):
    """
    Upper case, version ff, zero ids, wrong lengths, more than version 00 has.
    """
    assert parse_traceparent(text) is None


def test_a_future_version_is_read_as_far_as_it_is_known():
    """
    The specification of a later version only adds at the end.
    """
    assert parse_traceparent(f"cc-{TRACE}-{SPAN}-01-what-the-future-holds") == (TRACE, SPAN, "01")
    assert parse_traceparent(f"cc-{TRACE}-{SPAN}-01") == (TRACE, SPAN, "01")


def test_spaces_around_a_traceparent_do_not_matter():
    """
    Optional whitespace is no part of a header's value.
    """
    assert parse_traceparent(f" \t{PARENT} ") == (TRACE, SPAN, "01")


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("rojo=00f067aa0ba902b7", "rojo=00f067aa0ba902b7"),
        ("rojo=1 ,\tcongo=2", "rojo=1,congo=2"),
        ("rojo=1,,congo=2,", "rojo=1,congo=2"),
        ("fw529a3039@dt=FfffFFff", "fw529a3039@dt=FfffFFff"),
        ("a=b c", "a=b c"),
        ("0tenant@v=1", "0tenant@v=1"),
    ],
)
def test_a_valid_tracestate_is_tidied(text, tidy):
    """
    Empty members and the spaces around members go.
    """
    assert parse_tracestate(text) == tidy


@pytest.mark.parametrize(
    "text", ["", ",", "rojo", "rojo=", "Rojo=1", "rojo=1,rojo=2", "a=b=c", "a@=1", "é=1", "a=\x7f", "a =1", "0a=1"]
)
def test_a_malformed_tracestate_is_dropped_whole(text):
    """
    A member that is none, a double key, a character that is not allowed.
    """
    assert parse_tracestate(text) is None


def test_more_than_32_members_spoil_a_tracestate():
    """
    The specification's limit.
    """
    assert parse_tracestate(",".join(f"k{number}=1" for number in range(32))) is not None
    assert parse_tracestate(",".join(f"k{number}=1" for number in range(33))) is None


@settings(deadline=None)
@given(st.text())
def test_a_tracestate_that_is_kept_stays_the_same_when_read_again(text):
    """
    Tidying is idempotent, and the result is one header line.
    """
    found = parse_tracestate(text)

    assert found is None or (parse_tracestate(found) == found and found.isascii() and found.isprintable())


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([b"x-request-id", b"traceparent", b"tracestate"]), st.binary())))
def test_no_header_whatever_its_bytes_costs_the_request(pairs):
    """
    Any bytes at all: the work has an id, and a trace or none.
    """
    work = taken(*pairs)

    assert work.request_id is None or parse_request_id(work.request_id)
    assert (work.trace_id is None) == (work.span_id is None)


def test_a_trace_is_bound_with_its_state():
    """
    The ids are on every event; flags and state go on to those whom the app calls.
    """
    work = taken((b"traceparent", PARENT.encode()), (b"tracestate", b"rojo=1"), (b"tracestate", b"congo=2"))

    assert (work.trace_id, work.span_id, work.trace_flags) == (TRACE, SPAN, "01")
    assert work.trace_state == "rojo=1,congo=2"
    assert (work.context["trace_id"], work.context["span_id"]) == (TRACE, SPAN)


def test_of_two_request_ids_or_traceparents_none_is_believed():
    """
    Who sent which cannot be said.
    """
    pairs = [(b"x-request-id", b"a"), (b"x-request-id", b"b"), (b"traceparent", PARENT.encode())]
    work = taken(*pairs, (b"traceparent", PARENT.encode()))

    assert (work.request_id, work.trace_id) == (None, None)


def test_a_tracestate_without_a_valid_traceparent_is_ignored():
    """
    It belongs to a trace that nobody knows.
    """
    assert taken((b"traceparent", b"nonsense"), (b"tracestate", b"rojo=1")).trace_state is None
