"""Threads of the library's own."""

import signal
import subprocess
import sys
import threading

import pytest

from twelvefactor._core import threads


def test_no_signal_is_delivered_to_it_and_the_starters_mask_is_as_before():
    """
    A signal that landed there would leave a sleeping main thread asleep.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    masks = []

    threads.start(lambda: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())), name="test").join(10)

    assert signal.SIGTERM in masks[0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_it_does_not_keep_the_process_alive():
    """
    A daemon, under its own name.
    """
    gone = threading.Event()
    thread = threads.start(gone.wait, name="twelvefactor test")

    assert thread.daemon
    assert thread.name == "twelvefactor test"
    gone.set()
    thread.join(10)


def test_a_thread_that_is_started_in_gevents_hub_starts_a_moment_later():
    """
    Where a signal's handler may run, and nothing can wait for the thread to be there.
    """
    pytest.importorskip("gevent")
    code = """
from gevent import monkey; monkey.patch_all()
import gevent, threading
from twelvefactor._core import threads

done, told = threading.Event(), []

def in_the_hub():
    try:
        told.append(threads.in_the_hub())
        threads.start(done.set, name="test")
    except BaseException as error:
        told.append(error)

gevent.get_hub().loop.run_callback(in_the_hub)
print(done.wait(30), told, threads.in_the_hub())
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert said.stdout == "True [True] False\n", said.stderr
