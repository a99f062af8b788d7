"""
Look at objects without running any of their code.

An app's objects may be lazy proxies, network clients or mappings over a database: nothing here calls their properties,
``__eq__``, ``__len__``, ``__iter__``, ``__hash__`` or ``__repr__``. The type is asked through ``type(x)``, since
``isinstance`` would run ``__class__``; content through the slots of the interpreter's own types.
"""

from __future__ import annotations

import collections
import gc
from types import FunctionType, GetSetDescriptorType, MappingProxyType, MemberDescriptorType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SCALARS = frozenset({int, float, complex, bool, str, bytes, type(None), type(Ellipsis)})
_MISSING = object()
_NOT_SLOTS = frozenset({"__weakref__", "__dict__"})
_DEEP_ENOUGH = 6
_LONG_ENOUGH = 2_000
_function_dict_slot = FunctionType.__dict__["__dict__"]
_type_mro = type.__dict__["__mro__"].__get__
_type_dict = type.__dict__["__dict__"].__get__
_type_module = type.__dict__["__module__"].__get__
_type_qualname = type.__dict__["__qualname__"].__get__
_type_flags = type.__dict__["__flags__"].__get__


def mro(cls: type) -> tuple[type, ...]:
    """The classes that *cls* inherits from, itself first."""
    return _type_mro(cls)  # type: ignore[no-any-return]  # what it calls is typed as Any


def bases_of(value: object) -> tuple[type, ...]:
    """The classes that *value* is an instance of; a proxy's are its own, not its target's."""
    return _type_mro(type(value))  # type: ignore[no-any-return]  # what it calls is typed as Any


def class_dict(cls: type) -> dict[str, Any]:
    """The real namespace of a class, to be read only."""
    proxy: MappingProxyType[str, Any] = _type_dict(cls)
    return gc.get_referents(proxy)[0]  # type: ignore[no-any-return]  # what it calls is typed as Any


def class_name(cls: type) -> str:
    """``module.Class``, whatever a metaclass says."""
    return f"{module_of(cls)}.{_type_qualname(cls)}"


def module_of(cls: type) -> str:
    """The name of the module that defined *cls*."""
    module = _type_module(cls)
    return module if type(module) is str else ""


def qualname_of(cls: type) -> str:
    """The qualified name of *cls*, whatever a metaclass says."""
    return _type_qualname(cls)  # type: ignore[no-any-return]  # what it calls is typed as Any


def is_class(value: object) -> bool:
    """Whether *value* is a class."""
    return type in bases_of(value)


def is_module(value: object) -> bool:
    """Whether *value* is a module; a lazy one stays lazy."""
    return ModuleType in bases_of(value)


def namespace(value: object) -> dict[str, Any] | None:
    """The ``__dict__`` of an instance or module, or None; a ``__dict__`` that the class fakes is not asked."""
    for base in bases_of(value):
        found = _type_dict(base).get("__dict__")
        if found is None:
            continue
        if type(found) is not GetSetDescriptorType and type(found) is not MemberDescriptorType:
            return _module_dict(value, base)
        try:
            names = found.__get__(value)
        except (AttributeError, TypeError):
            return None
        return names if type(names) is dict else None
    return None


def _module_dict(value: object, base: type) -> dict[str, Any] | None:
    if base is not ModuleType:
        return None
    names = object.__getattribute__(value, "__dict__")
    return names if type(names) is dict else None


def slots(value: object) -> Iterator[tuple[str, Any]]:
    """The (name, value) pairs that *value* keeps in ``__slots__``."""
    for base in bases_of(value):
        for name, descriptor in list(class_dict(base).items()):
            if type(descriptor) is MemberDescriptorType and name not in _NOT_SLOTS:
                try:
                    yield name, descriptor.__get__(value)
                except (AttributeError, TypeError):
                    continue  # nothing was assigned yet


def function_dict(function: Any) -> dict[str, Any] | None:
    """The attributes of a function; None where it has no dict for them yet, and it is not given one."""
    shared = (function.__globals__, function.__builtins__)
    own = [each for each in gc.get_referents(function) if type(each) is dict and not any(each is it for it in shared)]
    if not own:
        return None
    others = (function.__kwdefaults__, function.__annotations__)
    if all(any(each is other for other in others) for each in own):
        return None
    found: dict[str, Any] = _function_dict_slot.__get__(function)
    return found


