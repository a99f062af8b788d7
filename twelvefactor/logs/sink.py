"""Whole lines out of the process: one call of the kernel each, never raising, never silently losing."""

from __future__ import annotations

import errno
import os
import select
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

STDOUT: Final = 1
STDERR: Final = 2
PATIENCE_MS: Final = 1  # how long a non-blocking sink waits for room before it drops
_NAMES = {STDOUT: "stdout", STDERR: "stderr"}
_UNSEEN = object()
_os_write = os.write


def _no_recovery(lost: int) -> None:
    """Nobody wants to know yet."""


def wait_for_room(descriptor: int, timeout_ms: int | None) -> bool:
    """Wait until *descriptor* takes a write, or is broken; False after *timeout_ms* milliseconds."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(timeout_ms))


class Sink:
    """
    The descriptor, or the stream, that lines go to. A full pipe blocks: back pressure.

    What cannot be written is counted in `lost`, told once on stderr, and summed up when writing works again.
    Thread-safe and usable in signal handlers: it holds no lock.

    Args:
        number: 1 for stdout, 2 for stderr; ``sys.stdout`` itself where that is not the descriptor.
        stream: A text or binary stream to write to instead.
    """

    _waits = True

    def __init__(self, number: int = STDOUT, stream: Any = None) -> None:
        self.number = number
        self.written = 0
        self.lost = 0
        self.on_recovery: Callable[[int], None] = _no_recovery
        self._name = _NAMES[number]
        self._fixed = stream
        self._seen: object = _UNSEEN
        self._descriptor: int | None = None
        self._out: Any = None
        self._missing = 0  # lost since the last line that went out

    @property
    def is_terminal(self) -> bool:
        """Whether a person is reading."""
        try:
            self._follow()
            return (
                os.isatty(self._descriptor)
                if self._out is None and self._descriptor is not None
                else self._out.isatty()
            )
        except (OSError, ValueError, AttributeError):
            return False

    def write(self, line: bytes) -> None:
        """Write the whole *line*; never raises."""
        try:
            out = getattr(sys, self._name)
            if out is not self._seen:
                self._follow()
            descriptor = self._descriptor
            if descriptor is None:
                self._hand(line)
            elif self._waits:
                done = _os_write(descriptor, line)
                if done != len(line):  # a signal came, or the pipe is nearly full
                    self._send(descriptor, line[done:])
            else:
                self._send(descriptor, line)
        except BlockingIOError as error:
            self._wait_or_lose(line, error)
        except Exception as error:  # noqa: BLE001 - a log line never breaks the app; it is counted
            self._lose(error)
        else:
            self.written += 1  # no thread switch happens inside one such statement
            if self._missing:
                self._recover()

    def _wait_or_lose(self, line: bytes, error: Exception) -> None:
        """Somebody made stdout non-blocking: wait for room all the same, where this sink waits."""
        if not self._waits or self._descriptor is None:
            self._lose(error)
            return
        try:
            self._send(self._descriptor, line)
        except Exception as worse:  # noqa: BLE001 - as in `write`
            self._lose(worse)
        else:
            self.written += 1
            if self._missing:
                self._recover()

    def _send(self, descriptor: int, line: bytes) -> None:
        """Put out all of *line*, waiting for room as long as it takes."""
        while line:
            try:
                line = line[_os_write(descriptor, line) :]
            except BlockingIOError:
                wait_for_room(descriptor, None)

    def _hand(self, line: bytes) -> None:
        out = self._out
        if out is None:
            raise OSError(errno.EBADF, "there is no stream")
        if not _takes_text(out):
            out.write(line)
        else:
            _write_text(out, line)
        out.flush()

    def _follow(self) -> None:
        """See what stdout is now: the descriptor, or what somebody put in its place."""
        current = getattr(sys, self._name)
        out = self._fixed if self._fixed is not None else getattr(current, "twelvefactor_original", current)
        if out is None:
            out = getattr(sys, f"__{self._name}__")  # None too where the process began without it
        self._descriptor = _descriptor_of(out, self.number) if self._fixed is None else None
        self._out = None if self._descriptor is not None else out
        self._seen = current

    def _lose(self, error: Exception) -> None:
        self.lost += 1
        self._missing += 1
        if self._missing == 1:
            self._notice(error)

    def _notice(self, error: Exception) -> None:
        if self.number == STDERR or sys.__stderr__ is None:
            return
        why = errno.errorcode.get(error.errno or 0, "") if isinstance(error, OSError) else ""
        text = (
            f"twelvefactor: events are being lost: {self._name} takes no more lines ({why or type(error).__name__})\n"
        )
        try:
            if wait_for_room(STDERR, 0):
                _os_write(STDERR, text.encode())
        except OSError:
            pass  # nobody is left to tell; the count says it

    def _recover(self) -> None:
        missing, self._missing = self._missing, 0
        self.on_recovery(missing)

    def flush(self) -> None:
        """Put out what is held back; never raises."""

    def close(self) -> None:
        """Give back what was opened; idempotent."""
        self.flush()

    def forked(self) -> None:
        """Begin anew in a forked child."""
        self.written = self.lost = self._missing = 0


class NonblockingSink(Sink):
    """A sink that drops a line rather than wait: a millisecond the first time, not at all while the reader stalls."""

    _waits = False

    def __init__(self, number: int = STDOUT, stream: Any = None) -> None:
        super().__init__(number, stream)
        self._lock = threading.RLock()
        self._rest = b""  # of a line that went out in part; the next line waits for it
        self._busy = False
        self._later: list[bytes] = []  # said by a signal handler in the middle of a line
        self._own: int | None = None

    def _follow(self) -> None:
        super()._follow()
        if self._descriptor is not None and self._own is None:
            self._own = _private_descriptor(self._descriptor)

    def _send(self, descriptor: int, line: bytes) -> None:
        with self._lock:
            if self._busy:
                self._later.append(line)
                return
            self._busy = True
            try:
                self._send_locked(self._own if self._own is not None else descriptor, line)
                while self._later:
                    self._send_locked(self._own if self._own is not None else descriptor, self._later.pop(0))
            finally:
                self._busy = False

    def _send_locked(self, descriptor: int, line: bytes) -> None:
        patience = 0 if self._missing else PATIENCE_MS
        if self._rest and not self._finish(descriptor, patience):
            raise BlockingIOError(errno.EAGAIN, "the reader stalls")
        if not wait_for_room(descriptor, patience):
            raise BlockingIOError(errno.EAGAIN, "the reader stalls")
        done = _os_write(descriptor, line)
        self._rest = line[done:]
        if self._rest:
            self._finish(descriptor, patience)

    def _finish(self, descriptor: int, patience: int) -> bool:
        """Put out the rest of a line; False where there is no room yet."""
        while self._rest:
            try:
                if not wait_for_room(descriptor, patience):
                    return False
                self._rest = self._rest[_os_write(descriptor, self._rest) :]
            except BlockingIOError:
                return False
            except OSError:
                self._rest = b""  # the reader went away with it
                raise
        return True

    def flush(self) -> None:
        """Put out the rest of a line, waiting a little for room."""
        if self._own is None or not self._rest or not self._lock.acquire(timeout=0.05):
            return
        try:
            self._finish(self._own, 50)
        except OSError:
            pass  # counted when the line was written
        finally:
            self._lock.release()

    def close(self) -> None:
        self.flush()
        own, self._own, self._seen = self._own, None, _UNSEEN
        if own is not None:
            os.close(own)

    def forked(self) -> None:
        super().forked()
        self._lock = threading.RLock()
        self._rest, self._busy, self._later = b"", False, []


def _private_descriptor(descriptor: int) -> int | None:
    """Open the same pipe anew, without blocking; other users of stdout keep theirs as it is."""
    import stat

    try:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
            return None  # a file never blocks, a socket cannot be opened again
        return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None


def _descriptor_of(out: Any, number: int) -> int | None:
    """*number* where *out* writes to it; without *out* the number may by now be a file's or a database's."""
    try:
        return number if out.fileno() == number else None
    except (AttributeError, OSError, ValueError):
        return None


def _takes_text(out: Any) -> bool:
    import io

    if isinstance(out, io.TextIOBase):
        return True
    return not isinstance(out, (io.RawIOBase, io.BufferedIOBase)) and "b" not in getattr(out, "mode", "")


def _write_text(out: Any, line: bytes) -> None:
    text = line.decode(errors="replace")
    try:
        out.write(text)
    except UnicodeEncodeError:
        import json

        out.write(json.dumps(json.loads(line)) + "\n")
