"""
Is the process that beats beside this one alive? For processes without HTTP: `twelvefactor probe`, or this module.

Imports the standard library only, and of it little: a kubelet gives a probe one second, on a machine that is busy.
"""

from __future__ import annotations

import os
import sys
import time

DEFAULT_PATH = "/dev/shm/twelvefactor.heartbeat"  # noqa: S108 - shared memory: the root file system may be read-only
VARIABLE = "TWELVEFACTOR_HEARTBEAT"
MAX_AGE = 30.0  # seconds
FRESH, STALE = 0, 1
_TIMEOUT = 0.9  # seconds; a probe that is killed says nothing

USAGE = """\
Usage: twelvefactor probe [--ready] [--max-age SECONDS] [--heartbeat PATH | --port PORT]

  Is the process that beats in this container alive? Exit status 0 says yes, 1 no; 64 is wrong usage.

Options:
  --ready            It must be ready too: not starting, and not draining.
  --max-age SECONDS  How old its last beat may be; 30 by default.
  --heartbeat PATH   The file; else what TWELVEFACTOR_HEARTBEAT says.
  --port PORT        Ask the management port instead of the file.
  -h, --help         Show this message and exit.

Examples:
  $ twelvefactor probe
  $ twelvefactor probe --ready --max-age 10
  $ python -m twelvefactor.probe --port 9000
"""


def path_of(environ: object) -> str | None:
    """
    The heartbeat's file: `TWELVEFACTOR_HEARTBEAT`, where ``1`` is the default path; None where it is not set.

    >>> path_of({"TWELVEFACTOR_HEARTBEAT": "/run/orders/beat"}), path_of({})
    ('/run/orders/beat', None)
    """
    said = environ.get(VARIABLE)  # type: ignore[attr-defined]  # a mapping; typing is not imported here
    return DEFAULT_PATH if said == "1" else said or None


def line(pid: int, state: str, now: float) -> bytes:
    """A beat as the file holds it: 64 bytes, so that one write replaces one beat."""
    return f"{now:.3f} {pid} {state}".ljust(63).encode() + b"\n"


def read(path: str) -> tuple[float, int, str] | None:
    """The last beat in *path*: seconds on the clock that all processes of a machine share, pid, state; or None."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            words = os.read(descriptor, 64).split()
        finally:
            os.close(descriptor)
        return float(words[0]), int(words[1]), words[2].decode()
    except (OSError, ValueError, IndexError):
        return None


def judge(path: str, max_age: float, *, ready: bool, now: float) -> tuple[int, str]:
    """The status, and why."""
    beat = read(path)
    if beat is None:
        return STALE, f"no heartbeat in {path}"
    age = now - beat[0]
    if age > max_age:
        return STALE, f"the last beat of process {beat[1]} is {age:.1f} s old, of {max_age:g} s"
    if age < -1:
        return STALE, "the beat is of another boot"
    if ready and beat[2] != "ready":
        return STALE, f"process {beat[1]} is {beat[2]}"
    return FRESH, f"process {beat[1]} is {beat[2]}, {max(age, 0):.1f} s ago"


def ask(port: int, *, ready: bool) -> tuple[int, str]:
    """The status that the management port tells, and its line."""
    import socket

    path = "/readyz" if ready else "/livez"
    try:
        with socket.create_connection(("127.0.0.1", port), _TIMEOUT) as talk:
            talk.settimeout(_TIMEOUT)
            talk.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            head = talk.recv(200).split(b"\r\n", 1)[0].decode(errors="replace")
    except OSError as error:
        return STALE, f"port {port}: {error.strerror or type(error).__name__}"
    return FRESH if head.split()[1:2] == ["200"] else STALE, f"{path} says {head or 'nothing'}"


class Asked:
    """What the command line asks for."""

    def __init__(self, words: list[str]) -> None:
        self.ready, self.max_age = False, MAX_AGE
        self.path, self.port = path_of(os.environ) or DEFAULT_PATH, 0
        self.wrong = ""
        try:
            while words and not self.wrong:
                self._take(*words.pop(0).partition("=")[::2], words)
        except (ValueError, IndexError) as error:
            self.wrong = str(error)

    def _take(self, word: str, value: str, rest: list[str]) -> None:
        if word == "--ready":
            self.ready = True
        elif word == "--max-age":
            self.max_age = float(value or rest.pop(0))
        elif word == "--heartbeat":
            self.path = value or rest.pop(0)
        elif word == "--port":
            self.port = int(value or rest.pop(0))
        else:
            self.wrong = f"no such option: {word}"


def main(arguments: list[str] | None = None) -> int:
    """Judge, say why on stdout, and give the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "--help" in words or "-h" in words:
        print(USAGE, end="")  # noqa: T201 - for people
        return FRESH
    asked = Asked(words)
    if asked.wrong:
        print(f"{USAGE}\nError: {asked.wrong}", file=sys.stderr)  # noqa: T201 - for people
        return os.EX_USAGE
    if asked.port:
        status, why = ask(asked.port, ready=asked.ready)
    else:
        status, why = judge(asked.path, asked.max_age, ready=asked.ready, now=time.monotonic())
    print(why)  # noqa: T201 - the kubelet shows it
    return status


if __name__ == "__main__":
    sys.exit(main())
