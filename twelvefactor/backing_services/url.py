"""
The handle of a resource: a URL that knows its kind, typed by the clients it opens, masked wherever it is shown.

Parsed with one regular expression, so that nothing of a client library is imported before a client is asked for.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, NoReturn, Self, TypeVar
from urllib.parse import quote, unquote

from twelvefactor._core.lazy import load
from twelvefactor._core.secrets import MASK, SECRETS
from twelvefactor.backing_services.options import Options, Wrong, nearest
from twelvefactor.exceptions import PhaseError, URLError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

S_co = TypeVar("S_co", covariant=True)
A_co = TypeVar("A_co", covariant=True)

_TEXT = re.compile(
    r"([A-Za-z][A-Za-z0-9+.\-]*)://"  # scheme
    r"(?:([^:@/?#]*)(?::([^@/?#]*))?@)?"  # user and password
    r"([^/?#]*)"  # hosts
    r"(?:/([^?#]*))?"  # path, without its first slash
    r"(?:\?([^#]*))?"  # query
    r"(#.*)?",  # fragment, always wrong
    re.DOTALL,
)
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%[^\]]+)?)\]|([^:\[\]]*))(?::(.*))?", re.DOTALL)
_PLAIN_HOST = re.compile(r"[A-Za-z0-9._\-]+")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HIGHEST_PORT = 65535


class Parts(NamedTuple):
    """What a URL says, normalised; two URLs are equal when these are."""

    scheme: str
    driver: str | None
    username: str | None
    password: str | None
    hosts: tuple[tuple[str, int | None], ...]
    socket: str | None
    path: Any
    query: tuple[tuple[str, Any], ...]


class _Absent:
    """What a placeholder has instead of parts."""

    __slots__ = ("variable",)

    def __init__(self, variable: str) -> None:
        self.variable = variable

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Absent) and other.variable == self.variable

    def __hash__(self) -> int:
        return hash(self.variable)

    def __getattr__(self, name: str) -> NoReturn:
        raise PhaseError(
            f"{self.variable} is not known while the image is built (TWELVEFACTOR_PHASE=build); "
            "use it only once the process runs"
        )


class URL(Generic[S_co, A_co]):
    """
    The handle of an attached resource: a value, hashable, equal when equivalent, masked in every text.

    ``URL(text)`` finds the kind by the scheme; a kind's own class takes only its own schemes. The two type parameters
    are the clients that `service.attach` and `service.attach_async` give for it.

    Args:
        text: The URL as the environment holds it, credentials percent-encoded.

    Raises:
        URLError: The text is wrong; the message names the part and never quotes it.

    >>> url = URL("postgres://app:s3cret%2Fs3cret@db.example.com/orders")
    >>> url
    PostgresURL('postgresql://app:********@db.example.com:5432/orders')
    >>> url.host, url.port, url.username
    ('db.example.com', 5432, 'app')
    """

    __slots__ = ("__weakref__", "_parts")

    is_resource_url: ClassVar[bool] = True
    kind: ClassVar[str] = ""
    """``module:attribute`` of what knows how to open, ping and close it."""
    schemes: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """The schemes it takes, each with its canonical spelling."""
    ports: ClassVar[Mapping[str, int]] = MappingProxyType({})
    """The default port by canonical scheme."""
    drivers: ClassVar[bool] = False
    """Whether ``scheme+driver`` names a driver."""
    many_hosts: ClassVar[bool] = False
    needs_host: ClassVar[bool] = True
    options: ClassVar[Options] = Options()

    _parts: Parts  # or, in a placeholder, an _Absent that raises whatever is asked of it

    def __new__(cls, text: str) -> Self:
        if not isinstance(text, str):
            raise URLError(f"a URL is text, not {type(text).__name__}")
        kind: type[URL[Any, Any]] = cls
        try:
            if not cls.schemes:
                kind = _class_for(text)
            parts = kind._parse(text)
            wrong = ""
        except Wrong as error:
            wrong = str(error)
        del text  # a traceback that shows locals shows no secret of ours
        if wrong:
            raise URLError(wrong)
        return kind._of(parts)  # type: ignore[return-value]  # a subclass of cls by construction

    @classmethod
    def _of(cls, parts: Any) -> Self:
        new = object.__new__(cls)
        object.__setattr__(new, "_parts", parts)
        return new

    @classmethod
    def placeholder(cls, variable: str) -> Self:
        """
        Stand for a URL that a build does not know; any use raises `PhaseError` naming *variable*.

        >>> URL.placeholder("DATABASE_URL")
        <URL placeholder for DATABASE_URL>
        """
        return cls._of(_Absent(variable))

    # What it says

    @property
    def scheme(self) -> str:
        """The canonical scheme, lower case, without a driver."""
        return self._parts.scheme

    @property
    def driver(self) -> str | None:
        """The driver that the scheme names, as ``asyncpg`` in ``postgresql+asyncpg``."""
        return self._parts.driver

    @property
    def username(self) -> str | None:
        """Who connects, decoded; None where nobody is named."""
        return self._parts.username

    @property
    def password(self) -> Any:
        """The password as a `Secret`, or None."""
        password = self._parts.password
        return None if password is None else _secret(password)

    @property
    def hosts(self) -> tuple[tuple[str, int | None], ...]:
        """Every (host, port), the kind's default port filled in."""
        return self._parts.hosts

    @property
    def host(self) -> str | None:
        """The first host, lower case, an IPv6 address without brackets; None with a socket."""
        hosts = self._parts.hosts
        return hosts[0][0] if hosts else None

    @property
    def port(self) -> int | None:
        """The first host's port, the kind's default where the URL has none."""
        hosts = self._parts.hosts
        return hosts[0][1] if hosts else None

    @property
    def socket(self) -> str | None:
        """The path of a unix socket, or None."""
        return self._parts.socket

    @property
    def query(self) -> Mapping[str, Any]:
        """The options, typed; secret ones are a `Secret`."""
        is_secret = self.options.is_secret
        return MappingProxyType(
            {name: _secret(value) if is_secret(name) else value for name, value in self._parts.query}
        )

    @property
    def is_placeholder(self) -> bool:
        """Whether this stands for a URL that the build phase does not know."""
        return self._absent is not None

    @property
    def _absent(self) -> _Absent | None:
        parts: object = self._parts
        return parts if isinstance(parts, _Absent) else None

    def reveal(self) -> str:
        """The whole URL with its secrets, for a client; normalised, so that parsing it gives an equal URL."""
        return self._render(clear=True)

    # How it looks

    def __str__(self) -> str:
        if self._absent:
            return f"<placeholder for {self._absent.variable}>"
        return self._render(clear=False)

    def __repr__(self) -> str:
        if self._absent:
            return f"<{type(self).__name__} placeholder for {self._absent.variable}>"
        return f"{type(self).__name__}({self._render(clear=False)!r})"

    def _render(self, *, clear: bool) -> str:
        parts = self._parts
        scheme = parts.scheme if parts.driver is None else f"{parts.scheme}+{parts.driver}"
        path, query = self._tail(parts)
        return f"{scheme}://{userinfo(parts, clear=clear)}{self._authority(parts)}{path}" + self._options_text(
            query, clear=clear
        )

    def _authority(self, parts: Parts) -> str:
        return ",".join(_host_text(host, port) for host, port in parts.hosts)

    def _tail(self, parts: Parts) -> tuple[str, Iterable[tuple[str, Any]]]:
        """The path as text and the options; a kind that keeps its socket in one of them overrides this."""
        path = "" if parts.path is None else f"/{quote(str(parts.path), safe='')}"
        return path, parts.query

    def _options_text(self, query: Iterable[tuple[str, Any]], *, clear: bool) -> str:
        pairs = []
        for name, value in query:
            shown = MASK if not clear and self.options.is_secret(name) else quote(self.options.text(value), safe="/:,")
            pairs.append(f"{quote(name, safe='')}={shown}")
        return f"?{'&'.join(pairs)}" if pairs else ""

    # How it is read

    @classmethod
    def _parse(cls, text: str) -> Parts:
        found = _TEXT.fullmatch(text)
        if found is None:
            raise Wrong(_not_a_url(text, cls))
        scheme_text, user, password, hosts_text, path, query, fragment = found.groups()
        scheme, driver = cls._read_scheme(scheme_text)
        if " " in text or not text.isprintable():
            raise Wrong(f"{_a(scheme)} URL has white space or a control character in it; percent-encode it (%20)")
        if fragment is not None or (path and "@" in path) or (query and "@" in query) or "@" in hosts_text:
            cls._check_stray(scheme, found)
        user = (decoded(user, "the user name") if "%" in user else user) if user else None
        password = (decoded(password, "the password") if "%" in password else password) if password else None
        host_list, socket = cls._read_hosts(hosts_text, scheme)
        parts = Parts(scheme, driver, user, password, host_list, socket, cls._read_path(path), ())
        if query is not None:
            parts = cls._with_query(parts, cls.options.read(query, scheme))
        parts = cls._settled(parts)
        _note_secrets(cls, parts)
        return parts

    @classmethod
    def _read_scheme(cls, text: str) -> tuple[str, str | None]:
        scheme = cls.schemes.get(text) or cls.schemes.get(text.lower())
        if scheme is not None:
            return scheme, None
        base, _, driver = text.lower().partition("+")
        scheme = cls.schemes.get(base)
        if scheme is not None and cls.drivers and driver:
            return scheme, driver
        wanted = " or ".join(f"{name}://" for name in dict.fromkeys(cls.schemes.values()))
        hint = nearest(text.lower(), cls.schemes)
        raise Wrong(f"the scheme {text!r} is not one of {cls.__name__}; expected {wanted}{hint}")

    @classmethod
    def _check_stray(cls, scheme: str, found: re.Match[str]) -> None:
        """A raw '@', '#', '/' or '?' in the password moved the rest of the URL into other parts: say so."""
        hosts, path, _, fragment = found.group(4, 5, 6, 7)
        if fragment is not None:
            if "@" in fragment:
                raise Wrong(_raw("#", "%23"))
            raise Wrong(f"{_a(scheme)} URL has no fragment; write a '#' that belongs to a value as %23")
        if "@" in hosts:
            raise Wrong(_raw("@", "%40"))
        if "@" in (path or ""):
            raise Wrong(_raw("/", "%2F") + "; an '@' in the path is written %40")
        raise Wrong(_raw("?", "%3F") + "; an '@' in an option is written %40")

    @classmethod
    def _read_hosts(cls, text: str, scheme: str) -> tuple[tuple[tuple[str, int | None], ...], str | None]:
        if text[:3].upper() == "%2F":
            return (), _socket_path(text)
        if not text:
            return (), None
        if "," in text:
            if not cls.many_hosts:
                raise Wrong(f"{_a(scheme)} URL names one host; this one names several")
            return tuple(read_host(each, cls.ports.get(scheme)) for each in text.split(",")), None
        return (read_host(text, cls.ports.get(scheme)),), None

    @classmethod
    def _read_path(cls, path: str | None) -> Any:
        """What the path means to the kind; None where it is empty."""
        return decoded(path, "the path") or None

    @classmethod
    def _with_query(cls, parts: Parts, options: dict[str, Any]) -> Parts:
        """*parts* with the options; those that another part could have said are moved there."""
        return Parts(*parts[:-1], tuple(sorted(options.items())))

    @classmethod
    def _settled(cls, parts: Parts) -> Parts:
        """*parts* once more, with everything read: the place for what depends on several."""
        if cls.needs_host and not parts.hosts and parts.socket is None:
            raise Wrong(f"{_a(parts.scheme)} URL needs a host, as in {parts.scheme}://host")
        return parts

    # How it behaves as a value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, URL):
            return NotImplemented
        return type(self) is type(other) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash((type(self), self._identity()))

    def _identity(self) -> object:
        return self._absent or self._parts

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is a value; {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is a value; {name!r} cannot be deleted")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds a secret and is not pickled; "
            "pass the name of its variable, or reveal() it yourself"
        )

    # Pydantic's protocol; nothing of pydantic is imported before it asks

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from twelvefactor.backing_services._pydantic import core_schema_for

        return core_schema_for(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        shape: dict[str, Any] = {"type": "string", "format": "uri", "writeOnly": True}
        if cls.schemes:
            shape["pattern"] = (
                f"^({'|'.join(sorted(map(re.escape, cls.schemes)))}){'([+].+)?' if cls.drivers else ''}://"
            )
        return shape


def _secret(text: str) -> Any:
    return load("twelvefactor.config.secret:Secret")(text)  # by name: no room imports another


def _class_for(text: str) -> type[URL[Any, Any]]:
    from twelvefactor.backing_services.registry import url_class

    scheme, separator, _ = text.partition("://")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.\-]*", scheme):
        raise Wrong(_not_a_url(text, URL))
    return url_class(scheme.lower())


