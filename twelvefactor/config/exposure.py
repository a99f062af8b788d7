"""Keep what is secret in a config from being seen: register it for masking, and mask it when it is shown."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from twelvefactor._core.secrets import SECRETS
from twelvefactor.config.placeholders import Absent, AbsentSecret, AbsentText
from twelvefactor.config.secret import clear_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from twelvefactor.config.settings import Config
    from twelvefactor.config.variables import Variable

_watchers: list[Callable[[Config, str], None]] = []
_warned: set[tuple[str, str]] = set()


def register(config: Config, private: Iterable[Variable] = ()) -> None:
    """
    Register every secret and URL password of *config*; users, hosts and databases are never masked.

    Args:
        config: The config.
        private: What else is not for showing, such as a plain text called password; where it is set, not its default.
    """
    found = tuple(_values(config.__dict__))
    for value in found:
        for name in _public(value):
            SECRETS.exempt(name)
    for value in found:
        for secret in _secret(value):
            SECRETS.register(secret)
    for variable in private:
        text = value_of(config, variable)
        if isinstance(text, str) and not variable.url:
            SECRETS.register(text)


def value_of(config: Any, variable: Variable) -> Any:
    """What *config* holds for *variable*; None where a nested model is absent."""
    value = config
    for name in variable.path:
        value = vars(value).get(name) if hasattr(value, "__dict__") else None  # asking a deprecated field would warn
    return value


def _values(value: Any) -> Iterator[Any]:
    """Everything inside *value* that may be or hold a secret."""
    if isinstance(value, str | int | float | bool) or value is None:
        if isinstance(value, str) and not isinstance(value, AbsentText) and "://" in value and "@" in value:
            yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _values(each)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _values(each)
    elif hasattr(type(value), "model_fields") or hasattr(type(value), "__pydantic_fields__"):
        yield from _values(vars(value))
    elif not isinstance(value, AbsentSecret | Absent):
        yield value


def _secret(value: Any) -> Iterator[str]:
    text = None if isinstance(value, str) else clear_text(value)
    if text:
        yield text
        if "://" in text and "@" in text:
            yield from _secret(text)
    elif isinstance(value, str):
        written = value.partition("://")[2].rpartition("@")[0].partition(":")[2]
        yield from {written, unquote(written)}
    else:
        for part in _parts(value):
            password = part.get("password")
            password = password if isinstance(password, str) else clear_text(password)
            if password:
                yield from {password, unquote(password)}


def _public(value: Any) -> Iterator[str]:
    for part in _parts(value):
        for name in ("username", "host", "database"):
            said = part.get(name)
            if isinstance(said, str) and said:
                yield said


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """The parts of a URL: ours, pydantic's, or none."""
    if isinstance(value, str):
        from urllib.parse import urlsplit

        try:
            split = urlsplit(value)
            yield {"username": split.username, "host": split.hostname, "database": split.path.strip("/")}
        except ValueError:
            return
    elif hasattr(value, "unicode_string"):
        hosts = value.hosts() if callable(getattr(value, "hosts", None)) else [value]
        for host in hosts:
            yield host if isinstance(host, dict) else {name: getattr(host, name, None) for name in _NAMES}
        yield {"database": (value.path or "").strip("/")}
    elif getattr(type(value), "is_resource_url", False):
        yield {name: _read(value, name) for name in (*_NAMES, "database")}
        for host in _read(value, "hosts") or ():
            yield {"host": host[0]}


_NAMES = ("username", "password", "host")


def _read(value: Any, name: str) -> Any:
    try:
        return getattr(value, name, None)
    except Exception:  # noqa: BLE001 - a placeholder refuses every use, and a kind may not have the part
        return None


class Shown:
    """*value* as it may be shown: its own repr, with every registered secret masked."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __repr__(self) -> str:
        return SECRETS.mask(repr(self._value))


def warn(cls: type[Any], notes: Mapping[str, str]) -> None:
    """Say once per class that an old or deprecated name was used."""
    for key, note in notes.items():
        if (cls.__qualname__, key) not in _warned:
            _warned.add((cls.__qualname__, key))
            warnings.warn(note, FutureWarning, stacklevel=3)  # for the operator, so shown by default


def changed(config: Config, name: str) -> None:
    """Tell the watchers that somebody tried to assign *name*."""
    for watcher in tuple(_watchers):
        watcher(config, name)


def watch(watcher: Callable[[Config, str], None]) -> None:
    """Call *watcher* when somebody tries to change a config; idempotent."""
    if watcher not in _watchers:
        _watchers.append(watcher)


def unwatch(watcher: Callable[[Config, str], None]) -> None:
    """Call *watcher* no more; idempotent."""
    if watcher in _watchers:
        _watchers.remove(watcher)


def fingerprints(config: Any) -> dict[str, str]:
    """A digest of each value of *config*, to see that a list or a nested model was changed in place."""
    import hashlib

    if config is None:
        return {}
    return {
        name: hashlib.sha256(repr(_stable(value)).encode(errors="replace")).hexdigest()
        for name, value in vars(config).items()
        if not isinstance(value, Absent | AbsentSecret | AbsentText)
    }


def _stable(value: Any) -> Any:
    """*value* as something whose repr changes only when it does."""
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    if isinstance(value, dict):
        return [(repr(key), _stable(each)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return [_stable(each) for each in value]
    if hasattr(type(value), "__pydantic_fields__"):
        return [(name, _stable(each)) for name, each in vars(value).items()]
    return value if isinstance(value, str | bytes | int | float | None) else (type(value).__name__, id(value))
