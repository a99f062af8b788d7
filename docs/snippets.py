"""Run the Python snippets of a page, in order and in one namespace: `pytest -p docs.snippets docs README.md`."""

import sys
from pathlib import Path
from types import ModuleType

from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).resolve().parent.parent


def setup(namespace):
    """Let what a page defines belong to a module, as it would in a file: frameworks look annotations up there."""
    sys.modules["snippets"] = ModuleType("snippets")
    namespace["__name__"] = "snippets"


def compiled(example):
    """A rule's page shows how to break it, which nobody wants done here: tests/rules runs it. It must be Python."""
    compile(example.parsed, str(example.path), "exec")


RUN = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    path=str(ROOT),
    patterns=["README.md", "docs/*.md", "docs/**/*.md"],
    excludes=["docs/rules/*.md"],
    setup=setup,
)
READ = Sybil(parsers=[CodeBlockParser("python", compiled), SkipParser()], path=str(ROOT), patterns=["docs/rules/*.md"])

pytest_collect_file = (RUN + READ).pytest()
