"""TF304: a .env file where only development should have one."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from twelvefactor.config.rules import TF304
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twelvefactor._core.process import Process

_SAMPLES = (".example", ".sample", ".template", ".dist", ".schema", ".vault")


class DotEnv:
    """Looks for .env files in the codebase: tracked by version control, or beside the code of a deployed process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """Look once."""
        try:
            self._look()
        except Exception as error:  # noqa: BLE001 - a fault of ours never stops the start
            self._process.fault(".env files", error)

    def remove(self) -> None:
        """Nothing was installed."""

    def _look(self) -> None:
        evidence, root = self._process.evidence, self._process.app_code.root
        if root is None:
            evidence.could_not_look(TF304, "nobody knows the codebase root")
            return
        lying = _lying_in(root)
        deploy = self._process.deploy
        for name in lying if deploy is not None else ():
            message = f"{name} lies beside the code of a deployed process ({deploy})"
            evidence.report(Finding(TF304, message, name, name))
        index = root / ".git" / "index"
        try:
            tracked = tracked_in(index.read_bytes()) if index.is_file() else None
        except (OSError, ValueError) as error:
            tracked = None
            if deploy is None and lying:
                evidence.could_not_look(TF304, f"the index of the repository cannot be read ({type(error).__name__})")
        for name in tracked or ():
            evidence.report(Finding(TF304, f"{name} is tracked by version control", name, name))
        if not lying or deploy is not None or tracked is not None:
            evidence.looked(TF304, "the codebase root and the repository's index")
        else:
            evidence.could_not_look(
                TF304,
                f"{lying[0]} lies in the codebase, and nothing says whether this is a deploy: set TWELVEFACTOR_DEPLOY",
            )


def is_dotenv(name: str) -> bool:
    """
    Whether a file called *name* holds variables of some deploy.

    >>> is_dotenv(".env"), is_dotenv(".env.production"), is_dotenv(".env.example"), is_dotenv(".envrc")
    (True, True, False, False)
    """
    return (name == ".env" or name.startswith(".env.")) and not name.endswith(_SAMPLES)


def _lying_in(root: Path) -> list[str]:
    return sorted(entry.name for entry in root.iterdir() if is_dotenv(entry.name) and entry.is_file())


def tracked_in(index: bytes) -> list[str]:
    """
    The .env files that a git index lists; read here, since an image has no git.

    Raises:
        ValueError: When it is none, or of a version that is not known.
    """
    if index[:4] != b"DIRC":
        raise ValueError("is not a git index")
    try:
        return list(_dotenvs(index))
    except (IndexError, struct.error) as error:
        raise ValueError("ends too early") from error


def _dotenvs(index: bytes) -> Iterator[str]:
    version, count = struct.unpack(">II", index[4:12])
    if version not in {2, 3, 4}:
        raise ValueError("an unknown version")
    at, previous = 12, b""
    for _ in range(count):
        at, path = _entry(index, at, version, previous)
        previous = path
        name = path.rpartition(b"/")[2].decode(errors="replace")
        if is_dotenv(name):
            yield path.decode(errors="replace")


def _entry(index: bytes, start: int, version: int, previous: bytes) -> tuple[int, bytes]:
    """Where the next entry begins, and the path of the one at *start*."""
    (flags,) = struct.unpack(">H", index[start + 60 : start + 62])
    at = start + (64 if version > 2 and flags & 0x4000 else 62)  # noqa: PLR2004 - the format's own numbers
    if version < 4:  # noqa: PLR2004 - as above
        end = index.index(b"\0", at)
        return start + (end - start + 8) // 8 * 8, index[at:end]
    strip, at = _varint(index, at)
    end = index.index(b"\0", at)
    return end + 1, previous[: len(previous) - strip] + index[at:end]


def _varint(index: bytes, at: int) -> tuple[int, int]:
    byte = index[at]
    value = byte & 127
    while byte & 128:
        at += 1
        byte = index[at]
        value = ((value + 1) << 7) | (byte & 127)
    return value, at + 1
