"""What the web adapters share: probes, whose app it is, the route that a request matched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from twelvefactor.factor import Finding
from twelvefactor.integrations import _routes
from twelvefactor.integrations._litestar import hear_errors
from twelvefactor.port_binding import TF704

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from twelvefactor.service import Service

MARK = "twelvefactor.in_flight"
"""Where a scope or environ carries the work in flight that it is counted in, so that nobody counts it twice."""
ROUTE = "twelvefactor.route"
"""Where a framework's own middleware of ours leaves the route that it knows."""
RETRY_AFTER = "5"  # seconds


class Answer(NamedTuple):
    """What a probe is told, and in a *word* why."""

    status: int
    body: bytes
    word: str = "ok"

    @property
    def failed(self) -> bool:
        """Whether it is news."""
        return self.status != _OK

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Those of the answer, in lower case."""
        made = [
            ("content-type", "application/json"),
            ("content-length", str(len(self.body))),
            ("cache-control", "no-store"),
        ]
        return [*made, ("retry-after", RETRY_AFTER)] if self.failed else made

    def event(self, method: str, path: str, seconds: float, sent: int, client: str | None) -> dict[str, Any]:
        """The fields of the access event."""
        return {
            "method": method,
            "path": path,
            "route": path,
            "status": self.status,
            "duration_ms": milliseconds(seconds),
            "bytes": sent,
            "client": client,
            "outcome": self.word,
        }


class Probes:
    """
    Liveness, readiness and start-up, answered before the app.

    Liveness never touches a resource and stays green while the process drains; readiness follows the lifecycle and
    the attached resources. A platform probes with GET or HEAD; other methods go to the app.

    Args:
        service: Whose state is told.
        paths: ``live``, ``ready``, ``started`` to the path of each; one that is left out is not answered.
        version_path: Where the release is told in public; None, the default, is nowhere.
    """

    def __init__(
        self, service: Service[Any], paths: Mapping[str, str] | None = None, version_path: str | None = None
    ) -> None:
        named = DEFAULT_PROBES if paths is None else paths
        unknown = sorted(set(named) - set(DEFAULT_PROBES))
        if unknown:
            raise ValueError(f"probes: no probe is called {', '.join(unknown)}; there are {', '.join(DEFAULT_PROBES)}")
        self.service = service
        self.paths = {path: name for name, path in named.items()}
        if version_path is not None:
            self.paths[version_path] = "version"

    def leave(self, path: str) -> None:
        """Leave *path* to the app, which routes it itself; its successful answers still make no access event."""
        self.paths = {**self.paths, path: "left"}

    def answers(self, path: str, method: str) -> bool:
        """Whether *path* is ours to answer."""
        name = self.paths.get(path)
        return name is not None and name != "left" and method in ("GET", "HEAD")

    def answer(self, path: str) -> Answer:
        """Answer the probe at *path*; one that fails is told as an event by the adapter."""
        probe = self.paths[path]
        if probe == "version":
            return Answer(_OK, self.service.version_json())
        if probe == "live":
            return _ALIVE
        status = self.service.readiness() if probe == "ready" else self.service.startup()
        return Answer(_OK if status in _GREEN else _UNAVAILABLE, b'{"status":"%s"}' % status.encode(), status)


DEFAULT_PROBES = {"live": "/livez", "ready": "/readyz", "started": "/startupz"}
_OK = 200
_UNAVAILABLE = 503
_ALIVE = Answer(_OK, b'{"status":"ok"}')
_GREEN = frozenset({"ok", "degraded"})


def learn(service: Service[Any], probes: Probes, app: Any) -> tuple[str, Any]:
    """
    Find out whose application *app* is, and leave it the probe paths that it routes itself (TF704).

    What is mounted is listed once in a life of the process, however many adapters a framework makes.
    """
    try:
        kind, framework = _routes.framework(app)
        if kind == "litestar":
            hear_errors(framework, lambda: service.started)
        taken = _routes.routed_by(kind, framework, probes.paths)
    except Exception as error:  # noqa: BLE001 - a framework that moved its routes must not cost a request
        service.fault("routes", error)
        kind, framework, taken = "", None, frozenset()
    for path in sorted(taken):
        if probes.paths[path] != "left":
            message = f"the app routes {path} itself, so the {probes.paths[path]} probe is left to it"
            service.evidence.report(Finding(TF704, message, path))
            probes.leave(path)
    service.become("web")
    _list_mounted(service, probes)
    return kind, framework


def _list_mounted(service: Service[Any], probes: Probes) -> None:
    mounted = [path for path, probe in probes.paths.items() if probe != "left"]
    left = sorted(set(probes.paths) - set(mounted))
    service.evidence.looked(TF704, f"{', '.join(mounted) or 'no path'} answered before the app")
    listed = _listed.setdefault(service.lifecycle, set())
    if (*mounted, None, *left) not in listed:
        listed.add((*mounted, None, *left))
        service.event("info", "twelvefactor.mounted", paths=mounted, left_to_app=left)


_listed: WeakKeyDictionary[Any, set[tuple[str | None, ...]]] = WeakKeyDictionary()


def known_route(service: Service[Any], app_kind: str | None, app: Any, scope: MutableMapping[str, Any]) -> str | None:
    """The route template that *scope* (ASGI) or *environ* (WSGI) matched; None where the framework does not know."""
    try:
        return _routes.template(app_kind or "", app, scope)
    except Exception as error:  # noqa: BLE001 - the access event is worth more than its route
        service.fault("route", error)
        return None


def mark_as_told(error: BaseException) -> None:
    """So that the server's own record of the same exception is not a second traceback on the stream."""
    error.__dict__["__twelvefactor_told__"] = True  # past a `__setattr__` that a frozen exception may have


def milliseconds(seconds: float) -> float:
    """*seconds* in milliseconds to the microsecond; a fifth of what ``round`` costs."""
    return int(seconds * 1_000_000) / 1000


def level_of(status: int) -> str:
    """How loudly an answer with *status* is told."""
    return "error" if status >= _SERVER_ERROR else "info"


def is_green_probe(probes: Probes, path: str, status: int) -> bool:
    """Whether this is a probe that the app answers itself, and well: no news."""
    return 0 < status < _CLIENT_ERROR and path in probes.paths


_CLIENT_ERROR = 400
_SERVER_ERROR = 500
