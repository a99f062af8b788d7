"""How objects of the interpreter, the standard library and a few well-known libraries are read."""

from __future__ import annotations

import _queue
import argparse
import array
import asyncio
import collections
import collections.abc
import configparser
import functools
import io
import itertools
import mmap
import os
import queue
import sched
import sys
import threading
import types
import weakref
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from twelvefactor.processes.looking import attributes, bases_of, class_dict, class_name, length, module_of, namespace

if TYPE_CHECKING:
    from collections.abc import Callable

_BUFFER = 65_536
_OURS = "twelvefactor."

PASSED_THROUGH = frozenset(
    {
        types.MethodType,
        types.MappingProxyType,
        staticmethod,
        classmethod,
        property,
        functools.partial,
        types.CellType,
        itertools.cycle,
        itertools.chain,
        itertools.islice,
        itertools.zip_longest,
        enumerate,
        zip,
        map,
        filter,
        reversed,
    }
)
"""Types that keep nothing of their own that changes, but lead on to others."""

GENERATORS = (types.GeneratorType, types.AsyncGeneratorType)
"""What keeps its place between two looks."""

_WITH_NAMES = (
    types.SimpleNamespace,
    argparse.Namespace,
    collections.UserDict,
    collections.UserList,
    collections.UserString,
    collections.ChainMap,
    configparser.RawConfigParser,
    functools.partialmethod,
    functools.cached_property,
    sched.scheduler,
)
_MUTABLE = (
    collections.abc.MutableMapping,
    collections.abc.MutableSequence,
    collections.abc.MutableSet,
)
_BAGS_BY_NAME = frozenset(
    {
        "starlette.datastructures.State",
        "litestar.datastructures.state.State",
        "django.conf.Settings",
        "django.conf.UserSettingsHolder",
        "werkzeug.datastructures.structures.MultiDict",
        "flask.ctx._AppCtxGlobals",
        "flask.config.ConfigAttribute",
        "types.SimpleNamespace",
    }
)
_INNER_NAMES = {"starlette.datastructures.State": "_state", "litestar.datastructures.state.State": "_state"}
_ALONE = (
    os._Environ,  # noqa: SLF001 - the type of os.environ: the environment has rules of its own
    threading.Thread,
    asyncio.Future,
    asyncio.AbstractEventLoop,
    types.CoroutineType,
    types.TracebackType,
    types.FrameType,
    types.CodeType,
    BaseException,
)
_ALONE_BY_NAME = frozenset(
    {
        "_asyncio.Task",
        "_asyncio.Future",
        "logging.Logger",
        "logging.RootLogger",
        "logging.Manager",
        "sqlalchemy.util._collections.LRUCache",  # bounded, of what is compiled for statements
        "jinja2.utils.LRUCache",  # likewise, of templates
    }
)
_MACHINERY = frozenset(
    {
        "asyncio",
        "concurrent",
        "contextlib",
        "contextvars",
        "ctypes",
        "datetime",
        "decimal",
        "enum",
        "importlib",
        "inspect",
        "logging",
        "multiprocessing",
        "random",
        "re",
        "selectors",
        "socket",
        "ssl",
        "threading",
        "tokenize",
        "traceback",
        "types",
        "typing",
        "unittest",
        "weakref",
        "zoneinfo",
        "twelvefactor",
        "structlog",
        "opentelemetry",
        "prometheus_client",
        "pytest",
        "_pytest",
    }
)
_WATCHED: tuple[tuple[type, tuple[str, ...]], ...] = (
    (queue.Queue, ("queue",)),
    (asyncio.Queue, ("_queue",)),
)
_OPAQUE_BY_NAME = frozenset({"xml.etree.ElementTree.Element", "_elementtree.Element"})
_WEAK = (weakref.WeakValueDictionary, weakref.WeakKeyDictionary, weakref.WeakSet)


_PLAIN_TYPES = frozenset(
    {dict, list, set, frozenset, tuple, str, bytes, collections.deque, types.MappingProxyType, range, memoryview}
)
"""Types that are read in their own way."""


