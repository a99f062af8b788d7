"""The one audit hook."""

import sys

import pytest

from twelvefactor._core import audit


@pytest.fixture
def heard():
    """What a listener heard; it listens no more afterwards."""
    events = []

    def listener(event, args):
        events.append((event, args))

    events_of = events
    yield listener, events_of
    audit.unlisten(listener)


def test_a_listener_hears_its_event_and_no_other(heard):
    """
    Dispatch is by the event's name.
    """
    listener, events = heard
    audit.listen(listener, "twelvefactor.test")

    sys.audit("twelvefactor.test", 1)
    sys.audit("twelvefactor.other", 2)

    assert events == [("twelvefactor.test", (1,))]


def test_listening_twice_hears_once(heard):
    """
    `listen` is idempotent.
    """
    listener, events = heard
    audit.listen(listener, "twelvefactor.test")
    audit.listen(listener, "twelvefactor.test")

    sys.audit("twelvefactor.test")

    assert len(events) == 1


def test_unlisten_undoes_listen(heard):
    """
    With the last listener gone the hook is inert.
    """
    listener, events = heard
    audit.listen(listener, "twelvefactor.test")
    audit.unlisten(listener)
    audit.unlisten(listener)

    sys.audit("twelvefactor.test")

    assert events == []
    assert "twelvefactor.test" not in audit._listeners


def test_what_a_listener_raises_stops_the_act(tmp_path):
    """
    Enforcement: the file is never opened.
    """

    def refuse(event, args):
        if args[0] == str(tmp_path / "no"):
            raise PermissionError("not in here")

    audit.listen(refuse, "open")
    try:
        with pytest.raises(PermissionError, match="not in here"):
            open(str(tmp_path / "no"), "w")
    finally:
        audit.unlisten(refuse)

    assert not (tmp_path / "no").exists()
