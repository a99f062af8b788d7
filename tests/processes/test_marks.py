"""State that is per process on purpose."""

import pytest

from twelvefactor.exceptions import UsageError
from twelvefactor.processes.marks import MARKS, process_local


@pytest.fixture(autouse=True)
def no_marks():
    MARKS.clear()
    yield
    MARKS.clear()


def test_a_reason_is_required():
    """
    A mark without a reason is refused.
    """
    with pytest.raises(UsageError, match="reason"):
        process_local({}, reason=" ")


def test_gives_back_what_it_marks():
    """
    It can stand around the value where it is made.
    """
    cache = {}

    assert process_local(cache, reason="rebuilt on demand") is cache


@pytest.mark.parametrize(
    "made",
    [
        "state = process_local({}, reason='r')\ndef handle(n): state[n] = n",
        "class Cache:\n    pass\nstate = process_local(Cache(), reason='r')\ndef handle(n): state.last = n",
        "import functools\n@functools.lru_cache\ndef load(n): return n\nprocess_local(load, reason='r')\ndef handle(n): load(n)",
        "process_local(__name__ + '.state', reason='r')\nstate = 0\ndef handle(n):\n    global state\n    state = n",
        "state = process_local({'inner': []}, reason='r')\ndef handle(n): state['inner'].append(n)",
    ],
    ids=["dict", "instance", "lru_cache", "path", "inside"],
)
def test_marked_state_is_silent(app, made):
    """
    A marked object, what hangs at it, and what a marked path names are no findings.
    """
    module = app.write(f"from twelvefactor.processes.marks import process_local\n{made}\n")
    app.start()

    for number in range(6):
        app.run(module.handle, number)

    assert app.findings == []
    assert MARKS.stale() == []


def test_a_bound_that_is_outgrown_is_reported(app):
    """
    The mark holds as long as the bound does.
    """
    module = app.write(
        "from twelvefactor.processes.marks import process_local\n"
        "seen = process_local([], reason='r', bound=5)\n"
        "def handle(): seen.append(1)\n"
    )
    app.start()

    app.run(module.handle, times=5)
    assert app.findings == []
    app.run(module.handle, times=5)

    assert [finding.rule.id for finding in app.findings] == ["TF602"]


def test_a_mark_that_held_nothing_back_is_stale(app):
    """
    Marks that no longer mean anything are told.
    """
    app.write("from twelvefactor.processes.marks import process_local\nseen = process_local([], reason='old')\n")

    assert [mark.reason for mark in MARKS.stale()] == ["old"]


def test_a_mark_does_not_keep_an_object_alive(app):
    """
    A marked instance dies when the app lets it go.
    """
    module = app.write(
        "from twelvefactor.processes.marks import process_local\nclass C: pass\nc = process_local(C(), reason='r')\n"
    )

    del module.c

    assert MARKS.stale() == []
