"""What a name in the source stands for: the functions around it, and locals that are only another name."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

THIS_MODULE = "<module>"
"""The root of a chain that begins with ``sys.modules[__name__]``."""


@dataclass(slots=True)
class Scope:
    """One function while it is read."""

    name: str
    cls: str | None
    first: str | None
    parameters: frozenset[str]
    globals_: set[str] = field(default_factory=set)
    nonlocals: set[str] = field(default_factory=set)
    locals_: set[str] = field(default_factory=set)
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Scopes:
    """The functions that the reader is in, the innermost last."""

    def __init__(self) -> None:
        self.stack: list[Scope] = []

    def __bool__(self) -> bool:
        return bool(self.stack)

    @property
    def here(self) -> Scope:
        """The innermost function."""
        return self.stack[-1]

    def kind_of(self, root: str) -> str:
        """What *root* is here: ``global``, ``nonlocal``, ``self``, ``parameter``, ``local`` or ``call``."""
        for depth, scope in enumerate(reversed(self.stack)):
            if root in scope.globals_:
                return "global"
            if root in scope.nonlocals:
                return "nonlocal"
            if root == scope.first:
                return "self"
            if root in scope.parameters:
                return "parameter" if depth == 0 else "nonlocal"
            if root in scope.locals_:
                return "local" if depth == 0 else "nonlocal"
        return "call" if root.endswith("()") else "global"

    def alias(self, target: ast.expr, value: ast.expr, *, step: bool = False) -> None:
        """Remember what a local name stands for."""
        if not self or not isinstance(target, ast.Name):
            return
        scope = self.here
        if target.id in scope.globals_ or target.id in scope.nonlocals:
            return
        chain = self.chain(value)
        if chain and chain[0] != target.id:
            scope.aliases.setdefault(target.id, (*chain, "[]") if step else chain)

    def chain(self, start: ast.expr) -> tuple[str, ...]:
        """*start* as a root name, then attribute names and ``[]`` for subscripts; empty where it is neither."""
        node: ast.expr = start
        parts: list[str] = []
        while True:
            if isinstance(node, ast.Attribute):
                parts.append(node.attr)
                node = node.value
            elif isinstance(node, ast.Subscript):
                if _is_this_module(node):
                    return (THIS_MODULE, *reversed(parts))
                parts.append("[]")
                node = node.value
            elif isinstance(node, ast.Await | ast.NamedExpr | ast.Starred):
                node = node.value
            elif isinstance(node, ast.BoolOp | ast.IfExp):
                node = node.values[0] if isinstance(node, ast.BoolOp) else node.body
            elif isinstance(node, ast.Call):
                step = self._called(node, parts)
                if step is None:
                    return ()
                node = step
            elif isinstance(node, ast.Name):
                return self._rooted(node.id, parts)
            else:
                return ()

    def _called(self, node: ast.Call, parts: list[str]) -> ast.expr | None:
        """Look through a call: what gives an entry is a subscript, ``type(x)`` a class, the rest a call's result."""
        function = node.func
        if isinstance(function, ast.Attribute):
            if function.attr in {"get", "setdefault", "pop", "values", "items", "keys", "__getitem__"}:
                parts.append("[]")
                return function.value
            parts.append(f"{function.attr}()")
            return function.value
        if isinstance(function, ast.Name):
            if function.id == "getattr" and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
                parts.append(str(node.args[1].value))
                return node.args[0]
            if function.id in {"type", "vars", "iter", "reversed", "sorted", "enumerate"} and node.args:
                parts.append("type()" if function.id == "type" else "same()")
                return node.args[0]
            if function.id == "super":
                return ast.Name(self.here.first or "super") if self else None
            return ast.Name(f"{function.id}()")
        return None

    def _rooted(self, root: str, parts: list[str]) -> tuple[str, ...]:
        chain = tuple(part for part in reversed(parts) if part != "same()")
        for _ in range(4):
            alias = next((scope.aliases[root] for scope in reversed(self.stack) if root in scope.aliases), None)
            if alias is None:
                break
            root, chain = alias[0], (*alias[1:], *chain)
        return (root, *chain)


def _is_this_module(node: ast.Subscript) -> bool:
    """``sys.modules[__name__]``."""
    return (
        names_of(node.value) == ("sys", "modules") and isinstance(node.slice, ast.Name) and node.slice.id == "__name__"
    )


def names_of(node: ast.expr) -> tuple[str, ...]:
    """``a.b.c`` as names; what is not made of names ends it."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        names.append(node.id)
    return tuple(reversed(names))


def collect_names(body: list[ast.stmt], scope: Scope) -> None:
    """The names that a function binds, and those that it declares to be elsewhere's."""
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Global):
            scope.globals_.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            scope.nonlocals.update(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            scope.locals_.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            scope.locals_.add(node.name)
            continue
        elif isinstance(node, ast.Import | ast.ImportFrom):
            continue  # an imported name resolves like a global where the module was imported
        stack.extend(ast.iter_child_nodes(node))
    scope.locals_ -= scope.globals_ | scope.nonlocals
