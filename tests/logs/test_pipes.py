"""stdout as it is: real pipes, real processes."""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from twelvefactor.logs.sink import Sink

PROLOGUE = """
    import os, sys, threading, time
    from twelvefactor.logs import EventStream
    stream = EventStream("orders", environ=os.environ)
    stream.configure()
    stream.install()
    log = stream.logger()
"""


@pytest.fixture
def start():
    """Starts a Python with a stream of its own; ends it after the test."""
    children = []

    def start(code, *flags, environ=None, **options):
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        child = subprocess.Popen(
            [sys.executable, *flags, "-c", textwrap.dedent(PROLOGUE) + textwrap.dedent(code)],
            env={**os.environ, "PYTHONUNBUFFERED": "", "LOG_FORMAT": "json", **(environ or {})},
            **options,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        if child.poll() is None:
            child.kill()
        child.wait(10)
        for end in (child.stdin, child.stdout, child.stderr):
            if end is not None:
                end.close()


def read_until(descriptor, mark, timeout=20):
    """What comes out of *descriptor* until *mark* is in it."""
    data, deadline = b"", time.monotonic() + timeout
    while mark not in data:
        ready, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))
        assert ready, f"{mark!r} did not come; there was {data[-300:]!r}"
        chunk = os.read(descriptor, 65536)
        assert chunk, f"the end came before {mark!r}; there was {data[-300:]!r}"
        data += chunk
    return data


@pytest.fixture
def pipe():
    ends = list(os.pipe())
    yield ends
    for end in ends:
        if end is not None:
            os.close(end)


@pytest.mark.parametrize("flags", [(), ("-u",)], ids=["buffered", "-u"])
def test_no_line_is_torn(start, flags, pipe):
    """
    Eight processes of eight threads on one pipe, lines up to 4096 bytes, prints and records among them: all whole.
    """
    code = """
        import logging, random
        lengths = random.Random(os.getpid())
        def speak(number):
            for turn in range(60):
                text = "x" * lengths.randrange(1, 3700)
                if turn % 3 == 0: log.info("said", who=number, text=text)
                elif turn % 3 == 1: logging.getLogger("lib").warning("%s", text)
                else: print(text)
        threads = [threading.Thread(target=speak, args=(number,)) for number in range(8)]
        for each in threads: each.start()
        for each in threads: each.join()
    """
    read, write = pipe
    children = [start(code, *flags, stdout=write) for _ in range(8)]
    os.close(write)
    pipe[1] = None
    with os.fdopen(read, "rb") as reader:
        pipe[0] = None
        lines = reader.read().split(b"\n")
    for child in children:
        assert child.communicate(timeout=30)[1] == b""
        assert child.returncode == 0

    assert lines.pop() == b""
    assert len(lines) == 8 * 8 * 60
    assert max(map(len, lines)) < 4096
    for line in lines:
        json.loads(line)


def test_a_reader_that_goes_away_is_counted_and_told_once(start, pipe):
    """
    EPIPE raises nothing into the app: the loss is counted, and told once on stderr.
    """
    child = start(
        """
        log.info("first")
        sys.stdin.readline()
        for number in range(100): log.info("lost", number=number)
        sys.stderr.write(f"{stream.written} {stream.lost}\\n")
        """,
        stdin=subprocess.PIPE,
    )
    read_until(child.stdout.fileno(), b"first")
    child.stdout.close()
    _, errors = child.communicate(b"\n", timeout=30)

    assert child.returncode == 0
    notice, counts = errors.decode().splitlines()
    assert "events are being lost: stdout takes no more lines (EPIPE)" in notice
    assert counts == "1 100"


def test_a_reader_that_comes_back_is_told_what_it_missed(start, tmp_path):
    """
    When writing works again, the next line is followed by one that says how many are missing.
    """
    fifo = tmp_path / "out"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY)
    child = start(
        """
        log.info("first")
        sys.stdin.readline()
        log.info("lost"); log.info("lost")
        sys.stderr.write("ready\\n"); sys.stderr.flush()
        sys.stdin.readline()
        log.info("second")
        """,
        stdin=subprocess.PIPE,
        stdout=writer,
    )
    os.close(writer)
    read_until(reader, b"first")
    os.close(reader)
    child.stdin.write(b"\n")
    child.stdin.flush()
    read_until(child.stderr.fileno(), b"ready")
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    child.communicate(b"\n", timeout=30)

    events = [json.loads(line) for line in os.read(reader, 65536).splitlines()]
    os.close(reader)
    assert [each["event"] for each in events] == ["second", "twelvefactor.stream.recovered"]
    assert events[1]["lost"] == 2


