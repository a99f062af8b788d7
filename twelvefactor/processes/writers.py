"""
Who could have written that? The lines of the app that write to a place, the likeliest first.

A site's target is resolved against the live objects where it can be (imports, aliases, attributes), and by name where
it cannot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import FunctionType
from typing import TYPE_CHECKING, Any

from twelvefactor.processes.bags import inner_names
from twelvefactor.processes.looking import class_name, is_class, is_module, namespace
from twelvefactor.processes.sites import Site
from twelvefactor.processes.sources import Sources, leads_to

if TYPE_CHECKING:
    from collections.abc import Iterable

CERTAIN, LIKELY, BY_NAME = "certain", "likely", "by name"


@dataclass(slots=True)
class Target:
    """
    What was changed, as far as lines are concerned.

    Attributes:
        owner: The module, class, function or instance type whose name was bound, or that the changed object hangs at.
        name: The name that was bound; None where the object itself changed.
        holder: The object that changed; None where a name was bound.
        names: The names along the path, the last one nearest to the change.
        role: The role of the node.
    """

    owner: Any
    name: str | None
    holder: Any
    names: tuple[str, ...]
    role: str


@dataclass(slots=True)
class Match:
    """A site that may be the writer, and how sure that is."""

    site: Site
    score: int


class Writers(Sources):
    """The lines of the app's modules that may have made a change."""

    def find(self, target: Target, modules: Iterable[str]) -> list[Match]:
        """The sites that may have made the change, the likeliest first."""
        if target.role == "lru_cache" and type(target.owner) is FunctionType:
            return [Match(_definition(target.owner), 7)]
        matches = []
        for module in modules:
            reader = self.module(module)
            for site in reader.sites if reader is not None else ():
                score = self._score(site, target)
                if score:
                    matches.append(Match(site, score))
        matches += self._inside_callees(matches)
        matches.sort(key=lambda match: (-match.score, match.site.file, match.site.line))
        return matches

    def _inside_callees(self, matches: list[Match]) -> list[Match]:
        """Where an object is handed to a function of the app, the lines that change that parameter."""
        found = []
        for match in matches:
            function = self.resolve(match.site, match.site.callee) if match.site.callee and match.score > 1 else None
            if type(function) is not FunctionType:
                continue
            where = match.site.argument
            names = function.__code__.co_varnames[: function.__code__.co_argcount + function.__code__.co_kwonlyargcount]
            name = where if type(where) is str else names[where] if type(where) is int and where < len(names) else None
            reader = self.module(function.__module__)
            inside = reader.sites if reader is not None else []
            where_ = _plain(function.__qualname__)
            found += [
                Match(site, 5)
                for site in inside
                if site.chain == (name,) and site.function == where_ and site.how == "inside"
            ]
        return found

    def _score(self, site: Site, target: Target) -> int:
        """How well *site* fits: 6 the very object, 4 its class, 2 a name that fits, 1 handed on; 0 not at all."""
        if target.name is not None:
            return self._score_binding(site, target)
        return self._score_inside(site, target)

    def _score_binding(self, site: Site, target: Target) -> int:
        last = site.chain[-1]
        if site.how == "inside":
            return self._score_whole(site, target)
        if site.how != "bind":
            return 0
        if last not in {target.name, "*"}:
            return 0
        wild = 2 if last == "*" else 0
        if len(site.chain) == 1:
            return max(0, self._score_bare_name(site, target) - wild)
        base = self.resolve(site, site.chain[:-1])
        if base is not None and self._owns_names(base, target):
            return 6 - wild
        if is_class(target.owner) and self._is_instance_of(site, target.owner):
            return 5 - wild - site.function.endswith("__init__")  # the object is older than the work
        if base is None and self._entry_owns_names(site, target):
            return 5 - wild
        return 2 if base is None and last != "*" else 0

    def _entry_owns_names(self, site: Site, target: Target) -> bool:
        """Whether the names are those of an entry of the container that the chain leads to."""
        if "[]" not in site.chain or target.holder is None:
            return False
        container = self.resolve(site, site.chain[: site.chain.index("[]")])
        return container is not None and leads_to(container, target.holder)

    def _score_whole(self, site: Site, target: Target) -> int:
        """``vars(obj).update(…)``, ``obj.__dict__.update(…)``: all names at once."""
        chain = site.chain[:-1] if site.chain[-1] == "__dict__" else site.chain
        base = self.resolve(site, chain) if chain else None
        owns = base is not None and not is_module(base) and self._owns_names(base, target)
        return (4 if chain != site.chain else 2) if owns else 0

    def _owns_names(self, base: Any, target: Target) -> bool:
        """Whether binding an attribute of *base* binds the name that changed."""
        if base is target.holder or (base is target.owner and target.role != "instance"):
            return True
        if target.holder is None or is_class(base):
            return False
        return namespace(base) is target.holder or inner_names(base) is target.holder

    def _score_bare_name(self, site: Site, target: Target) -> int:
        if target.role == "closure":
            return 6 if site.scope == "nonlocal" and self._same_scope(site, target) else 0
        if site.scope != "global" or not is_module(target.owner):
            return 0
        return 6 if (namespace(target.owner) or {}).get("__name__") == site.module else 0

    def _same_scope(self, site: Site, target: Target) -> bool:
        """Whether a nested function of *site* may share the closure cells of the target's function."""
        function = target.owner
        if type(function) is not FunctionType:
            return False
        outer = _plain(function.__qualname__).rpartition(".")[0]
        return site.module == function.__module__ and (
            not outer or site.function.startswith(outer) or _plain(function.__qualname__).startswith(site.function)
        )

    def _score_inside(self, site: Site, target: Target) -> int:
        if site.how == "bind":
            return self._score_attribute(site, target) if site.chain[1:] else 0
        handed = 4 if site.how == "passed" else 0
        head = site.chain[: site.chain.index("[]")] if "[]" in site.chain else site.chain
        found = self.resolve(site, head)
        if found is None and (given := self.given_by(site)):
            return self._score_inside(replace(site, chain=(*given, *site.chain[1:]), scope="global"), target)
        if found is not None:
            return self._score_found(found, target, handed, exact=head == site.chain)
        if site.scope == "self" and len(site.chain) == 1 and self._is_instance_of(site, type(target.holder)):
            return 5 - handed
        if site.scope == "nonlocal" and len(site.chain) == 1 and site.chain[0] in target.names:
            return 6 - handed
        return self._score_by_name(site, target, handed)

    def _score_attribute(self, site: Site, target: Target) -> int:
        """An attribute that is bound may land in a dict of the object's own: pydantic keeps private ones in such."""
        owned = is_class(target.owner) and self._is_instance_of(site, target.owner)
        if owned and len(site.chain) == 2 and _has_key(target.holder, site.chain[-1]):  # noqa: PLR2004 - self.name
            return 5
        return min(1, self._score_inside(replace(site, chain=site.chain[:-1], how="inside"), target))

    def _score_by_name(self, site: Site, target: Target, handed: int) -> int:
        names = [part for part in site.chain if part != "[]" and not part.endswith("()")]
        tail = target.names[-1] if target.names else ""
        if tail and tail in names:
            owned = is_class(target.owner) and self._is_instance_of(site, target.owner)
            return (5 if owned else 3) - handed if names[-1] == tail else max(1, 2 - handed)
        if site.scope in {"parameter", "local", "call"} and site.how == "inside":
            return 1
        return 0

    def _score_found(self, found: Any, target: Target, handed: int, *, exact: bool) -> int:
        if found is target.holder:
            return (6 if exact else 3) - min(handed, 4 if exact else 2)
        if is_module(found) or is_class(found) or target.holder is None:
            return 0
        if namespace(found) is target.holder:
            return 5 - handed
        if not leads_to(found, target.holder):
            return 0
        if type(found) is dict and exact:
            return 3 - min(handed, 2)  # another line may change the entry itself
        return 4 - min(handed, 2)

    def _is_instance_of(self, site: Site, owner: Any) -> bool:
        """Whether the site's ``self`` or ``cls`` may be *owner* or one of its instances."""
        if site.scope != "self" or site.cls is None:
            return False
        wanted = f"{site.module}.{site.cls}"
        return any(
            class_name(base).replace(".<locals>", "") == wanted for base in type.__dict__["__mro__"].__get__(owner)
        )


def _has_key(holder: Any, name: str) -> bool:
    return type(holder) is dict and any(type(key) is str and key == name for key in list(holder))


def _definition(function: FunctionType) -> Site:
    """Where a cached function is decorated: each call of it may write to its cache."""
    code = function.__code__
    line = code.co_firstlineno
    return Site(code.co_filename, function.__module__, line, line, function.__qualname__, None, (), "inside", "global")


def _plain(qualname: str) -> str:
    return qualname.replace(".<locals>", "")
