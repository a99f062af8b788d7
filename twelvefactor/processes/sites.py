"""The lines of a module that write to something that may be long-lived, as its source tells them."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from twelvefactor.processes.scopes import Scope, Scopes, collect_names, names_of

_MUTATORS = frozenset(
    {
        "__delitem__",
        "__setattr__",
        "__setitem__",
        "acquire",
        "add",
        "append",
        "appendchild",
        "appendleft",
        "byteswap",
        "cache_clear",
        "clear",
        "connect",
        "difference_update",
        "discard",
        "execute",
        "executemany",
        "executescript",
        "extend",
        "extendleft",
        "frombytes",
        "fromlist",
        "get_nowait",
        "incr",
        "increment",
        "insert",
        "insort",
        "intersection_update",
        "move_to_end",
        "new_child",
        "pop",
        "popitem",
        "popleft",
        "push",
        "put",
        "put_nowait",
        "register",
        "release",
        "remove",
        "reverse",
        "rotate",
        "save",
        "seek",
        "send",
        "set",
        "setdefault",
        "setlist",
        "setlistdefault",
        "sort",
        "store",
        "subscribe",
        "subtract",
        "symmetric_difference_update",
        "truncate",
        "union_update",
        "update",
        "write",
        "writelines",
    }
)
_INPLACE_FUNCTIONS = frozenset(
    {
        "heappush",
        "heappop",
        "heapreplace",
        "heappushpop",
        "heapify",
        "insort",
        "insort_left",
        "insort_right",
        "shuffle",
        "setitem",
        "delitem",
        "iadd",
        "next",
        "anext",
    }
)
_SPAWNERS = frozenset({"create_task", "ensure_future", "start_soon", "spawn", "run_coroutine_threadsafe"})


Placed = ast.stmt | ast.expr | ast.pattern
"""What stands on a line."""


@dataclass(slots=True)
class Site:
    """
    A line that writes.

    Attributes:
        file: The source file.
        module: The module's name.
        line: The line of the statement.
        last: Its last line.
        function: The qualified name of the function, or an empty string at module level.
        cls: The class whose method it is in, or None.
        chain: The target: a root name, then attribute names and ``[]`` for subscripts.
        how: ``bind`` where the last name of the chain is bound anew, ``inside`` where the object itself is changed,
            ``passed`` where it is handed to a function that may change it.
        scope: ``global``, ``nonlocal``, ``local`` or ``parameter``: what the root is.
        callee: Of what is handed on, the function that it is handed to.
        argument: Of what is handed on, the position or name of the argument.
    """

    file: str
    module: str
    line: int
    last: int
    function: str
    cls: str | None
    chain: tuple[str, ...]
    how: str
    scope: str
    callee: tuple[str, ...] = ()
    argument: int | str = 0


class SiteReader(ast.NodeVisitor):
    """Collect the write sites of one module."""

    def __init__(self, file: str, module: str) -> None:
        self.file = file
        self.module = module
        self.sites: list[Site] = []
        self.calls: list[tuple[tuple[str, ...], int, int, str]] = []
        self.spawns: list[tuple[str, int]] = []
        self.returns: dict[str, list[tuple[str, ...]]] = {}
        self.scopes = Scopes()
        self.names: list[str] = []
        self.classes: list[str | None] = []

    # --- where we are ---

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._bind_name(node.name, node, last=node.lineno)
        self.names.append(node.name)
        self.classes.append(".".join(self.names))
        outer, self.scopes = self.scopes, Scopes()
        for each in node.body:
            self.visit(each)
        self.scopes = outer
        self.classes.pop()
        self.names.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._bind_name(node.name, node, last=node.lineno)
        for decorator in node.decorator_list:
            self.visit(decorator)
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        parameters = frozenset(each.arg for each in arguments)
        cls = self.classes[-1] if self.classes else None
        static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in node.decorator_list)
        first = arguments[0].arg if cls and arguments and not static and not self.scopes else None
        self.names.append(node.name)
        scope = Scope(".".join(self.names), cls, first or (self.scopes.here.first if self.scopes else None), parameters)
        if self.scopes:
            outer = self.scopes.here
            scope.aliases.update({k: v for k, v in outer.aliases.items() if k not in parameters})
        collect_names(node.body, scope)
        self.scopes.stack.append(scope)
        for each in node.body:
            self.visit(each)
        self.scopes.stack.pop()
        self.names.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - the visitor's protocol

    def visit_Lambda(self, node: ast.Lambda) -> None:
        parameters = frozenset(each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs))
        first = self.scopes.here.first if self.scopes else None
        scope = Scope(
            ".".join([*self.names, "<lambda>"]), self.classes[-1] if self.classes else None, first, parameters
        )
        self.scopes.stack.append(scope)
        self.visit(node.body)
        self.scopes.stack.pop()

    # --- what writes ---

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._bind(target, node)
            self.scopes.alias(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
            self._bind(node.target, node)
            self.scopes.alias(node.target, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        self._bind(node.target, node)
        self._site(node.target, node, "inside")

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._bind(node.target, node)
        self.scopes.alias(node.target, node.value)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._bind(target, node)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._bind(node.target, node)
        self.scopes.alias(node.target, node.iter, step=True)
        self.generic_visit(node)

    visit_AsyncFor = visit_For  # noqa: N815 - the visitor's protocol

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            if item.optional_vars is not None:
                self._bind(item.optional_vars, node, last=item.optional_vars.end_lineno)
                self.scopes.alias(item.optional_vars, item.context_expr)
        self.generic_visit(node)

    visit_AsyncWith = visit_With  # noqa: N815 - the visitor's protocol

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for each in node.names:
            self._bind_name(each.asname or each.name.partition(".")[0], node)

    visit_ImportFrom = visit_Import  # noqa: N815 - the visitor's protocol

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if node.name is not None:
            self._bind_name(node.name, node)
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs  # noqa: N815 - the visitor's protocol

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest is not None:
            self._bind_name(node.rest, node)
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        """Known already."""

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.visit(node.value)
            chain = self.scopes.chain(node.value)
            if chain and self.scopes:
                self.returns.setdefault(self.scopes.here.name.rpartition(".")[2], []).append(chain)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        function = node.func
        self._note_call(node)
        if isinstance(function, ast.Attribute):
            how = "inside" if function.attr in _MUTATORS else "passed"
            self._site(function.value, node, how)
            if function.attr in _INPLACE_FUNCTIONS and node.args:
                self._site(node.args[0], node, "inside")
        elif isinstance(function, ast.Name):
            self._call_by_name(function.id, node)
            self._site(function, node, "passed")
        self._hand_on(node)

    def _hand_on(self, node: ast.Call) -> None:
        """What is given to a function may be changed by it."""
        callee = self.scopes.chain(node.func)
        handed: list[tuple[int | str, ast.expr]] = [*enumerate(node.args)]
        handed += [(each.arg, each.value) for each in node.keywords if each.arg]
        rows = [(where, row.elts) for where, row in handed if isinstance(row, ast.Tuple | ast.List)]
        handed += [(where, each) for where, row in rows for each in row]
        for where, argument in handed:
            if isinstance(argument, ast.Attribute | ast.Name | ast.Subscript):
                before = len(self.sites)
                self._site(argument, node, "passed")
                for site in self.sites[before:]:
                    site.callee, site.argument = callee, where

    def _note_call(self, node: ast.Call) -> None:
        """Every call inside a function, by the names that lead to it, and the coroutines that it is given."""
        if not self.scopes:
            return
        names = names_of(node.func)
        if names:
            self.calls.append((names, node.lineno, node.end_lineno or node.lineno, self.scopes.here.name))
            for argument in node.args:
                if isinstance(argument, ast.Call) and (inner := names_of(argument.func)) and names[-1] in _SPAWNERS:
                    self.spawns.append((inner[-1], node.lineno))

    def _call_by_name(self, name: str, node: ast.Call) -> None:
        if name in ("setattr", "delattr") and len(node.args) >= 2:  # noqa: PLR2004 - object and name
            constant = node.args[1]
            attr = constant.value if isinstance(constant, ast.Constant) and isinstance(constant.value, str) else "*"
            chain = self.scopes.chain(node.args[0])
            if chain:
                self._add((*chain, attr), node, "bind")
        elif name == "exec":
            self._add(("*",), node, "bind", scope="global")  # whatever it runs
        elif name in _INPLACE_FUNCTIONS and node.args:
            self._site(node.args[0], node, "inside")

    # --- targets ---

    def _bind(self, target: ast.expr, node: Placed, last: int | None = None) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for each in target.elts:
                self._bind(each, node, last)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, node, last)
        elif isinstance(target, ast.Subscript):
            self._site(target.value, node, "inside", last)
            self._bind_through_dict(target, node)
        elif isinstance(target, ast.Attribute):
            self._site(target, node, "bind", last)
        elif isinstance(target, ast.Name):
            self._bind_name(target.id, node, last)

    def _bind_name(self, name: str, node: Placed, last: int | None = None) -> None:
        """A statement binds *name*, which is only of interest where it is declared to be elsewhere's."""
        if self.scopes and (name in self.scopes.here.globals_ or name in self.scopes.here.nonlocals):
            self._add((name,), node, "bind", last)

    def _bind_through_dict(self, target: ast.Subscript, node: Placed) -> None:
        """``globals()["x"] = …``, ``vars(obj)["x"] = …``, ``obj.__dict__["x"] = …``."""
        name = target.slice.value if isinstance(target.slice, ast.Constant) else "*"
        if type(name) is not str:
            return
        base = target.value
        if isinstance(base, ast.Call) and isinstance(base.func, ast.Name):
            if base.func.id == "globals":
                self._add((name,), node, "bind", scope="global")
            elif base.func.id == "vars" and base.args and (chain := self.scopes.chain(base.args[0])):
                self._add((*chain, name), node, "bind")
        elif isinstance(base, ast.Attribute) and base.attr == "__dict__" and (chain := self.scopes.chain(base.value)):
            self._add((*chain, name), node, "bind")

    def _site(self, target: ast.expr, node: Placed, how: str, last: int | None = None) -> None:
        chain = self.scopes.chain(target)
        if chain and self.scopes:
            self._add(chain, node, how, last)

    def _add(
        self,
        chain: tuple[str, ...],
        node: Placed,
        how: str,
        last: int | None = None,
        scope: str | None = None,
    ) -> None:
        if not self.scopes:
            return
        here = self.scopes.here
        if how == "bind":
            self.calls.append((chain, node.lineno, node.end_lineno or node.lineno, here.name))
        end = last or (node.lineno if isinstance(node, ast.For | ast.AsyncFor | ast.With | ast.AsyncWith) else None)
        self.sites.append(
            Site(
                self.file,
                self.module,
                node.lineno,
                end or node.end_lineno or node.lineno,
                here.name,
                here.cls,
                chain,
                how,
                scope or self.scopes.kind_of(chain[0]),
            )
        )
