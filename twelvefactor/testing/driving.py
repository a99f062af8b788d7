"""Drive a service: a script of requests, a recorded HAR, a Python script, or what its OpenAPI schema allows."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from twelvefactor.exceptions import MissingExtraError, ResourceUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twelvefactor.testing.servers import Response, Server

ROUNDS = 10  # of a script: what grows by one request is seen by the third
_HOP_BY_HOP = frozenset({"host", "content-length", "connection", "transfer-encoding", "accept-encoding", "cookie"})
_EXAMPLES = 20  # a schema's operation
_WITHIN = 600.0  # seconds
_SERVER_ERROR = 500
_SHOWN = 60  # characters of a path
NO_ANSWER = (OSError, http.client.HTTPException, ValueError)
"""What asking raises where there is no answer, or the request is none that can be sent."""


@dataclass(frozen=True)
class Request:
    """A request of a script, and the status that it expects; None for any."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    status: int | None = None


@dataclass(frozen=True)
class Driven:
    """
    What came of it.

    Attributes:
        statuses: How many answers there were of each status, where it is known.
        problems: What was not as expected, in a sentence each.
        requests: What was asked and can be asked again; not what a Python script asked.
    """

    statuses: Mapping[int, int]
    problems: tuple[str, ...] = ()
    requests: tuple[Request, ...] = ()


class Customer:
    """Asks as a browser does: the cookies that it was given are sent along, but where a request has its own."""

    def __init__(self) -> None:
        self._cookies: dict[str, str] = {}

    def ask(self, server: Server, request: Request) -> Response:
        """
        Ask *server*, on a connection of its own.

        Raises:
            Exception: Of `NO_ANSWER`.
        """
        headers = dict(request.headers)
        if self._cookies:
            headers.setdefault("Cookie", "; ".join(f"{name}={value}" for name, value in self._cookies.items()))
        answer = server.request(request.method, request.path, headers=headers, body=request.body)
        for told in answer.cookies:
            self._keep(told)
        return answer

    def _keep(self, told: str) -> None:
        pair, *attributes = told.split(";")
        name, _, value = pair.strip().partition("=")
        self._cookies[name] = value
        if any(each.strip().lower() == "max-age=0" for each in attributes):
            del self._cookies[name]


def drive(server: Server, what: str, environ: Mapping[str, str]) -> Driven:
    """
    Drive *server* by *what*.

    Args:
        server: It serves already.
        what: A ``.har``, ``.json``, ``.yaml`` or ``.py`` file, an OpenAPI schema, or the path of one on the server.
        environ: What a Python script and schemathesis run in; ``BASE_URL`` is set beside it.

    Raises:
        UsageError: It cannot be read.
        ResourceUnavailable: schemathesis is needed and not here.
    """
    if what.startswith("/") and not Path(what).is_file():
        return _by_schema(server, f"{server.url}{what}", environ)
    path = Path(what)
    if is_script(what):
        problem = run_script(what, server.url, environ)
        return Driven({}, (problem,) if problem else ())
    document = _read(path)
    if isinstance(document, dict) and ("openapi" in document or "swagger" in document):
        return _by_schema(server, str(path.resolve()), environ)
    return _by_requests(server, requests_of(document, what))


def is_script(what: str) -> bool:
    """Whether *what* is a Python script, which decides by itself what it asks."""
    return Path(what).suffix == ".py"


def must_be_there(what: str) -> None:
    """
    Look before anything is started.

    Raises:
        UsageError: It is neither a path of the service nor a file.
    """
    if not what.startswith("/") and not Path(what).is_file():
        raise UsageError(f"{what}: there is no such file")


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        return _yaml(text) if path.suffix in (".yaml", ".yml") else json.loads(text)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path}: cannot be read ({type(error).__name__}: {error}); "
            "give a list of requests in JSON or YAML, a .har, a .py script or an OpenAPI schema"
        ) from None


def _yaml(text: str) -> Any:
    try:
        import yaml  # type: ignore[import-untyped,unused-ignore]  # it has no types
    except ImportError:
        raise MissingExtraError("pyyaml", "pyyaml") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def requests_of(document: Any, source: str) -> tuple[Request, ...]:
    """
    The requests of a HAR, or of a list of them.

    Raises:
        UsageError: It is neither.

    >>> requests_of([{"path": "/orders", "json": {"item": "tea"}, "method": "POST"}], "script")[0].body
    b'{"item": "tea"}'
    """
    try:
        if isinstance(document, dict) and "log" in document:
            return tuple(_of_har(entry["request"]) for entry in document["log"]["entries"])
        listed = document["requests"] if isinstance(document, dict) else document
        return tuple(_of_script(each) for each in listed)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        shape = '[{"method": "POST", "path": "/orders", "json": {"item": "tea"}, "status": 201}]'
        raise UsageError(f"{source}: neither a HAR nor a list of requests such as {shape} ({error!r})") from None