class Reader(NamedTuple):
    """A number, or a short tuple of numbers, that stands for the state of an object."""

    name: str
    read: Callable[[], Any]
    grows: bool


def is_bag(value: object) -> bool:
    """Whether *value* exists to hold what others put into it, under its own attributes."""
    bases = bases_of(value)
    if any(base in bases for base in _WITH_NAMES):
        return True
    return any(class_name(base) in _BAGS_BY_NAME for base in bases)


def is_collection(value: object) -> bool:
    """Whether *value* is a mapping, sequence or set that is written in Python, whoever wrote it."""
    bases = bases_of(value)
    return any(base in bases for base in _MUTABLE) and not any(base in bases for base in (dict, list, set))


def left_alone(value: object) -> bool:
    """Whether nothing that *value* holds is the app's state."""
    bases = bases_of(value)
    if any(base in bases for base in _ALONE) or module_of(type(value)).startswith(_OURS):
        return True
    return any(class_name(base) in _ALONE_BY_NAME for base in bases)


def inner_names(value: object) -> dict[str, Any] | None:
    """The dict in which a bag keeps what is set on it as attributes, where that is not its own ``__dict__``."""
    for base in bases_of(value):
        name = _INNER_NAMES.get(class_name(base))
        inside = attributes(value).get(name) if name is not None else None
        if type(inside) is dict:
            return inside
    return None


def wrapped_by_us(value: object) -> Any:
    """The app that our own middleware wraps, or None."""
    return attributes(value).get("app") if module_of(type(value)).startswith(_OURS) else None


def is_machinery(value: object) -> bool:
    """Whether *value* comes from a library whose objects change as they are used, without anybody's writing."""
    return module_of(type(value)).partition(".")[0] in _MACHINERY


def watched_names(value: object) -> tuple[str, ...] | None:
    """The attributes of a synchronised container that hold its entries, or None."""
    bases = bases_of(value)
    return next((names for base, names in _WATCHED if base in bases), None)


def is_opaque(value: object) -> bool:
    """Whether *value* is a container of the standard library that is read through what it refers to."""
    return any(class_name(base) in _OPAQUE_BY_NAME for base in bases_of(value))


def reader(value: object) -> Reader | None:
    """How to read an object whose state is not a set of references, or None."""
    for base in bases_of(value):
        make = _READERS.get(base)
        if make is not None:
            return make(value)  # type: ignore[no-any-return]  # what it calls is typed as Any
        named = _READERS_BY_NAME.get(class_name(base))
        if named is not None:
            return named(value)
    return _sized(value)


def _sized(value: Any) -> Reader | None:
    """Somebody else's container that is written in C: its size; proxies are left alone, theirs is another's."""
    if type(value) in _PLAIN_TYPES:
        return None
    for base in bases_of(value):
        names = class_dict(base)
        if "__wrapped__" in names or "roxy" in class_name(base):
            return None
        measure = names.get("__len__")
        if measure is not None:
            in_c = type(measure) is types.WrapperDescriptorType and base not in _PLAIN_TYPES
            return Reader("container", functools.partial(measure, value), grows=True) if in_c else None
    return None


def value_of(read: Any) -> Any:
    """The object that a reader reads."""
    return read.args[0] if type(read) is functools.partial else read


def _weak_length(value: Any) -> int:
    inside = (namespace(value) or {}).get("data")
    return length(inside) or 0


def _count(value: Any) -> str:
    return itertools.count.__repr__(value)


def _counter(value: Any) -> Reader | None:
    import gc

    plain = all(type(each) is int or each is itertools.count for each in gc.get_referents(value))
    return Reader("counter", functools.partial(_count, value), grows=False) if plain else None


def _bytesio(value: Any) -> tuple[int, int]:
    try:
        return io.BytesIO.tell(value), io.BytesIO.__sizeof__(value)
    except ValueError:
        return (-1, -1)  # closed


