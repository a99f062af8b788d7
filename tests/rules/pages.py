"""
The examples on the rules' pages, as the pages write them.

Under *It fires on* and *It stays quiet on* stand the blocks of one example. What comes after the language says what a
block is: nothing is the module ``orders`` of the app, a name is that file of the codebase, ``environment`` is what the
process finds there, and ``console`` is what is typed in the codebase before it starts. A page whose example needs more
than that names the test that runs it.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "rules"
HEADINGS = {"fires": "It fires on", "quiet": "It stays quiet on"}

_FENCE = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TEST = re.compile(r"^Run by `(tests/[\w/]+\.py::[\w:]+)`", re.MULTILINE)
_SERVER = re.compile(r"127\.0\.0\.1:(5432|3306|6379|5672|4222)\b")


@dataclass(frozen=True, slots=True)
class Example:
    """
    What a page shows under one heading.

    Attributes:
        files: The files of the codebase by name, the app's module among them.
        environment: The variables that the process finds.
        commands: What is typed before it starts.
        tests: The tests that run it where the page cannot.
        ports: Those of the servers that it talks to.
    """

    files: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()

    @property
    def is_shown(self):
        """Whether the page itself shows what there is to run."""
        return bool(self.files or self.environment or self.commands)


def part(rule, heading):
    """The text of *rule*'s page below *heading*, or an empty string."""
    parts = re.split(r"^## (.+)\n", (PAGES / f"{rule}.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2])).get(heading, "")


def example(rule, kind):
    """The example of *rule* that ``fires``, or the one that is ``quiet``."""
    text = part(rule, HEADINGS[kind])
    files, environment, commands = {}, {}, []
    for language, name, code in _FENCE.findall(text):
        if language == "console":
            commands += [line.removeprefix("$ ") for line in code.splitlines()]
        elif name == "environment":
            environment |= dict(line.split("=", 1) for line in code.splitlines())
        else:
            files[name or "orders.py"] = code
    ports = tuple(map(int, _SERVER.findall(text)))
    return Example(files, environment, tuple(commands), tuple(_TEST.findall(text)), ports)