def _of_har(told: Any) -> Request:
    url = urlsplit(told["url"])
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    headers = {each["name"]: each["value"] for each in told.get("headers", ()) if _is_the_apps(each["name"])}
    text = (told.get("postData") or {}).get("text")
    return Request(told["method"], path, headers, None if text is None else text.encode())


def _is_the_apps(header: str) -> bool:
    return header.lower() not in _HOP_BY_HOP and not header.startswith(":")


def _of_script(told: Any) -> Request:
    headers = dict(told.get("headers") or {})
    body = told.get("body")
    if "json" in told:
        headers = {"Content-Type": "application/json", **headers}
        body = json.dumps(told["json"])
    status = told.get("status")
    encoded = None if body is None else str(body).encode()
    return Request(told.get("method", "GET").upper(), str(told["path"]), headers, encoded, status and int(status))


def _by_requests(server: Server, requests: tuple[Request, ...]) -> Driven:
    statuses: Counter[int] = Counter()
    problems: dict[str, None] = {}
    customer = Customer()
    for _ in range(ROUNDS):
        for each in requests:
            try:
                status = customer.ask(server, each).status
            except NO_ANSWER as error:
                problems[f"{each.method} {each.path}: no answer ({type(error).__name__})"] = None
                continue
            statuses[status] += 1
            expected = each.status or status
            if status != expected or (each.status is None and status >= _SERVER_ERROR):
                wanted = f", expected {each.status}" if each.status else ""
                problems[f"{each.method} {each.path}: {status}{wanted}"] = None
    return Driven(dict(statuses), tuple(problems), requests)


def run_script(path: str, url: str, environ: Mapping[str, str]) -> str:
    """Run the Python script at *path* with *url* as its ``BASE_URL``; what was wrong, or an empty string."""
    ended = _run([sys.executable, path], url, environ)
    return f"{path} ended with status {ended.returncode}: {_tail(ended)}" if ended.returncode else ""


def _by_schema(server: Server, location: str, environ: Mapping[str, str]) -> Driven:
    """
    Schemathesis makes requests of what the schema allows; what it finds wrong beside 5xx is not what we grade.

    It keeps files where it runs, so that is a folder of its own.
    """
    program = shutil.which("schemathesis", path=f"{Path(sys.executable).parent}:{environ.get('PATH', '')}")
    if program is None:
        raise ResourceUnavailable("an OpenAPI schema is driven by schemathesis: pip install schemathesis")
    options = ["--url", server.url, "--checks", "not_a_server_error", "--max-examples", str(_EXAMPLES)]
    alone = {name: value for name, value in environ.items() if not name.startswith(("PYTHON", "TWELVEFACTOR_"))}
    with tempfile.TemporaryDirectory(prefix="twelvefactor-schemathesis-") as folder:
        har = Path(folder) / "sent.har"
        kept = ["--report", "har", "--report-har-path", str(har), "--output-sanitize", "false"]
        ended = _run([program, "run", location, *options, *kept, "--continue-on-failure"], server.url, alone, folder)
        sent = _read(har) if har.is_file() else {"log": {"entries": []}}
    statuses, problems = _told(sent)
    if ended.returncode and not problems:
        problems = (f"schemathesis ended with status {ended.returncode}: {_tail(ended)}",)
    return Driven(statuses, problems, requests_of(sent, location))


def _told(har: Any) -> tuple[dict[int, int], tuple[str, ...]]:
    """How many answers of each status a HAR has, and which requests got a 5xx."""
    entries = har["log"]["entries"]
    statuses = Counter(int(each["response"]["status"]) for each in entries)
    failed = (each for each in entries if each["response"]["status"] >= _SERVER_ERROR)
    names = (f"{each['request']['method']} {_shown(each['request']['url'])}" for each in failed)
    counted = Counter(names)
    return dict(statuses), tuple(
        f"{name}: 5xx, {times} times" if times > 1 else f"{name}: 5xx" for name, times in counted.items()
    )


def _shown(url: str) -> str:
    """The path, without what was made up in it at length."""
    path = urlsplit(url).path
    return path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…"


def _run(
    command: list[str], url: str, environ: Mapping[str, str], cwd: str | None = None
) -> subprocess.CompletedProcess[str]:
    env = {**environ, "BASE_URL": url, "NO_COLOR": "1"}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=_WITHIN, check=False)  # noqa: S603 - named by the caller


def _tail(ended: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (ended.stdout + ended.stderr).splitlines() if line.strip(" =_-")]
    return " | ".join(lines[-4:])
