"""Events for people."""

import os
import pty
import re
import subprocess
import sys
import textwrap

import pytest

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def lines(out):
    return out.getvalue().decode().splitlines()


@pytest.fixture
def console(make):
    def console(**environ):
        return make(LOG_FORMAT="console", **environ).logger("orders.api")

    return console


def test_a_line_is_aligned_and_plain(console, out):
    """
    Time, level, event, logger and fields in columns; what every line would repeat is left out.
    """
    log = console()

    log.info("paid", order=7)
    log.warning("a longer event", password="p")

    first, second = lines(out)
    assert re.match(r"\d\d:\d\d:\d\d\.\d\d\d ", first)
    assert first.index("order=7") == second.index("password=")
    assert "hunter" not in second
    assert "orders.api" in first
    assert "web-1" not in first
    assert not COLOUR.search(first)


def test_ids_are_short(console, out):
    """
    Eight characters tell two requests on one screen apart.
    """
    from twelvefactor.work import InFlight

    with InFlight().work("request", "r", "0af7651916cd43dd8448eb211c80319c"):
        console().info("x")

    assert "work_id=0af76519" in lines(out)[0]
    assert "0af7651916" not in lines(out)[0]


def test_a_traceback_is_short(console, out):
    """
    The innermost frames, below the line.
    """

    def deep(depth):
        if depth:
            deep(depth - 1)
        raise ValueError("no")

    try:
        deep(20)
    except ValueError:
        console().exception("failed")

    text = out.getvalue().decode()
    assert text.count("  File ") == 6
    assert "frames …" in text
    assert text.rstrip().endswith("ValueError: no")


def test_a_terminal_is_not_driven_by_what_is_logged(console, out):
    """
    Control characters in an event or a field are shown, not obeyed.
    """
    console().info("a\x1b[2Jb\rc", field="\x1b]0;title\x07", **{"key\x1b[0m": 1})

    assert "\x1b" not in out.getvalue().decode()
    assert "\r" not in out.getvalue().decode()


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colours_where_they_are_wanted(console, out, environ, coloured):
    """
    FORCE_COLOR colours what is no terminal; NO_COLOR beats it.
    """
    console(**environ).info("x", a=1)

    assert bool(COLOUR.search(out.getvalue().decode())) == coloured


def test_any_value_has_a_line(console, out):
    """
    What JSON could not hold is shown here as well.
    """
    console().info("x", surrogate="\ud800", value={1, 2}, number=2**70)

    assert len(lines(out)) == 1


def on_a_terminal(code, **environ):
    """What *code* writes to a real terminal."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=theirs,
        env={
            **{k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "LOG_FORMAT")},
            "TERM": "xterm",
            **environ,
        },
    )
    os.close(theirs)
    data = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not chunk:
            break
        data += chunk
    os.close(ours)
    assert child.wait(30) == 0
    return data.decode()


SAY = """
    import os
    from twelvefactor.logs import EventStream
    stream = EventStream("orders", environ=os.environ)
    stream.configure(); stream.install()
    stream.logger().info("paid", order=7)
    print("printed")
"""


def test_a_terminal_gets_colours():
    """
    LOG_FORMAT=auto sees the terminal.
    """
    text = on_a_terminal(SAY)

    assert COLOUR.search(text)
    assert "paid" in COLOUR.sub("", text)
    assert "printed" in text
    assert "{" not in COLOUR.sub("", text)


def test_a_terminal_without_colours():
    """
    NO_COLOR, and a terminal that says it is dumb.
    """
    assert not COLOUR.search(on_a_terminal(SAY, NO_COLOR="1"))
    assert not COLOUR.search(on_a_terminal(SAY, TERM="dumb"))


def test_json_on_a_terminal_when_asked_for():
    """
    LOG_FORMAT=json holds everywhere.
    """
    assert on_a_terminal(SAY, LOG_FORMAT="json").startswith('{"timestamp"')
