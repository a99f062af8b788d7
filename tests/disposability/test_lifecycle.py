"""starting → ready → draining → stopping → stopped."""

import pytest

from twelvefactor.disposability.lifecycle import Lifecycle, State


@pytest.fixture
def told():
    return []


@pytest.fixture
def lifecycle(clock, told):
    return Lifecycle(clock, lambda event, fields: told.append((event, fields)))


def test_each_change_is_one_event_with_its_durations(lifecycle, clock, told):
    """
    A change says how long the process lives and how long it was in the state before.
    """
    clock.advance(2)
    lifecycle.move(State.READY)
    clock.advance(30)
    lifecycle.move(State.DRAINING, in_flight=3)

    assert told == [
        ("twelvefactor.ready", {"seconds": 2.0, "seconds_in_last_state": 2.0}),
        ("twelvefactor.draining", {"seconds": 32.0, "seconds_in_last_state": 30.0, "in_flight": 3}),
    ]


@pytest.mark.parametrize("state", [State.STARTING, State.READY, State.DRAINING])
def test_it_never_goes_back(lifecycle, told, state):
    """
    A process that stops is never ready again, and says nothing twice.
    """
    lifecycle.move(State.DRAINING)

    assert lifecycle.move(state) is False
    assert lifecycle.state is State.DRAINING
    assert [event for event, _ in told] == ["twelvefactor.draining"]


def test_a_signal_handler_moves_it_without_a_word(lifecycle, told):
    """
    In a signal handler the state changes at once, and is told later.
    """
    assert lifecycle.set(State.DRAINING)
    assert told == []

    lifecycle.tell(State.DRAINING)

    assert [event for event, _ in told] == ["twelvefactor.draining"]


def test_a_whole_life_is_five_events(service, said):
    """
    A service that starts, is ready and closes says each state once, in order.
    """
    service.start()
    service.ready()
    service.close()

    states = [name for name in said.names() if name in {state.word for state in State}]
    assert states == ["starting", "ready", "stopping", "stopped"]
