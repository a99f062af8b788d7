"""Understand a command line well enough to say which tools it starts, and whether it installs packages."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SHELLS = {"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"}
_PREFIXES = {"sudo", "env", "nice", "nohup", "time", "exec", "timeout", "stdbuf", "setsid", "command"}
_BUILT_IN = frozenset(
    [
        "cd",
        "echo",
        "export",
        "set",
        "test",
        "[",
        "true",
        "false",
        "exit",
        ":",
        "if",
        "for",
        "while",
        "then",
        "fi",
        "do",
        "done",
        "else",
        "source",
        ".",
        "umask",
        "wait",
        "trap",
        "read",
        "unset",
        "{",
        "}",
        "(",
        ")",
        "!",
        "printf",
        "pwd",
    ]
)
_INSTALL = {
    "pip": {"install"},
    "pip3": {"install"},
    "pipx": {"install", "run"},
    "easy_install": {""},
    "uv": {"install", "add", "sync"},
    "uvx": {""},
    "poetry": {"install", "add", "update", "sync"},
    "pdm": {"install", "add", "update", "sync"},
    "pipenv": {"install", "update", "sync"},
    "conda": {"install", "create", "update"},
    "mamba": {"install", "create", "update"},
    "npm": {"install", "i", "ci", "add", "update"},
    "pnpm": {"install", "i", "add", "update"},
    "yarn": {"install", "add"},
    "gem": {"install"},
    "cargo": {"install"},
    "apt": {"install"},
    "apt-get": {"install"},
    "apk": {"add"},
    "yum": {"install"},
    "dnf": {"install"},
    "brew": {"install"},
}
_SEPARATORS = re.compile(r"&&|\|\||[;\n|&]")
_FETCHED = re.compile(
    r"\b(?:curl|wget)\b[^;&\n]*\|\s*(?:sudo\s+)?(?:ba|da|z|k)?sh\b|\b(?:curl|wget)\b[^;&\n]*\|\s*(?:sudo\s+)?python"
)
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*$")


def words(args: Any) -> list[str]:
    """The words of what was handed to the system: one text, bytes, or a sequence of them."""
    if isinstance(args, str | bytes):
        return [_text(args)]
    try:
        return [_text(each) for each in args]
    except TypeError:
        return []


def _text(word: Any) -> str:
    return word.decode(errors="replace") if isinstance(word, bytes) else str(word)


def commands(argv: Sequence[str]) -> Iterator[list[str]]:
    """
    The commands that a command line runs: itself, or those of the shell that it is.

    >>> list(commands(["/bin/sh", "-c", "cd /tmp && convert a.png b.jpg | tee log"]))
    [['cd', '/tmp'], ['convert', 'a.png', 'b.jpg'], ['tee', 'log']]
    """
    argv = _bare(argv)
    if argv and _name(argv[0]) in _SHELLS:
        script = next((argv[at + 1] for at, word in enumerate(argv[:-1]) if re.match(r"-\w*c$", word)), None)
        for part in _SEPARATORS.split(script or ""):
            inner = _bare(_split(part))
            if inner:
                yield inner
    elif argv:
        yield list(argv)


def _bare(argv: Sequence[str]) -> list[str]:
    """Without what only wraps a command: variables, sudo, env."""
    rest = list(argv)
    while len(rest) > 1 and (_name(rest[0]) in _PREFIXES or re.match(r"\w+=", rest[0])):
        del rest[0]
        while len(rest) > 1 and (rest[0].startswith("-") or rest[0].isdecimal()):
            del rest[0]
    return rest


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _name(word: str) -> str:
    return PurePath(word).name


def tools(argv: Sequence[str]) -> list[str]:
    """
    The tools that a command line starts, by name; what a shell does by itself is none.

    >>> tools(["sudo", "/usr/bin/ffmpeg", "-i", "a"]), tools(["sh", "-c", "cd x && echo y"])
    (['/usr/bin/ffmpeg'], [])
    """
    return [each[0] for each in commands(argv) if each[0] not in _BUILT_IN and not re.match(r"[$`]|\w+=", each[0])]


def installs(argv: Sequence[str]) -> str:
    """
    The command in *argv* that installs packages, or an empty string.

    >>> installs(["python", "-m", "pip", "install", "x"]), installs(["pip", "list"])
    ('pip install', '')
    """
    script = " ".join(argv)
    if _FETCHED.search(script):
        return "a script that was fetched from the network"
    return next((found for command in commands(argv) if (found := _installs(command))), "")


def _installs(command: Sequence[str]) -> str:
    name, rest = _name(command[0]), list(command[1:])
    if _PYTHON.match(name):
        if rest[:2] == ["-m", "ensurepip"]:
            return "ensurepip"
        if rest[:1] != ["-m"] or len(rest) < 2:  # noqa: PLR2004 - -m and a module
            return ""
        name, rest = rest[1], rest[2:]
    verbs = _INSTALL.get(name)
    if verbs is None or "--dry-run" in rest or "--help" in rest:
        return ""
    if "" in verbs:
        return name
    plain = [word for word in rest if not word.startswith("-")][:2]
    verb = next((word for word in plain if word in verbs), None)
    return f"{name} {verb}" if verb else ""
