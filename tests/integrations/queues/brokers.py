"""Brokers of a test's own, that keep their data and their port while they are away."""

import signal
import subprocess
import tempfile
import time
from pathlib import Path
from unittest import mock

from twelvefactor.testing import engines


class Redis:
    """A Redis in a folder of the test's own."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, engines.free_port(), None
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        command = [engines._redis_server(None), "--port", self.port, "--bind", "127.0.0.1", "--dir", self.folder]
        self.process = subprocess.Popen(
            [str(word) for word in (*command, "--appendonly", "yes", "--appendfsync", "always", "--save", "")],
            stdout=subprocess.DEVNULL,
        )
        ends = time.monotonic() + 20
        while not engines.answers(self.port, b"PING\r\n", b"+PONG"):
            assert time.monotonic() < ends
            time.sleep(0.02)

    def freeze(self):
        """Answer nothing any more, and keep the connections."""
        self.process.send_signal(signal.SIGSTOP)

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGCONT)
            self.process.wait(20)


def reachable():
    """A folder that other users get at too, as a server needs it that is not run by root."""
    folder = Path(tempfile.mkdtemp(prefix="broker-"))
    folder.chmod(0o755)
    return folder


class RabbitMQ:
    """A RabbitMQ in a folder of the test's own; it starts and stops slowly."""

    def __init__(self, folder):
        self.folder, self._ports, self._running = folder, (engines.free_port(), engines.free_port()), None
        self.url = f"amqp://guest:guest@127.0.0.1:{self._ports[0]}/%2F"

    def start(self):
        patient = mock.patch.object(engines.Engine.wait_ready, "__defaults__", (120.0,))  # on a busy machine
        with mock.patch.object(engines, "free_port", iter(self._ports).__next__), patient:
            self._running = engines.rabbitmq(self.folder)
            assert self._running.__enter__() == self.url

    def stop(self):
        running, self._running = self._running, None
        if running is not None:
            running.__exit__(None, None, None)
