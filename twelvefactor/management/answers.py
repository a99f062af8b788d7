"""What the management port answers, path by path; never a value of a config variable."""

from __future__ import annotations

import hmac
import json
import os
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from twelvefactor._core import threads
from twelvefactor._core.lazy import load
from twelvefactor._core.secrets import SECRETS
from twelvefactor.exceptions import MissingExtraError
from twelvefactor.integrations._web import DEFAULT_PROBES, RETRY_AFTER, Probes
from twelvefactor.logs.levels import name_of
from twelvefactor.management.settings import TOKEN

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from twelvefactor.management.settings import Settings
    from twelvefactor.service import Service

_JSON = "application/json"
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
_SAID_EVERY = 60.0  # seconds between two events about callers who may not ask


@dataclass(frozen=True)
class Asked:
    """A request: *target* as it came, *headers* in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    client: str = ""

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The query's fields, the last of each name."""
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def wants_html(self) -> bool:
        """Whether a browser asks."""
        return "text/html" in self.headers.get("accept", "")


@dataclass(frozen=True)
class Told:
    """An answer."""

    status: HTTPStatus
    body: bytes
    content_type: str = _JSON
    headers: tuple[tuple[str, str], ...] = ()


class Answers:
    """
    Answers about *service*. Thread-safe.

    Args:
        service: Which process it is about.
        settings: Who may ask.
    """

    def __init__(self, service: Service[Any], settings: Settings) -> None:
        self._service = service
        self._settings = settings
        self._probes = Probes(service)
        self._awaking: threading.Thread | None = None
        self._denied = 0
        self._denied_at = float("-inf")

    def answer(self, asked: Asked) -> Told:
        """The answer to *asked*; a fault of ours is a 500 and one event."""
        try:
            if asked.path in self._probes.paths and asked.method in ("GET", "HEAD"):
                return self._probe(asked.path)
            return self._refused(asked) or self._routed(asked)
        except Exception as error:  # noqa: BLE001 - a question never takes the service down
            self._service.fault("management", error)
            return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of this library; it is on the event stream")

    def _routed(self, asked: Asked) -> Told:
        methods = self._routes.get(asked.path)
        if methods is None:
            there = [*DEFAULT_PROBES.values(), *self._routes]
            return _problem(HTTPStatus.NOT_FOUND, f"there is no {asked.path[:100]} here", paths=there)
        act = methods.get("GET" if asked.method == "HEAD" else asked.method)
        if act is None:
            allowed = ", ".join(methods)
            told = _problem(HTTPStatus.METHOD_NOT_ALLOWED, f"{asked.path} takes {allowed}")
            return Told(told.status, told.body, headers=(("Allow", allowed),))
        return act(self, asked)

    # -- who may ask

    def _refused(self, asked: Asked) -> Told | None:
        """None for who may ask; probes are for everybody."""
        if self._settings.token is not None:
            sent = asked.headers.get("authorization", "").encode("utf-8", "replace")
            if hmac.compare_digest(sent, f"Bearer {self._settings.token}".encode()):
                return None
            self._say_denied(asked)
            told = _problem(HTTPStatus.UNAUTHORIZED, f"send the header Authorization: Bearer, and the value of {TOKEN}")
            return Told(told.status, told.body, headers=(("WWW-Authenticate", "Bearer"),))
        if not self._settings.is_local:
            self._say_denied(asked)
            return _problem(HTTPStatus.FORBIDDEN, f"beyond the loopback only probes are answered; set {TOKEN} for more")
        if _host(asked.headers.get("host", "")) not in _LOCAL_NAMES:  # a page in a browser that names us otherwise
            self._say_denied(asked)
            return _problem(HTTPStatus.FORBIDDEN, "call it by localhost or 127.0.0.1")
        return None

    def _say_denied(self, asked: Asked) -> None:
        self._denied += 1
        now = self._service.clock.monotonic()
        if now - self._denied_at >= _SAID_EVERY:
            times, self._denied, self._denied_at = self._denied, 0, now
            path = asked.path[:100]
            self._service.event(
                "warning", "twelvefactor.management.denied", path=path, client=asked.client, times=times
            )

    # -- probes

    def _probe(self, path: str) -> Told:
        name = self._probes.paths[path]
        if name == "live" and self._service.pulse.stuck:
            return _unavailable("the event loop is stuck")
        if name == "live" and (stuck := self._service.turns.stuck) is not None:
            return _unavailable(f"{stuck} is stuck")
        if name != "live":
            self._awake()
        answer = self._probes.answer(path)
        status = HTTPStatus(answer.status)
        return _unavailable(answer.word) if answer.failed else Told(status, answer.body)

    def _awake(self) -> None:
        """A server that starts the service with its first request would wait for this probe to be green."""
        service = self._service
        if service.started or service.awake is None or self._awaking is not None:
            return
        self._awaking = threads.start(self._start, service.awake, name="twelvefactor start")

    def _start(self, awake: Callable[[], None]) -> None:
        try:
            awake()
        except Exception:  # noqa: BLE001 - the adapter has told it, and the next probe tries again
            self._awaking = None

    # -- what it is

    def _index(self, _: Asked) -> Told:
        return _told({"service": self._service.name, "paths": [*DEFAULT_PROBES.values(), *self._routes]})

    def _version(self, _: Asked) -> Told:
        return Told(HTTPStatus.OK, self._service.version_json())

    def _score(self, asked: Asked) -> Told:
        return self._shown(asked, load("twelvefactor.report.running:scorecard")(self._service))

    def _say_score(self, asked: Asked) -> Told:
        """The same, and one event on the stream."""
        return self._shown(asked, self._service.report())

    def _shown(self, asked: Asked, card: Any) -> Told:
        if asked.wants_html:
            page = SECRETS.mask(load("twelvefactor.report.html:text")(card))
            return Told(HTTPStatus.OK, page.encode(), "text/html; charset=utf-8")
        return _told(self._identity | load("twelvefactor.report.json:document")(card))

    def _findings(self, _: Asked) -> Told:
        return _told(self._identity | {"findings": load("twelvefactor.report.running:findings")(self._service)})

    def _evidence(self, _: Asked) -> Told:
        return _told(load("twelvefactor.report.evidence:document")(self._service))

    @property
    def _identity(self) -> dict[str, Any]:
        """Which of several processes answers."""
        service = self._service
        return {
            "service": service.name,
            "release": service.release.name,
            "process_type": service.process_type,
            "pid": os.getpid(),
            "state": service.lifecycle.state.word,
            "in_flight": len(service.in_flight),
        }

    def _metrics(self, _: Asked) -> Told:
        try:
            kind, body = load("twelvefactor.integrations.prometheus:exposition")(self._service)
        except MissingExtraError as error:
            return _problem(HTTPStatus.NOT_IMPLEMENTED, str(error))
        return Told(HTTPStatus.OK, body, kind)

    # -- how loud it is

    def _levels(self, _: Asked) -> Told:
        levels = self._service.stream.levels
        loggers = {logger: name_of(number) for logger, number in sorted(levels.own.items())}
        return _told({"level": name_of(levels.default), "loggers": loggers})

    def _set_level(self, asked: Asked) -> Told:
        """The level of ``logger`` and what is below it, or of all; from JSON, or from the query."""
        try:
            wish = json.loads(asked.body) if asked.body else asked.query
            level, logger = str(wish["level"]), wish.get("logger") or None
            self._service.stream.set_level(level, logger)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            wrong = str(error) if isinstance(error, ValueError) else ""
            example = '{"level": "debug", "logger": "orders.db"}'
            return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{wrong or 'no level is named'}; send {example}")
        said = {"level_set": level, "of": logger or "all", "client": asked.client}
        self._service.event("warning", "twelvefactor.loglevel", **said)
        return self._levels(asked)

    _routes: ClassVar[dict[str, dict[str, Callable[[Answers, Asked], Told]]]] = {
        "/": {"GET": _index},
        "/version": {"GET": _version},
        "/score": {"GET": _score, "POST": _say_score},
        "/findings": {"GET": _findings},
        "/evidence": {"GET": _evidence},
        "/metrics": {"GET": _metrics},
        "/loglevel": {"GET": _levels, "PUT": _set_level},
    }


def _host(header: str) -> str:
    """A Host header without its port."""
    name, _, port = header.rpartition(":")
    return (name if port.isdigit() else header).lower()


def _told(document: Any) -> Told:
    """Findings hold no secret; what an app puts into a message is masked all the same."""
    return Told(HTTPStatus.OK, SECRETS.mask(json.dumps(document, indent=1)).encode())


def _problem(status: HTTPStatus, problem: str, **more: Any) -> Told:
    return Told(status, json.dumps({"problem": problem, **more}).encode())


def _unavailable(word: str) -> Told:
    headers = (("Retry-After", RETRY_AFTER),)
    return Told(HTTPStatus.SERVICE_UNAVAILABLE, json.dumps({"status": word}).encode(), headers=headers)