@pytest.mark.parametrize("size", [100, 200_000])
def test_a_descriptor_that_does_not_block_is_waited_for(start, pipe, size):
    """
    Somebody else set O_NONBLOCK on stdout: a full pipe is EAGAIN, and no line is lost or torn by it.
    """
    read, write = pipe
    fcntl.fcntl(write, fcntl.F_SETFL, fcntl.fcntl(write, fcntl.F_GETFL) | os.O_NONBLOCK)
    child = start(
        f'for number in range({20_000_000 // size // 100}): log.info("said", number=number, text="x" * {size})',
        stdout=write,
    )
    os.close(write)
    pipe[1] = None
    with os.fdopen(read, "rb") as reader:
        pipe[0] = None
        lines = reader.read().splitlines()

    assert child.wait(30) == 0
    assert child.communicate()[1] == b""
    assert [json.loads(line)["number"] for line in lines] == list(range(20_000_000 // size // 100))


def test_a_slow_reader_makes_the_writer_wait(start, pipe):
    """
    By default a full pipe is back pressure: everything arrives in the end.
    """
    read, write = pipe
    child = start('for number in range(500): log.info("said", number=number, text="x" * 1000)', stdout=write)
    os.close(write)
    pipe[1] = None
    assert select.select([read], [], [], 20)[0]
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.5)  # 64 KiB are in the pipe, and it waits
    with os.fdopen(read, "rb") as reader:
        pipe[0] = None
        assert len(reader.read().splitlines()) == 500
    assert child.wait(30) == 0


def test_nonblocking_drops_rather_than_waits(start, pipe):
    """
    With LOG_NONBLOCKING=1 and a reader that stalls no call takes long, whole lines are dropped and summed up.
    """
    read, write = pipe
    child = start(
        """
        worst = 0
        for number in range(3000):
            before = time.thread_time()
            log.info("said", number=number, text="x" * (number % 9000))
            worst = max(worst, time.thread_time() - before)
        sys.stderr.write(f"{stream.written} {stream.lost}\\n"); sys.stderr.flush()
        sys.stdin.readline()
        log.info("last")
        """,
        environ={"LOG_NONBLOCKING": "1"},
        stdin=subprocess.PIPE,
        stdout=write,
    )
    os.close(write)
    pipe[1] = None
    notice = read_until(child.stderr.fileno(), b"\n", 30)
    while notice.count(b"\n") < 2:
        notice += read_until(child.stderr.fileno(), b"\n", 30)
    written, lost = map(int, notice.splitlines()[1].split())
    assert b"EAGAIN" in notice
    assert written + lost == 3000
    assert lost > 2000
    drained = os.read(read, 1 << 20)
    child.stdin.write(b"\n")
    child.stdin.close()
    while chunk := os.read(read, 1 << 20):
        drained += chunk
    assert child.wait(30) == 0

    events = [json.loads(line) for line in drained.splitlines()]
    assert [each["event"] for each in events[-2:]] == ["last", "twelvefactor.stream.recovered"]
    assert events[-1]["lost"] == lost
    assert len(events) == written + 2


def test_nonblocking_leaves_the_descriptor_of_others_as_it_was(start, pipe):
    """
    O_NONBLOCK is set on a description of our own, so that whoever shares the pipe still blocks.
    """
    read, write = pipe
    child = start(
        """
        import fcntl
        log.info("x")
        sys.stderr.write(str(bool(fcntl.fcntl(1, fcntl.F_GETFL) & os.O_NONBLOCK)))
        """,
        environ={"LOG_NONBLOCKING": "1"},
        stdout=write,
    )
    assert child.communicate(timeout=30)[1] == b"False"


def test_a_full_disk_is_a_loss_not_an_error(start):
    """
    Any other error of the descriptor is counted and told as well.
    """
    with open("/dev/full", "wb") as full:
        child = start('log.info("x"); sys.stderr.write(f"{stream.lost}\\n")', stdout=full)
        errors = child.communicate(timeout=30)[1].decode()

    assert child.returncode in (0, 120)  # Python's own flush at exit says 120
    assert "ENOSPC" in errors
    assert "\n1\n" in errors


def test_a_closed_stdout_is_a_loss_not_an_error(start):
    """
    A daemon without a stdout keeps working.
    """
    child = start('os.close(1); log.info("x"); sys.stderr.write(f"{stream.lost}\\n"); os._exit(0)')

    errors = child.communicate(timeout=30)[1].decode()

    assert "EBADF" in errors
    assert "\n1\n" in errors


def test_a_process_without_stdout_does_not_write_into_what_took_its_number(start, tmp_path):
    """
    Started with stdout closed, the next file that is opened is descriptor 1; events must not end up in it.
    """
    child = start(
        """
        data = open(os.environ["DATA"], "wb")
        assert data.fileno() == 1
        log.info("x"); print("y")
        data.write(b"data"); data.close()
        sys.stderr.write(f"{stream.written} {stream.lost}\\n")
        """,
        environ={"DATA": str(tmp_path / "data")},
        stdout=None,
        preexec_fn=lambda: os.close(1),
    )
    errors = child.communicate(timeout=30)[1].decode()

    assert (tmp_path / "data").read_bytes() == b"data"
    assert errors.splitlines()[-1] == "0 1"


def test_a_short_write_is_finished(monkeypatch, pipe):
    """
    Where the kernel takes only a part, the rest follows at once.
    """
    from twelvefactor.logs import sink as module

    read, write = pipe
    monkeypatch.setattr(module, "_os_write", lambda descriptor, data: os.write(descriptor, data[:7]))
    sink = Sink()
    sink._send(write, b"a line that goes out in several parts\n")

    assert os.read(read, 100) == b"a line that goes out in several parts\n"


def test_a_child_speaks_after_a_fork(start):
    """
    Forked while other threads log, the child says its own lines, under its own name, with counts of its own.
    """
    child = start(
        """
        stop = threading.Event()
        def chatter():
            while not stop.is_set():
                log.info("chatter")
                print("chatter")
        threads = [threading.Thread(target=chatter) for _ in range(4)]
        for each in threads: each.start()
        import warnings; warnings.simplefilter("ignore")
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                log.info("child", counted=stream.written)
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        for each in threads: each.join()
        log.info("parent")
        """,
        environ={"HOSTNAME": "h"},
    )
    out, errors = child.communicate(timeout=60)
    assert errors == b""
    events = [json.loads(line) for line in out.splitlines()]

    children = [each for each in events if each["event"] == "child"]
    assert len(children) == 20
    assert len({each["instance"] for each in children}) == 20
    assert {each["counted"] for each in children} == {0}
    assert events[-1]["instance"] == f"h:{child.pid}"


@pytest.mark.parametrize("nonblocking", ["0", "1"])
def test_signal_handlers_may_log(start, nonblocking):
    """
    A handler that runs in the middle of anything, a log call included, neither deadlocks nor tears a line.
    """
    child = start(
        """
        import signal
        going = True
        def handle(*_):
            log.info("handler")
            print("printed")
            if going: signal.setitimer(signal.ITIMER_REAL, 0.0005)  # last: none comes while the reader is slow
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.0005)
        for number in range(3000): log.info("main", number=number, text="x" * 300)
        going = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        """,
        environ={"LOG_NONBLOCKING": nonblocking},
    )
    out, errors = child.communicate(timeout=60)

    events = [json.loads(line) for line in out.splitlines()]
    said = [each["event"] for each in events]
    assert child.returncode == 0
    assert "handler" in said
    if nonblocking == "0":
        assert said.count("main") == 3000
        assert errors == b""


def test_the_last_line_is_not_lost(start):
    """
    What exit hooks, finalisers and the very end say comes out; a print without an end too.
    """
    child = start(
        """
        import atexit
        class Last:
            def __del__(self): log.info("finaliser")
        last = Last()
        atexit.register(log.info, "exit hook")
        log.info("main")
        print("no end", end="")
        stream.flush()
        """
    )
    out, errors = child.communicate(timeout=30)

    assert errors == b""
    said = [json.loads(line)["event"] for line in out.splitlines()]
    assert said == ["main", "no end", "exit hook", "finaliser"]


def test_a_killed_process_has_written_what_it_said(start):
    """
    Nothing is buffered: what was said before a SIGKILL is there.
    """
    child = start('log.info("said"); os.kill(os.getpid(), 9)')

    out, _ = child.communicate(timeout=30)

    assert child.returncode == -signal.SIGKILL
    assert json.loads(out)["event"] == "said"


def test_what_was_buffered_before_comes_before():
    """
    What was printed before the stream took over is flushed first, so the order stays.
    """
    child = subprocess.run(
        [sys.executable, "-c", 'print("early")\n' + textwrap.dedent(PROLOGUE) + 'log.info("late")\n'],
        env={**os.environ, "PYTHONUNBUFFERED": "", "LOG_FORMAT": "json"},
        capture_output=True,
        timeout=30,
        check=True,
    )

    early, late = child.stdout.splitlines()
    assert early == b"early"
    assert json.loads(late)["event"] == "late"


def test_threads_do_not_share_a_line(start, stream, out, log):
    """
    Many threads, one stream: each line is whole.
    """
    threads = [threading.Thread(target=lambda: [log.info("x", n=n) for n in range(200)]) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(out.events) == 1600


@pytest.mark.parametrize("cap", [512, 1000, 4096])
def test_a_long_line_is_cut_and_says_so(make, out, cap):
    """
    LOG_MAX_BYTES keeps a line JSON, at most that long, and names the size that it had.
    """
    log = make(LOG_MAX_BYTES=str(cap)).logger()

    log.info("e" * 9000, text="ü" * 9000, rows=[{"a": "b" * 100}] * 100, number=7)
    log.info("short")

    cut, short = out.getvalue().splitlines()
    assert len(cut) < cap
    assert json.loads(cut)["truncated"] > 9000
    assert json.loads(cut)["level"] == "info"
    assert "truncated" not in json.loads(short)


def test_many_fields_are_cut_too(make, out):
    """
    Neither many fields nor long keys make the line longer than the cap.
    """
    log = make(LOG_MAX_BYTES="600").logger()

    log.info("x", **{f"key{number}" * 20: number for number in range(500)})

    assert len(out.getvalue()) <= 600
    assert out.event["truncated"] > 600
