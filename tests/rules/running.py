"""Run what a page shows: its files, its environment and its commands, each process a fork of `lives.py`."""

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.rules.pages import ROOT

BOUND = 60.0  # seconds until a process of an example has ended
SERVERS = ("uvicorn", "gunicorn")
WORKERS = ("celery",)
FORKED = (*SERVERS, *WORKERS, "twelvefactor", "life")
"""Programs that a fork can be; any other is run by a shell."""
ENDS = (0, -signal.SIGTERM, 128 + signal.SIGTERM)

ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "LOG_FORMAT": "json",
    "GIT_SHA": "3f1c2ab",
    "TWELVEFACTOR_RELEASE": "v1",
    "TWELVEFACTOR_SERVICE": "orders:service",
    "TWELVEFACTOR_LEAKS": "thorough",
    "TWELVEFACTOR_GRACE_PERIOD": "2s",
    "GUNICORN_CMD_ARGS": "--no-control-socket",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.com",
}
"""What every example finds, so that it is about its own rule alone."""


class Lives:
    """A process that forks for each process of an example, so that none has to import it all again."""

    def __init__(self):
        self._forks = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/rules/lives.py")], env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def start(self, **asked):
        """Give the number of a new process."""
        print(json.dumps(asked), file=self._forks.stdin, flush=True)
        return self._told("pid")

    def end(self, pid):
        """Wait for it, and give its status; one that hangs is killed."""
        late = threading.Timer(BOUND, os.kill, (pid, signal.SIGKILL))
        late.start()
        try:
            return self._told("status")
        finally:
            late.cancel()

    def _told(self, what):
        line = self._forks.stdout.readline()
        assert line, "the process that forks has died"
        return json.loads(line)[what]

    def close(self):
        with self._forks:
            self._forks.stdin.close()


class Setting:
    """The codebase and the environment that an example asks for, in a folder of its own."""

    def __init__(self, folder, shown):
        self.folder, self.root = folder, folder / "orders"
        self._held = {name: held() for name in ("8000", "8123")}
        for each in ("orders/bin", "site-packages", "srv/uploads", "stand-ins"):
            (folder / each).mkdir(parents=True)
        for name, text in {"orders.py": "", **shown.files}.items():
            self._write(name, text)
        self._keep_installers_away()
        self.environment = ENVIRONMENT | self._own() | {k: self._here(v) for k, v in shown.environment.items()}
        self.commands = [self._here(each) for each in shown.commands]

    def _own(self):
        path = [self.root / "bin", self.folder / "stand-ins", Path(sys.executable).parent, "/usr/bin", "/bin"]
        return {
            "HOME": str(self.folder),
            "PATH": os.pathsep.join(map(str, path)),
            "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")]),
            "TWELVEFACTOR_EVIDENCE": str(self.folder / "evidence.json"),
        }

    def _write(self, name, text):
        above = self.folder if name.startswith(("site-packages/", "/srv/")) else self.root
        file = above / name.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self._here(text))
        if text.startswith("#!"):
            file.chmod(0o755)

    def _here(self, text):
        """What the page calls ``/srv`` lies here, and its ports are free ones."""
        text = re.sub(r"\b(8000|8123)\b", lambda found: str(port(self._held[found[0]])), text)
        return text.replace("/srv", str(self.folder / "srv"))

    def _keep_installers_away(self):
        """No example installs anything, whatever it shows."""
        for name in ("pip", "uv", "npm"):
            file = self.folder / "stand-ins" / name
            file.write_text("#!/bin/sh\n")
            file.chmod(0o755)

    @property
    def ports(self):
        """Where its server may listen."""
        return tuple(map(port, self._held.values()))

    def close(self):
        """Let go of the ports."""
        for each in self._held.values():
            each.close()

    @property
    def said(self):
        """What its processes wrote, for whoever reads of a failure."""
        file = self.folder / "said.txt"
        return file.read_text() if file.is_file() else ""

    def evidence(self):
        """What the last process saw, or None; it is taken away."""
        file = self.folder / "evidence.json"
        if not file.is_file():
            return None
        told = json.loads(file.read_text())["rules"]
        file.unlink()
        return told


def held():
    """A port that nobody else is given, and that a server can listen on all the same."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def port(held):
    return held.getsockname()[1]


def run(lives, setting, rule, kind):
    """Type what the page says, let the app live unless that was its life, and give what was seen."""
    seen = None
    for line in setting.commands:
        seen = typed(lives, setting, line)
    if seen is None:
        fork(lives, setting, ["life", rule, kind])
        seen = setting.evidence()
    assert seen, setting.said
    return seen


def typed(lives, setting, line):
    """Run one line, and give what a service in it saw, if there was one."""
    words = shlex.split(line)
    variables = [word for word in words if re.match(r"[A-Z_]+=", word)]
    argv = words[len(variables) :]
    if argv[0] in FORKED:
        fork(lives, setting, argv, dict(each.split("=", 1) for each in variables))
    else:
        shell(setting, line)
    return setting.evidence()


def shell(setting, line):
    with (setting.folder / "said.txt").open("a") as said:
        done = subprocess.run(
            ["sh", "-c", line], cwd=setting.root, env=setting.environment, timeout=BOUND, stdout=said, stderr=said
        )
    assert done.returncode == 0, setting.said


def fork(lives, setting, argv, more=()):
    """Run a program, and stop it by SIGTERM where it would go on."""
    pid = lives.start(folder=str(setting.folder), argv=argv, environment=setting.environment | dict(more))
    try:
        if argv[0] in SERVERS:
            wait_until(lambda: any(map(answers, setting.ports)))
        if argv[0] in WORKERS:
            wait_until(lambda: '"twelvefactor.ready"' in setting.said)
    finally:
        if argv[0] in SERVERS + WORKERS:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and its status tells why
                os.kill(pid, signal.SIGTERM)
        status = lives.end(pid)
    assert status in ENDS, setting.said


def wait_until(holds):
    ends = time.monotonic() + BOUND
    while not holds():
        assert time.monotonic() < ends, "it never came to that"
        time.sleep(0.02)


def answers(port):
    """Whether a server is there, whatever it says."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=BOUND).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