def _not_a_url(text: str, cls: type[URL[Any, Any]]) -> str:
    wanted = next(iter(cls.schemes.values()), "scheme")
    if not text.strip():
        return f"the URL is empty; expected {wanted}://…"
    if text != text.strip():
        return "the URL has white space around it"
    return f"this is not a URL; expected {wanted}://user:password@host/…"


def _a(scheme: str) -> str:
    return f"an {scheme}" if scheme[0] in "aeim" and not scheme.startswith("mysql") else f"a {scheme}"


def _raw(character: str, encoded: str) -> str:
    return f"the password (or user name) has a raw {character!r} in it; write it as {encoded}"


def decoded(text: str | None, part: str) -> str:
    """*text* percent-decoded once."""
    if not text:
        return ""
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text):
        raise Wrong(f"{part} has a '%' that is not followed by two hex digits; write a '%' as %25")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        pass
    raise Wrong(f"{part} is not UTF-8 once percent-decoded")


def _socket_path(text: str) -> str:
    return decoded(text, "the socket's path")


def read_host(text: str, default: int | None) -> tuple[str, int | None]:
    name, _, port_text = text.partition(":")
    if name and _PLAIN_HOST.fullmatch(name) and ":" not in port_text:  # nearly all of them
        return name.lower(), default if not port_text else read_port(port_text)
    if text.count(":") > 1 and not text.startswith("["):
        raise Wrong("an IPv6 address stands in brackets, as in [::1]:5432; if this is no address, the '@' is missing")
    found = _HOST.fullmatch(text)
    if found is None:
        raise Wrong("the host has a bracket in the wrong place; an IPv6 address is written as in [::1]:5432")
    v6, name, port_text = found.groups()
    port = default if not port_text else read_port(port_text)
    if v6 is not None:
        return v6.lower(), port
    if not name:
        raise Wrong("a host is missing before its port")
    return (decoded(name, "the host") if "%" in name else name).lower(), port


