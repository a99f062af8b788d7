"""
Exercise a service: its processes on engines that were started for it, driven, told to stop, and what they saw.

Nothing that it inherits can lead it to production: the value of every resource URL and Secret is replaced, and Python's
sockets connect to nothing but the engines.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import tempfile
from pathlib import Path
from signal import SIGTERM
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

from twelvefactor._core.lazy import load
from twelvefactor._core.platform import container
from twelvefactor.exceptions import MissingExtraError, ResourceUnavailable, UsageError
from twelvefactor.testing import engines
from twelvefactor.testing.driving import Driven, Request, drive, is_script, run_script
from twelvefactor.testing.replicas import Replicas
from twelvefactor.testing.servers import ANSWER_WITHIN, Server, events_in
from twelvefactor.testing.sharing import Proof, prove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

READY_WITHIN = 60.0  # seconds
_CLEAN = (0, -SIGTERM, 128 + SIGTERM)
_BINDINGS = ("SERVICE_BINDING_ROOT", "VCAP_SERVICES", "VCAP_SERVICES_FILE_PATH")
_KEPT = frozenset(
    {
        "TWELVEFACTOR_RELEASE",
        "TWELVEFACTOR_BUILD",
        "TWELVEFACTOR_GRACE_PERIOD",
        "TWELVEFACTOR_ENFORCE",
        "TWELVEFACTOR_REPLICAS",
    }
)
_MOUNTED = Path("/run/secrets")
_ON_PATH = Path(__file__).resolve().parent.parent / "observe" / "on_path"
_RANDOM_BYTES = 24


class Step(NamedTuple):
    """Something that takes a while: what, and around it a context manager."""

    say: Callable[[str], None]
    watch: Callable[[str], contextlib.AbstractContextManager[None]]


class Environment:
    """
    What the processes of a run are given.

    Args:
        variables: Those that the config declares.
        parity: Which engine and version each is declared to be.
        inherited: This process's environment.
        attached: The names whose inherited value may stay.

    Raises:
        UsageError: A name is not declared or not set, or a variable is missing that nobody can invent; all are named.
    """

    def __init__(
        self,
        variables: Sequence[Any],
        parity: Mapping[str, Any],
        inherited: Mapping[str, str],
        attached: Sequence[str] = (),
    ) -> None:
        self._parity = parity
        self._attached = attached
        self._inherited = inherited
        self._variables = variables
        self.places: list[str] = []
        self._refuse_what_is_missing()
        self.kept = self._without_what_leads_elsewhere()
        self.invented = {
            each.name: secrets.token_urlsafe(_RANDOM_BYTES) for each in variables if self._is_invented(each)
        }

    def _is_resource(self, variable: Any) -> bool:
        return bool(_url_types(variable))

    def _is_invented(self, variable: Any) -> bool:
        return bool(variable.secret) and not self._is_resource(variable) and not self._stays(variable)

    def _stays(self, variable: Any) -> bool:
        return any(name in self._attached for name in variable.names)

    def _refuse_what_is_missing(self) -> None:
        declared = {name for each in self._variables for name in each.names}
        problems = [
            f"--allow-attached {name}: the config declares no such variable"
            for name in self._attached
            if name not in declared
        ]
        problems += [
            f"--allow-attached {name}: it is not set"
            for name in self._attached
            if name in declared and not self._inherited.get(name)
        ]
        problems += [
            f"{each.name}: is not set, and is neither a resource URL nor a secret that could be made up; set it"
            for each in self._variables
            if each.required and not self._is_resource(each) and not each.secret and not self._is_set(each)
        ]
        if problems:
            raise UsageError("\n".join(problems))

    def _is_set(self, variable: Any) -> bool:
        return any(name in self._inherited or f"{name}_FILE" in self._inherited for name in variable.names)

    def _without_what_leads_elsewhere(self) -> dict[str, str]:
        dropped = set(_BINDINGS)
        for each in self._variables:
            if (self._is_resource(each) or each.secret) and not self._stays(each):
                dropped.update(name for names in each.names for name in (names, f"{names}_FILE"))
        declared = {name for each in self._variables for name in each.names}
        return {
            name: value
            for name, value in self._inherited.items()
            if name not in dropped
            and not name.startswith("PYTEST_")  # a test of ours may run us; the service is in no test
            and (not name.startswith("TWELVEFACTOR_") or name in _KEPT)
            and (name in declared or not _is_resource_url(value))
        }

    def start(self, stack: contextlib.ExitStack, folder: Path, step: Step) -> dict[str, str]:
        """
        Start an engine for each resource URL; the whole environment.

        Raises:
            ResourceUnavailable: One cannot be had here; every such one is named.
        """
        provided: dict[str, str] = {}
        problems: list[str] = []
        started: dict[tuple[str, str], str] = {}
        for each in self._variables:
            if not self._is_resource(each):
                continue
            if self._stays(each):
                self._allow_attached(each)
                continue
            try:
                provided[each.name] = self._engine(each, stack, folder, started, step)
            except (ResourceUnavailable, MissingExtraError) as error:
                if each.required or self._is_mounted(each):
                    problems.append(f"{each.name}: {error}; or --allow-attached {each.name} keeps what is set")
        if problems:
            raise ResourceUnavailable("\n".join(problems))
        return {**self.kept, **provided, **self.invented}

    def _engine(
        self, variable: Any, stack: contextlib.ExitStack, folder: Path, started: dict[tuple[str, str], str], step: Step
    ) -> str:
        engine, _, version = str(self._parity.get(variable.attribute, "")).partition(" ")
        kinds = tuple(load(url.kind).name for url in _url_types(variable) if url.kind)
        if not kinds:
            raise ResourceUnavailable("there is no engine for URLs of any kind")
        kind = engine.lower() if engine.lower() in kinds else kinds[0]
        if kind == "sqlite":
            return f"sqlite:///{folder}/{variable.attribute}.db"
        key = (kind, version.strip() if kind in engines.CHOICE else "")
        if key not in started:
            with step.watch(f"starting {kind} for {variable.name}"):
                started[key] = str(stack.enter_context(engines.start(kind, None, key[1] or None)))
        parts = urlsplit(started[key])
        self.places.append(f"{parts.hostname}:{parts.port}")
        return started[key]

    def _allow_attached(self, variable: Any) -> None:
        value = next(self._inherited[name] for name in variable.names if self._inherited.get(name))
        url = _url_types(variable)[0](value)
        self.places += [f"{host}:{port}" for host, port in url.hosts]

    def _is_mounted(self, variable: Any) -> bool:
        return any((_MOUNTED / name.lower()).exists() or (_MOUNTED / name).exists() for name in variable.names)


def _url_types(variable: Any) -> tuple[Any, ...]:
    found: tuple[Any, ...] = load("twelvefactor.config.wanted:url_types")(variable.info.annotation)
    return found


def _is_resource_url(value: str) -> bool:
    """Whether a variable that nobody declared leads to a service all the same."""
    scheme = value.partition("://")[0].partition("+")[0].lower() if "://" in value else ""
    return scheme in load("twelvefactor.backing_services.registry:TABLE") and scheme not in ("http", "https")


class Exercise:
    """
    The processes of a service on engines of their own, while the block runs.

    Args:
        types: The name of each process type, and whether it serves.
        environment: What they are given.
        project: Where they run.
        command: Makes the command that starts a process type.
        step: Tells people what takes long.

    Attributes:
        problems: What was not as it should be, in a sentence each.
        folder: Where each process wrote down what it saw.
        proof: Whether several processes answer as one does; None where that was not asked, or nothing serves.
    """

    def __init__(
        self,
        types: Mapping[str, bool],
        environment: Environment,
        project: Path,
        command: Callable[..., Sequence[str]],
        step: Step,
    ) -> None:
        self._types = types
        self._environment = environment
        self._project = project
        self._command = command
        self._step = step
        self._stack = contextlib.ExitStack()
        self._running: dict[str, Server] = {}
        self._requests: list[Request] = []
        self.problems: list[str] = []
        self.proof: Proof | None = None
        self.folder = Path()
        self._environ: dict[str, str] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="twelvefactor-exercise-")))
            self.folder = base / "evidence"
            self.folder.mkdir()
            given = self._environment.start(stack, base, self._step)
            self._environ = {**given, **self._ours(given)}
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in self._running.values():
            server.kill()
        self._stack.close()

    def _ours(self, given: Mapping[str, str]) -> dict[str, str]:
        path = [str(_ON_PATH), *([given["PYTHONPATH"]] if given.get("PYTHONPATH") else [])]
        return {
            "PYTHONPATH": os.pathsep.join(path),
            "TWELVEFACTOR_CONNECT_ONLY": ",".join(self._environment.places),
            "TWELVEFACTOR_CONNECT_NOTES": str(self.folder),
            "TWELVEFACTOR_EVIDENCE": str(self.folder),
            "TWELVEFACTOR_LEAKS": "thorough",
            "TWELVEFACTOR_STRICT": "1",
            "TWELVEFACTOR_DEV": "1",
            "TWELVEFACTOR_DRAIN_DELAY": "0",
            "LOG_FORMAT": "json",
            **({"HOST": "0.0.0.0"} if container(given) else {}),  # noqa: S104 - a container's loopback lets nobody in
        }

    def run(self, before: Sequence[str], driven_by: Sequence[str], replicas: int = 1) -> None:
        """
        Run the admin processes *before*, start every process type, drive the web one, and tell all to stop.

        With two *replicas* or more, so many web processes are asked in turn as well, what one is asked.

        Raises:
            ResourceUnavailable: A process did not come up; the end of what it said is in the message.
        """
        for name in before:
            with self._step.watch(f"running the admin process {name}"):
                self._admin(name)
        try:
            for name in sorted(self._types):
                with self._step.watch(f"starting {name}"):
                    self._start(name)
            self._drive(driven_by)
            if replicas > 1 and self._web is not None:
                with self._step.watch(f"asking {replicas} processes in turn"):
                    self.proof = self._prove(self._web, driven_by, replicas)
        finally:
            with self._step.watch("stopping"):
                self._stop()

    def _admin(self, name: str) -> None:
        ended = Server(self._command("admin", name), environ=self._environ, inherited={}, cwd=self._project, ready=None)
        with ended as running:
            status = running.wait(READY_WITHIN)
            if status:
                raise ResourceUnavailable(f"the admin process {name} ended with status {status}: {_why(running)}")

    def _how(self, name: str) -> dict[str, Any]:
        """How a process of that type is started: what `Server` takes beside the command."""
        return {
            "environ": {**self._environ, "TWELVEFACTOR_PROCESS_TYPE": name},
            "inherited": {},
            "cwd": self._project,
            "ready": "/readyz" if self._types[name] else None,
            "within": READY_WITHIN,
        }

    def _start(self, name: str) -> None:
        server = Server(self._command("run", name), **self._how(name))
        server.start()
        self._running[name] = server
        if not self._types[name]:
            with contextlib.suppress(TimeoutError):
                # earlier, SIGTERM may find nobody who heeds it
                server.wait_event("twelvefactor.ready", within=ANSWER_WITHIN)

    @property
    def _web(self) -> str | None:
        """The process type that is driven."""
        serving = [name for name in self._running if self._types[name]]
        return "web" if "web" in serving else next(iter(serving), None)

    def _drive(self, driven_by: Iterable[str]) -> None:
        for what in driven_by:
            if self._web is None:
                raise UsageError(f"{what}: no process type of the service serves, so nothing can be driven")
            web = self._running[self._web]
            with self._step.watch(f"driving by {what}"):
                driven = drive(web, what, self._for_drivers(web.url))
            self._requests += driven.requests
            self._tell(what, driven)

    def _for_drivers(self, url: str) -> dict[str, str]:
        """A driver talks to the service and to nobody else."""
        return {**self._environ, "TWELVEFACTOR_CONNECT_ONLY": urlsplit(url).netloc}

    def _prove(self, name: str, driven_by: Iterable[str], count: int) -> Proof:
        """They stand under the same rules as the others; what they see themselves is not graded."""
        how = self._how(name)
        del how["environ"]["TWELVEFACTOR_EVIDENCE"]
        how["environ"]["TWELVEFACTOR_LEAKS"] = "off"
        scripts = {
            what: lambda url, what=what: run_script(what, url, self._for_drivers(url))
            for what in driven_by
            if is_script(what)
        }
        return prove(lambda many: Replicas(self._command("run", name), many, **how), self._requests, scripts, count)

    def _tell(self, what: str, driven: Driven) -> None:
        if driven.statuses:
            told = ", ".join(f"{status} {_times(times)}" for status, times in sorted(driven.statuses.items()))
            self._step.say(f"{what}: {told}")
        self.problems += driven.problems

    def _stop(self) -> None:
        """Tell all, as a platform does, and wait; who went before, or otherwise than told, is a problem."""
        early = {name for name, server in self._running.items() if server.process.poll() is not None}
        for server in self._running.values():
            if server.process.poll() is None:
                server.send_signal()
        for name, server in self._running.items():
            try:
                status = server.wait()
            except TimeoutError as error:
                self.problems.append(f"{name}: {error}")
                continue
            if name in early or status not in _CLEAN:
                self.problems.append(f"{name} ended by itself, with status {status}: {_why(server)}")

    @property
    def refused(self) -> list[str]:
        """Where somebody wanted to connect to, and was not let."""
        files = sorted(self.folder.glob("refused-*.txt"))
        return list(dict.fromkeys(line for file in files for line in file.read_text().splitlines()))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _why(server: Server) -> str:
    """What it said of its end, in one line."""
    errors = [
        each for each in (*server.events, *events_in(server.stderr)) if each.get("level") in ("error", "critical")
    ]
    said = [
        f"{each['event']}: {each.get('exception_message') or each.get('message') or ''}".strip(": ") for each in errors
    ]
    return " | ".join(said[-3:]) or server.tail(3)


def command(reference: str | None) -> Callable[..., tuple[str, ...]]:
    """Makes the commands of the service that *reference* names, or pyproject."""
    where = ("--service", reference) if reference else ()
    return lambda *words: (sys.executable, "-m", "twelvefactor", *where, *words)
