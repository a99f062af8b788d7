"""Look a variable up where a deploy may have put it, and remember where it was."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RUN_SECRETS = Path("/run/secrets")
LARGEST = 1024 * 1024  # bytes of one value; a bigger file is not a value


@dataclass(frozen=True, slots=True)
class Origin:
    """
    Where a value came from.

    Attributes:
        kind: ``explicit``, ``environment``, ``file``, ``secret file``, ``binding``, ``VCAP_SERVICES``, ``source``,
            ``default`` or ``placeholder``.
        name: The variable that was read, or an empty string.
        path: The file that held the value, or an empty string.
    """

    kind: str
    name: str = ""
    path: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.path or self.name}".strip() if self.kind != "environment" else self.name


@dataclass(frozen=True, slots=True, repr=False)  # a repr would show the value
class Found:
    """A value as text, and where it was."""

    text: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a place cannot be read; never holds a value."""

    wrong: str
    hint: str = ""


class Files:
    """
    Values in files: what ``NAME_FILE`` points at, and the files of a directory of secrets.

    Args:
        directories: Directories with one file per secret; one that does not exist is empty.
    """

    def __init__(self, directories: Iterable[Path]) -> None:
        self.directories = tuple(directories)
        self._listed: dict[str, str] | None = None

    @property
    def listed(self) -> dict[str, str]:
        """The files of the directories by their upper-case names; the first directory wins."""
        if self._listed is None:
            self._listed = {}
            for directory in reversed(self.directories):
                self._listed.update(_files_in(directory))
        return self._listed


def _files_in(directory: Path) -> dict[str, str]:
    try:
        with os.scandir(directory) as entries:
            # Kubernetes mounts ..data and ..2026_01_01 beside the links that are the secrets
            return {entry.name.upper(): entry.path for entry in entries if not entry.name.startswith(".")}
    except OSError:
        return {}


def read(path: str) -> str | Trouble | None:
    """The text of the file *path* without one trailing newline; None where there is no such file."""
    try:
        # a FIFO or a device would block for ever, so it is opened without waiting and then refused
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return Trouble(_words(error))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return Trouble("is a directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "is not a regular file")
        raw = _all_of(descriptor)
    except OSError as error:
        return Trouble(_words(error))
    finally:
        os.close(descriptor)
    return decode(raw)


def _all_of(descriptor: int) -> bytes:
    chunks = []
    left = LARGEST + 1
    while left > 0 and (chunk := os.read(descriptor, left)):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def decode(raw: bytes) -> str | Trouble:
    """The text in *raw* without one trailing newline, or what is wrong with it."""
    if len(raw) > LARGEST:
        return Trouble(f"holds more than {LARGEST} bytes")
    raw = raw.removesuffix(b"\n").removesuffix(b"\r") if raw.endswith(b"\n") else raw
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        at = error.start
    else:
        return text
    return Trouble(f"is not UTF-8 (first bad byte at {at})")


def _words(error: OSError | ValueError) -> str:
    """What went wrong with a file, without its content or its name."""
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return "cannot be read: not a path"


class Environment:
    """
    The process environment, looked up by exact name first and then in any case.

    Args:
        environ: The variables.
        case_sensitive: Whether only the exact name counts.
    """

    def __init__(self, environ: Mapping[str, str], *, case_sensitive: bool = False) -> None:
        self.variables = dict(environ.items())
        self._folded: dict[str, str] = {}
        if not case_sensitive:
            for name in self.variables:
                if not name.isupper():
                    self._folded.setdefault(name.upper(), name)

    def spelling(self, name: str) -> str | None:
        """How *name* is spelt where it is set, or None where it is not."""
        if name in self.variables:
            return name
        return self._folded.get(name.upper()) if self._folded else None

    def get(self, name: str) -> str | None:
        """The text of *name*, or None where it is not set."""
        text = self.variables.get(name)
        if text is None and self._folded:
            spelt = self._folded.get(name.upper())
            return None if spelt is None else self.variables[spelt]
        return text


def unreadable(text: str) -> str:
    """What keeps *text* from being a value at all, in words; empty where nothing does."""
    if "\0" in text:
        return f"holds a NUL character (at {text.index(chr(0))})"
    if len(text) > LARGEST:
        return f"holds more than {LARGEST} characters"
    if text.isascii():
        return ""
    at = next((at for at, letter in enumerate(text) if "\ud800" <= letter <= "\udfff"), None)
    return "" if at is None else f"is not UTF-8 (first bad byte at character {at})"