def read_port(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise Wrong(
            "the port is not a number; if that part belongs to the password, percent-encode the characters "
            "'/', '?', '#' and '@' in it and end it with '@'"
        )
    port = int(text) if len(text) < 8 else _HIGHEST_PORT + 1  # noqa: PLR2004 - int() of a huge text is slow
    if not 0 < port <= _HIGHEST_PORT:
        raise Wrong(f"the port is out of range; it is 1 to {_HIGHEST_PORT}")
    return port


def _host_text(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else quote(host, safe="")
    return shown if port is None else f"{shown}:{port}"


def userinfo(parts: Parts, *, clear: bool) -> str:
    if parts.username is None and parts.password is None:
        return ""
    user = quote(parts.username or "", safe="")
    if parts.password is None:
        return f"{user}@"
    return f"{user}:{quote(parts.password, safe='') if clear else MASK}@"


def moved(parts: Parts, options: dict[str, Any], places: Mapping[str, str]) -> Parts:
    """*parts* with what stands in the *options* although another part is its *place* (option: part)."""
    for option, part in places.items():
        given: Any = options.pop(option, None)
        if given is None:
            continue
        if getattr(parts, part) is not None:
            raise Wrong(f"the option {option!r} says again what the URL already says")
        changed: dict[str, Any] = {part: given or None}
        parts = parts._replace(**changed)
    return parts


_noted: set[tuple[Any, ...]] = set()


def _note_secrets(cls: type[URL[Any, Any]], parts: Parts) -> None:
    """Tell the registry what must be masked, and which public names must not be."""
    password = parts.password
    if password is not None:
        names = (parts.username, parts.path, parts.hosts)
        if names not in _noted:
            _noted.add(names)
            _exempt(parts)
        if password not in SECRETS:
            if password == MASK:
                raise Wrong("the password is the mask that str() shows; reveal() gives the URL that connects")
            SECRETS.register(password)
    for name, value in parts.query:
        if cls.options.is_secret(name):
            SECRETS.register(str(value))


def _exempt(parts: Parts) -> None:
    for name in (parts.username, parts.path, *(host for host, _ in parts.hosts)):
        if isinstance(name, str):
            SECRETS.exempt(name)
