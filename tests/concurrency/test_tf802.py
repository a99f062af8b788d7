"""TF802: app code turns the process into a daemon, or writes a PID file."""

import os

import pytest

from twelvefactor.concurrency import TF802
from twelvefactor.concurrency.daemons import asks_to_detach, holds_our_pid
from twelvefactor.factor import Verdict

DAEMON = """
import os, sys, time
import twelvefactor as tf

service = tf.Service("orders")


def daemonize():
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    parent = os.getppid()
    while os.getppid() == parent and parent != 1 and os.path.exists(f"/proc/{parent}/comm") and not time.sleep(0.01):
        pass


def main():
    if FIRST:
        service.start()
    daemonize()
    with service.work("job", "serve"):
        pass
    service.close()


main()
"""
CHILD = """
import os, sys
import twelvefactor as tf

service = tf.Service("orders")
service.start()
child = os.fork()
if not child:
    os.setsid()  # a group of its own, so that it can be signalled as one
    with service.work("job", "convert"):
        pass
    service.close()
    os._exit(0)
os.waitpid(child, 0)
"""
PREFORK = """
import os
import twelvefactor as tf

service = tf.Service("orders")
child = os.fork()
if not child:
    with service.work("job", "serve"):
        pass
    service.close()
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.parametrize("first", [False, True], ids=["before start", "after start"])
def test_it_fires_on_the_double_fork(run_app, first):
    """
    The process that was started has gone, and its grandchild serves in a session of its own.
    """
    ran = run_app(DAEMON.replace("FIRST", str(first)))

    (finding,) = ran.found("TF802")
    assert "daemon" in finding["message"]
    if first:  # who forked is known from then on
        assert finding["culprit"] == "__main__.daemonize"
        assert finding["where"].startswith("orders.py:")
    assert not ran.faults()


@pytest.mark.parametrize("code", [CHILD, PREFORK], ids=["a child with a session", "a server that forks its workers"])
def test_it_is_quiet_where_the_parent_stays(run_app, code):
    """
    A child in a group of its own, and a forked worker, are watched by who was started.
    """
    ran = run_app(code)

    assert ran.found("TF802") == []
    assert "pass" in {each["TF802"]["verdict"] for each in ran.evidence}
    assert not ran.faults()


def write_pid(path):
    path.write_text(f"{os.getpid()}\n")


def test_it_fires_on_a_pid_file(new_service, tmp_path):
    """
    The file holds the number of this process.
    """
    service = new_service()
    service.start()
    write_pid(tmp_path / "orders.pid")
    service.ready()

    (finding,) = service.findings.of("TF802")
    assert finding.culprit.endswith("test_tf802.write_pid")
    assert finding.where.partition(":")[0].endswith("test_tf802.py")
    assert finding.message.endswith("writes the PID file orders.pid")


def test_it_fires_on_a_pid_file_that_is_moved_into_place(new_service, tmp_path):
    """
    Written whole or not at all is a PID file still.
    """
    service = new_service()
    service.start()
    write_pid(tmp_path / "half")
    (tmp_path / "half").replace(tmp_path / "orders.pid")
    with service.work("job", "once"):
        pass

    assert len(service.findings.of("TF802")) == 1


def test_it_is_quiet_on_what_only_looks_like_a_pid_file(new_service, tmp_path):
    """
    Data that is called so, a PID file that is read, one of another program, and one that is gone again.
    """
    service = new_service()
    service.start()
    (tmp_path / "patient.pid").write_text("PID|1||12345\n")
    (tmp_path / "far.pid").write_text("4194304999\n")
    write_pid(tmp_path / "mine")
    os.rename(tmp_path / "mine", tmp_path / "other")
    with open("/proc/self/stat") as file:
        file.read()
    write_pid(tmp_path / "gone.pid")
    (tmp_path / "gone.pid").unlink()
    service.ready()

    assert service.evidence.ruling(TF802).verdict is Verdict.PASS


def test_a_pid_file_is_of_this_process_or_its_family(tmp_path):
    """
    Process 1 is everybody's ancestor, and no proof.
    """
    file = tmp_path / "x.pid"
    answers = {}
    for number in (os.getpid(), os.getppid(), 1, 0):
        file.write_text(str(number))
        answers[number] = holds_our_pid(file)

    assert answers == {os.getpid(): True, os.getppid(): os.getppid() != 1, 1: False, 0: False}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("python -m gunicorn --daemon app:app", "gunicorn --daemon"),
        ("/bin/python /bin/gunicorn -w2 --pid=/run/x.pid app:app", "gunicorn --pid"),
        ("celery -A orders worker --detach", "celery --detach"),
        ("python -m celery -A orders worker --pidfile=", "celery --pidfile"),
        ("gunicorn -w 2 app:app", None),
        ("gunicorn --preload -b :8000 app:app", None),
        ("python worker.py --daemon", None),
    ],
)
def test_the_command_line_of_a_server_may_say_it(line, said):
    """
    The option of a known program counts, another program's does not.
    """
    assert asks_to_detach(line.split()) == said
