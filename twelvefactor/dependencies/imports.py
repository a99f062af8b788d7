"""Which modules app code imports: read from its source, quickly, and read closely only where something is wrong."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATEMENT = re.compile(rb"^[ \t]*(?:from[ \t]+(\w+)[\w. \t]*import\b|import[ \t]+([^\n#;]+))", re.MULTILINE)
_TESTS = re.compile(r"(?:^|/)(?:tests?|testing|conftest\.py|test_[^/]*\.py|[^/]*_test\.py)(?:/|$)")


def is_test(relative: str) -> bool:
    """
    Whether a file of the app is only there for tests, which may use what the app does not declare.

    >>> is_test("tests/test_orders.py"), is_test("orders/contest.py")
    (True, False)
    """
    return _TESTS.search(relative) is not None


def mentioned(source: bytes) -> frozenset[str]:
    r"""
    The top-level modules that lines of *source* import, or seem to: text in a docstring is not told apart.

    >>> sorted(mentioned(b"import a.b as c, d\nfrom e.f import g\nfrom . import h\n"))
    ['a', 'd', 'e']
    """
    found: set[str] = set()
    for package, modules in _STATEMENT.findall(source):
        if package:
            found.add(package.decode())
        for part in modules.split(b","):
            words = part.split()
            if words:
                found.add(words[0].partition(b".")[0].decode(errors="replace"))
    return frozenset(found)


def line_of(source: bytes, module: str) -> int:
    """
    The line on which *source* imports the top-level *module*; 0 where it does not, or only if it happens to be there.

    An import inside ``if TYPE_CHECKING`` never runs, and one inside ``try … except ImportError`` is a choice.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return 0
    return next((line for line, top in _imports(tree.body) if top == module), 0)


def _imports(body: list[ast.stmt]) -> Iterator[tuple[int, str]]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0 and node.module:
                yield node.lineno, node.module.partition(".")[0]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.orelse)
        elif isinstance(node, ast.Try | ast.TryStar) and _is_choice(node):
            yield from _imports(node.finalbody)
        else:
            for inner in _bodies(node):
                yield from _imports(inner)


def _is_choice(node: ast.Try | ast.TryStar) -> bool:
    names = {name for handler in node.handlers for name in _caught(handler.type)}
    return bool(names & {"ImportError", "ModuleNotFoundError", "Exception", "BaseException", ""})


def _caught(caught: ast.expr | None) -> list[str]:
    if caught is None:
        return [""]
    parts = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return [part.id for part in parts if isinstance(part, ast.Name)]


def _bodies(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        body = getattr(node, name, None)
        if isinstance(body, list):
            yield body
    for handler in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield handler.body


def read(filename: str) -> bytes:
    """The source in *filename*; empty where it is gone, or is none."""
    try:
        return Path(filename).read_bytes()
    except OSError:
        return b""