def _stringio(value: Any) -> tuple[int, int]:
    try:
        return io.StringIO.tell(value), io.StringIO.__sizeof__(value)
    except ValueError:
        return (-1, -1)  # closed


def _bytearray(value: Any) -> tuple[int, int]:
    return bytearray.__len__(value), zlib.crc32(bytearray.__getitem__(value, slice(0, _BUFFER)))


def _array(value: Any) -> tuple[int, int]:
    size = array.array.__len__(value)
    return size, zlib.crc32(array.array.__getitem__(value, slice(0, _BUFFER // 8)).tobytes())


def _mmap(value: Any) -> tuple[int, int]:
    try:
        return mmap.mmap.__len__(value), zlib.crc32(mmap.mmap.__getitem__(value, slice(0, _BUFFER)))
    except ValueError:
        return (-1, -1)  # closed


def _ndarray(value: Any) -> tuple[int, int]:
    numpy = sys.modules["numpy"]
    if value.dtype.hasobject:
        return int(numpy.ndarray.__len__(value)) if value.ndim else 0, 0
    flat = numpy.ndarray.flatten(value)[: _BUFFER // 8] if value.size <= _BUFFER else value.flat[: _BUFFER // 8]
    return int(value.size), zlib.crc32(flat.tobytes())


def _file_size(value: Any) -> int:
    import stat

    try:
        status = os.fstat(_raw_fileno(value))
    except (OSError, ValueError):
        return -1  # closed
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _raw_fileno(value: Any) -> int:
    for kind in (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom, io.FileIO):
        if kind in bases_of(value):
            return int(kind.fileno(value))
    return -1


def _flag(value: Any) -> bool:
    return (namespace(value) or {}).get("_flag") is True


def _semaphore(value: Any) -> int:
    held = (namespace(value) or {}).get("_value")
    return held if type(held) is int else 0


def _sqlite_changes(value: Any) -> int:
    sqlite3 = sys.modules["sqlite3"]
    try:
        return int(sqlite3.Connection.total_changes.__get__(value))
    except sqlite3.ProgrammingError:
        return -1  # of another thread, or closed


def _simple_queue(value: Any) -> int:
    return _queue.SimpleQueue.qsize(value)


def _hint(value: Any) -> int:
    return int(type(value).__length_hint__(value))


def _reads(name: str, read: Callable[[Any], Any], *, grows: bool = False) -> Callable[[Any], Reader]:
    return lambda value: Reader(name, functools.partial(read, value), grows)


_ITERABLES: tuple[Any, ...] = ([], (), range(0), "", b"", {}, set(), {}.values(), {}.items())
_ITERATORS: set[Any] = {type(iter(each)) for each in _ITERABLES} | {type(reversed([]))}
_READERS: dict[type, Any] = {
    **dict.fromkeys(_WEAK, _reads("weak container", _weak_length, grows=True)),
    itertools.count: _counter,
    io.BytesIO: _reads("buffer", _bytesio),
    io.StringIO: _reads("buffer", _stringio),
    bytearray: _reads("buffer", _bytearray),
    array.array: _reads("buffer", _array),
    mmap.mmap: _reads("buffer", _mmap),
    io.TextIOWrapper: _reads("file", _file_size, grows=True),
    io.BufferedWriter: _reads("file", _file_size, grows=True),
    io.BufferedRandom: _reads("file", _file_size, grows=True),
    io.FileIO: _reads("file", _file_size, grows=True),
    threading.Event: _reads("event", _flag),
    asyncio.Event: _reads("event", _flag),
    threading.Semaphore: _reads("semaphore", _semaphore),
    asyncio.Semaphore: _reads("semaphore", _semaphore),
    _queue.SimpleQueue: _reads("queue", _simple_queue, grows=True),
    **dict.fromkeys(_ITERATORS, _reads("iterator", _hint)),
}
_READERS_BY_NAME = {
    "sqlite3.Connection": _reads("sqlite connection", _sqlite_changes),
    "numpy.ndarray": _reads("buffer", _ndarray),
}