def attributes(value: object) -> dict[str, Any]:
    """What an instance keeps, by name."""
    found = dict(slots(value))
    found.update(namespace(value) or {})
    return found


def attribute(value: Any, name: str) -> Any:
    """The attribute *name* as it is stored on *value*, its class or its bases; None where nothing is stored."""
    own = class_dict(value).get(name, _MISSING) if is_class(value) else (namespace(value) or {}).get(name, _MISSING)
    if own is not _MISSING:
        return own
    for slot, kept in slots(value):
        if slot == name:
            return kept
    for base in mro(value) if is_class(value) else bases_of(value):
        inherited = class_dict(base).get(name, _MISSING)
        if inherited is not _MISSING:
            return inherited
    return None


def length(value: object) -> int | None:
    """The size of one of the interpreter's own containers or of a subclass of one; None of anything else."""
    for base in bases_of(value):
        measure = _LENGTHS.get(base)
        if measure is not None:
            return measure(value)  # type: ignore[no-any-return]  # what it calls is typed as Any
    return None


_SIZED: tuple[Any, ...] = (dict, list, set, frozenset, tuple, str, bytes, bytearray, collections.deque)
_LENGTHS: dict[type, Any] = {kind: kind.__len__ for kind in _SIZED}


def describe(value: object) -> str:
    """Type and size, never the value: ``dict[3]``, ``int``, ``orders.Cart``."""
    kind = type(value)
    size = length(value)
    name = _type_qualname(kind) if module_of(kind) == "builtins" else class_name(kind)
    return name if size is None else f"{name}[{size}]"


def same(old: object, new: object, depth: int = 0) -> bool:
    """Whether two values are certainly equal; says no rather than run anybody's ``__eq__``."""
    if old is new:
        return True
    kind = type(old)
    if kind is not type(new) or depth > _DEEP_ENOUGH:
        return False
    if kind in SCALARS:
        return bool(old == new)
    compare = _COMPARERS.get(kind)
    if compare is not None:
        return bool(compare(old, new, depth + 1))
    return _same_instances(old, new, depth + 1)


def _same_rows(old: Any, new: Any, depth: int) -> bool:
    return (
        len(old) == len(new)
        and len(old) <= _LONG_ENOUGH
        and all(same(one, other, depth) for one, other in zip(list(old), list(new), strict=False))
    )


def _same_maps(old: dict[Any, Any], new: dict[Any, Any], depth: int) -> bool:
    if len(old) != len(new) or len(old) > _LONG_ENOUGH:
        return False
    mine, theirs = list(old.items()), list(new.items())
    if all(type(key) in SCALARS for key, _ in (*mine, *theirs)):
        other = dict(theirs)
        return all(key in other and same(value, other[key], depth) for key, value in mine)
    return all(same(a[0], b[0], depth) and same(a[1], b[1], depth) for a, b in zip(mine, theirs, strict=False))


def _same_sets(old: Any, new: Any, _: int) -> bool:
    if len(old) != len(new) or len(old) > _LONG_ENOUGH:
        return False
    mine, theirs = list(old), list(new)
    return all(type(each) in SCALARS for each in (*mine, *theirs)) and set(mine) == set(theirs)


_COMPARERS: dict[type, Any] = {
    dict: _same_maps,
    list: _same_rows,
    tuple: _same_rows,
    set: _same_sets,
    frozenset: _same_sets,
    bytearray: lambda old, new, _: old == new,
}


def _same_instances(old: object, new: object, depth: int) -> bool:
    """Two instances that keep the same things under the same names; only where that is all they are."""
    if length(old) is not None or is_class(old) or _type_flags(type(old)) & _HEAP_TYPE == 0:
        return False
    mine, theirs = attributes(old), attributes(new)
    return bool(mine) and _same_maps(mine, theirs, depth)


_HEAP_TYPE = 1 << 9  # a class made by a class statement: the others may keep state that cannot be seen


def request_like(value: object) -> bool:
    """Whether the type of *value* says that it is somebody's request or connection scope."""
    return any(_type_qualname(base) in {"Request", "HTTPConnection", "HttpRequest"} for base in bases_of(value))


def plain_local(cls: type) -> bool:
    """Whether asking a thread-local for its namespace runs no code: one that is made anew in a thread runs none."""
    return not any(
        "__init__" in class_dict(base) for base in mro(cls) if base.__module__ not in {"_thread", "builtins"}
    )
