"""Real workers on real brokers: an app in a folder, jobs that write into a book."""

import os
import sys
import textwrap
import uuid
from pathlib import Path

import pytest

from twelvefactor.testing.queues import Book, QueueDrill
from twelvefactor.testing.servers import Server

collect_ignore_glob = ["real_*.py"]  # loaded by workers, not by pytest

ROOT = Path.cwd()


class Workshop:
    """An app of a queue in a folder of its own, what its jobs wrote, and its workers."""

    def __init__(self, folder, code, environ):
        self.folder = folder
        self.queue = f"twelvefactor-jobs-{uuid.uuid4().hex}"
        self.book = Book(folder / "book")
        self.environ = {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "LOG_FORMAT": "json",
            "QUEUE": self.queue,
            "BOOK": str(self.book.path),
            **environ,
        }
        (folder / "shop.py").write_text(textwrap.dedent(code))

    def worker(self, *command, **environ):
        """A worker, started by entering it; its events can be waited for."""
        return Server(
            (sys.executable, *command), environ={**self.environ, **environ}, cwd=self.folder, ready=None, within=60
        )

    def drill(self, *command, **environ):
        return QueueDrill((sys.executable, *command), self.book, environ={**self.environ, **environ}, cwd=self.folder)

    def fresh(self):
        """A new page for the next test."""
        self.book.path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """Makes one for a file of tests."""

    def workshop(code, **environ):
        return Workshop(tmp_path_factory.mktemp("shop"), code, environ)

    return workshop
