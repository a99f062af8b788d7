"""
One running process of the app: wires the twelve factors together.

Construction validates the environment and names the release; *start* takes over what a process owns (signals, the root
logger, hooks), so that importing a service in a test or a migration tool hijacks nothing.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import importlib
import os
import re
import signal
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast, overload

from twelvefactor._core import declaration, origin, threads
from twelvefactor._core.appcode import AppCode
from twelvefactor._core.clock import SYSTEM_CLOCK
from twelvefactor._core.codebase_root import codebase_root, package_folder
from twelvefactor._core.lazy import load
from twelvefactor._core.platform import deploy, instance
from twelvefactor._core.signals import ProcessSignals
from twelvefactor.backing_services.attaching import Attaching
from twelvefactor.clock import ServiceClock
from twelvefactor.disposability.budget import Budget
from twelvefactor.disposability.hooks import DEFAULT_LIMIT, Hook, run, run_async
from twelvefactor.disposability.judge import Judge
from twelvefactor.disposability.lifecycle import State
from twelvefactor.disposability.pulse import Pulse
from twelvefactor.disposability.shutdown import Shutdown
from twelvefactor.disposability.timeline import Timeline, since_birth
from twelvefactor.disposability.turns import WITHIN, Turns
from twelvefactor.enforcement import Enforcement
from twelvefactor.exceptions import ConfigError, PhaseError, Problem, UsageError
from twelvefactor.factor import FACTORS, Evidence, Finding, Findings, Severity
from twelvefactor.jobs import TakingJobs
from twelvefactor.port_binding import waiting
from twelvefactor.waivers import Waivers
from twelvefactor.work import InFlight, ToldWork, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import TextIO

    from typing_extensions import TypeVar as TypeVarWithDefault

    from twelvefactor._core.clock import Clock
    from twelvefactor._core.process import Sensor
    from twelvefactor._core.signals import Signals
    from twelvefactor.admin_processes.registry import AdminProcesses
    from twelvefactor.backing_services.attaching import How
    from twelvefactor.backing_services.resources import Resources
    from twelvefactor.backing_services.url import URL
    from twelvefactor.build_release_run import Release
    from twelvefactor.config import Config
    from twelvefactor.disposability.lineage import Lineage
    from twelvefactor.disposability.stopping import Stopping
    from twelvefactor.integrations.asgi import ASGIMiddleware
    from twelvefactor.integrations.wsgi import WSGIMiddleware
    from twelvefactor.logs import EventStream
    from twelvefactor.management import Management
    from twelvefactor.report.score import Scorecard

    C = TypeVarWithDefault("C", bound=Config | None, default=None)
else:
    C = TypeVar("C")
F = TypeVar("F", bound="Callable[[], Any]")
G = TypeVar("G", bound="Callable[..., Any]")

ROOMS = tuple(factor.page.replace("-", "_") for factor in FACTORS)
"""The twelve, each under its own name; a room offers ``RULES`` and ``sensors(process)``."""

_PROCESS_TYPE = re.compile(r"[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?")
_ONE_OFF = frozenset({"admin", "shell"})
START_DEADLINE = 10.0  # seconds that start-up waits for the attached resources

witnesses: list[Callable[[Service[Any]], None]] = []
"""Told of every service of this process that starts; a test session keeps its list of them so."""

_services: weakref.WeakSet[Service[Any]] = weakref.WeakSet()


class Service(Attaching, TakingJobs, Generic[C]):
    """
    A process of the app named *name*.

    Args:
        name: What the app is called; on every event.
        config_class: The declared config; validated now.
        packages: The top-level packages that are the app; found by where their files lie if not given.
        environ: The environment, for tests; the process's own if not given.
        config: A config that is valid already, for tests.
        stream: Where events go; descriptor 1 if not given.
        clock: Tells the time, for tests.
        signals: The process's signals, for tests.

    Raises:
        ConfigError: The environment does not provide the declared config; every problem is in it.
    """

    config: C
    stands_in: ClassVar[bool] = False  # for an app that has no service; it leaves when one comes

    def __init__(
        self,
        name: str,
        config_class: type[C] | None = None,
        *,
        packages: Iterable[str] | None = None,
        environ: Mapping[str, str] | None = None,
        config: C | None = None,
        stream: TextIO | None = None,
        clock: Clock | None = None,
        signals: Signals | None = None,
    ) -> None:
        self.timeline = Timeline(clock or SYSTEM_CLOCK, since_birth() if clock is None else None)
        self.name = name
        self.environ = os.environ if environ is None else environ
        self.processes: dict[str, Any] = {}
        self.arguments: dict[str, tuple[str, ...]] = {}
        self.clock = ServiceClock(clock or SYSTEM_CLOCK, self.processes)
        self.process_type = self.environ.get("TWELVEFACTOR_PROCESS_TYPE") or None
        self.deploy = deploy(self.environ)
        self.mode = _one_of(self.environ, "TWELVEFACTOR_MODE", ("report", "off"))
        self.phase = _one_of(self.environ, "TWELVEFACTOR_PHASE", ("run", "build", "describe"))
        self._enforcement = Enforcement(self.environ, self._recycle)
        self.findings = Findings(self._first_sight)
        self.evidence = self._make_evidence()
        self.evidence.process_type = self.process_type
        self.evidence.on_report = self._note
        self.in_flight = InFlight(self.clock, self._stop_early)
        if self.environ.get("TWELVEFACTOR_ENFORCE"):
            self.in_flight.settle = self._enforcement.settle
        self.in_flight.on_fault = self.fault
        self.evidence.worked = lambda: self.in_flight.worked
        package = self._package(sys._getframe(1).f_globals, packages)  # noqa: SLF001 - who constructs is the app
        self._declared = declaration.read(self.environ, package)
        self.waivers = Waivers.declared(self._declared.table, self._declared.source)
        self.evidence.excuse = self.waivers.excuse
        self.app_code = AppCode(codebase_root(self._declared, package), packages)
        self.cutters: list[Callable[[Work], None]] = []
        self._signals = signals or ProcessSignals()
        self.open_sockets: list[Callable[[], int]] = []
        self._shutdown = Shutdown(
            self,
            Budget.from_environ(self.environ),
            self._signals,
            cut=self._cut,
            open_sockets=self.open_sockets,
            waiting=waiting,
            last_words=self.last_words,
        )
        self._on_ready: list[Hook] = []
        self._included: list[str] = []
        self._held: dict[str, str] = {}
        self._sensors: tuple[Sensor, ...] = ()
        self.pulse = Pulse()
        self.turns = Turns(self.clock, self.in_flight)
        self._shutdown.notifier.stuck = lambda: self.turns.stuck
        self.awake: Callable[[], None] | None = None
        self._management = self._make_management()
        self._lock = threading.RLock()
        self._started = False
        self._was_up = False
        self._pid = os.getpid()
        self.stream = self._make_stream(stream, clock)
        with self.timeline.part("config"):
            self.config = self._load_config(config_class, config)
        self.stream.bind(**self._labels(), process_type=self.process_type, instance=instance(self.environ))
        self.stream.configure()
        self.log = self.stream.logger(name)
        _services.add(self)

    def _package(self, caller: Mapping[str, Any], packages: Iterable[str] | None) -> Path | None:
        return package_folder(caller, packages)

    def _make_stream(self, stream: TextIO | None, clock: Clock | None) -> EventStream:
        made: EventStream = load("twelvefactor.logs:EventStream")(
            self.name, environ=self.environ, stream=stream, clock=clock
        )
        return made

    def _make_evidence(self) -> Evidence:
        return Evidence(self.findings)

    def _make_judge(self) -> Sensor:
        return Judge(self._shutdown, self.timeline)

    def _labels(self) -> dict[str, str | None]:
        """What every event says of the release: its name, its digest, and its commit where that is not the name."""
        release = self.release
        commit = release.commit[:12] if release.commit else None
        return {
            "release": release.name,
            "release_digest": release.digest or None,
            "commit": None if commit == release.name else commit,
        }

    def _load_config(self, config_class: Any, config: Any) -> Any:
        if isinstance(config, type):
            raise UsageError(
                f"config= takes a config that is valid already, and {config.__name__} is a class; "
                f"write Service({self.name!r}, {config.__name__}), and it is loaded from the environment"
            )
        if config is not None or config_class is None:
            return config
        if not isinstance(cast("object", config_class), type):
            raise UsageError(
                f"the second argument is the class of the config, and a {type(config_class).__name__} was given; "
                f"give what is valid already as Service({self.name!r}, config=…)"
            )
        try:
            return config_class.load(self.environ)
        except ConfigError as error:
            self._refuse_config(error)
            raise

    def _make_management(self) -> Management | None:
        if not self.environ.get("TWELVEFACTOR_MANAGEMENT_PORT") or self.off or self.phase != "run":
            return None
        made: Management = load("twelvefactor.management:Management")(self)
        return made

    def _refuse_config(self, error: ConfigError) -> None:
        """Say it on the stream, and in the evidence where that is kept: a failed factor, not a missing file."""
        said = error.as_event()
        self.event("critical", said.pop("event"), **said)
        if self.environ.get("TWELVEFACTOR_EVIDENCE"):
            self.config = cast("C", None)
            rule = load("twelvefactor.config.rules:TF301")
            for problem in error.problems:
                self.evidence.report(Finding(rule, str(problem), problem.names[0]))
            self._write_evidence()

    # -- what it is ------------------------------------------------------------------------------------------------

    @functools.cached_property
    def release(self) -> Release:
        """The build and the config that run together, and their name."""
        found: Release = load("twelvefactor.build_release_run:identify")(self)
        return found

    @property
    def declaration(self) -> Mapping[str, Any]:
        """The ``[tool.twelvefactor]`` table of the build manifest, else of pyproject."""
        return self._declared.table

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The build manifest; empty where there is none."""
        return self._declared.manifest

    @property
    def lifecycle(self) -> Any:
        """Where in its life the process is."""
        return self._shutdown.lifecycle

    @property
    def stopping(self) -> Stopping:
        """Set once the process stops: ``is_set()``, ``wait(timeout)``, ``await wait_async(timeout)``."""
        return self._shutdown.stopping

    @property
    def budget(self) -> Budget:
        """How long each part of a stop may take."""
        return self._shutdown.budget

    @property
    def started(self) -> bool:
        """Whether the process has taken over what it owns."""
        return self._started

    @property
    def off(self) -> bool:
        """Whether `TWELVEFACTOR_MODE` is ``off``: adapters pass straight through."""
        return self.mode == "off"

    # -- what it says ----------------------------------------------------------------------------------------------

    def event(self, level: str, event: str, **fields: Any) -> None:
        """Say *event* on the stream; never raises."""
        with contextlib.suppress(Exception):  # there is nobody left to tell
            self.stream.emit(level, event, fields)

    def fault(self, where: str, error: BaseException) -> None:
        """Report a fault of the library itself as one event; never raises."""
        self.event("error", "twelvefactor.fault", fault_in=where, exc_info=error)

    def _first_sight(self, finding: Finding) -> None:
        level = "info" if finding.excused or finding.rule.severity is Severity.INFO else "warning"
        self.event(
            level,
            "twelvefactor.finding",
            rule=finding.rule.id,
            message=finding.message,
            culprit=finding.culprit,
            where=finding.where,
            hint=finding.hint or finding.rule.fix,
            **({"waived": finding.waived} if finding.waived else {}),
            **({"evidence": dict(finding.evidence)} if finding.evidence else {}),
        )

    # -- its life --------------------------------------------------------------------------------------------------

    def start(self, *, sigterm: bool = True) -> None:
        """
        Take over what the process owns: stream, signals, sensors. Idempotent, thread-safe; adapters call it themselves.

        Args:
            sigterm: Whether to stand before SIGTERM now; an adapter whose library sets its handler later says no, and
                calls `catch_sigterm` then.

        Raises:
            PhaseError: The image is being built; nothing serves then.
            FactorViolation: An enforced start rule does not hold.
        """
        if self._started or self.off:
            return
        with self._lock:
            self._shutdown.may_catch = sigterm
            self._start_once()
        self._enforcement.refuse(tuple(self.findings))

    def _start_once(self) -> None:
        if self._started:  # by another thread, while this one waited
            return
        self._refuse_other_phases()
        _send_stand_ins_away(self)
        others = sorted(each.name for each in _services if each.started)
        if others:
            self.event("warning", "twelvefactor.second_service", others=others)
        if self.lifecycle.state >= State.STOPPED:
            self._shutdown.reset()
            self.timeline = Timeline(self.clock, None)
        self._started = True
        self._pid = os.getpid()
        with self.timeline.part("sensors"):
            self._take_over()
        for witness in witnesses:
            witness(self)

    def _refuse_other_phases(self) -> None:
        if self.phase != "run":
            raise PhaseError(
                f"TWELVEFACTOR_PHASE is {self.phase!r}: nothing serves in it; unset it where the release runs"
            )

    def _take_over(self) -> None:
        self.stream.install()
        self.event("info", "twelvefactor.starting", **self._identity())
        if self._declared.problem:
            self.event("warning", "twelvefactor.declaration.unreadable", problem=self._declared.problem)
        for problem in self.waivers.problems:
            self.event("warning", "twelvefactor.waiver.invalid", problem=problem)
        self._catch_sigterm()
        self._import_included()
        self._remove_sensors()
        self._open_management()
        self._sensors = (*self._make_sensors(), self._make_judge(), *self._make_metrics())
        for sensor in self._sensors:
            self._isolated(type(sensor).__name__, sensor.install)
        atexit.register(self._close_at_exit)

    def _close_at_exit(self) -> None:
        if os.getpid() == self._pid:  # a forked child leaves by itself
            self._shutdown.sigterm.leaving()
            self.close()

    def _identity(self) -> dict[str, Any]:
        budget = self.budget
        return {
            "mode": self.mode,
            "deploy": self.deploy,
            "app_code": list(self.app_code.packages or self.app_code.modules()),
            "grace": {
                "period": budget.grace,
                "drain": budget.drain,
                "work": budget.work,
                "hooks": budget.hooks,
                "flush": budget.flush,
                "assumed": budget.assumed,
            },
        }

    def _catch_sigterm(self) -> None:
        why_not = self._shutdown.catch()
        if why_not is not None:
            self.event("info", "twelvefactor.sigterm.not_caught", because=why_not)

    def _import_included(self) -> None:
        for module in self._included:
            importlib.import_module(module)

    def _make_sensors(self) -> Iterable[Sensor]:
        for room in ROOMS:
            try:
                yield from load(f"twelvefactor.{room}:sensors")(self)
            except Exception as error:  # noqa: BLE001 - a room that cannot look leaves its rules unknown
                self.fault(room, error)

    def _make_metrics(self) -> tuple[Sensor, ...]:
        try:
            return (load("twelvefactor.integrations._metrics:Metrics")(self),)
        except Exception as error:  # noqa: BLE001 - nobody scrapes what is not there
            self.fault("metrics", error)
            return ()

    def _open_management(self) -> None:
        """For a process that stays; one that runs once would take the port from it."""
        if self._management is not None and self.process_type not in _ONE_OFF and not self._shutdown.follows:
            self._management.open()

    def enforces(self, rule_id: str) -> bool:
        """Whether `TWELVEFACTOR_ENFORCE` names *rule_id*, a prefix of it, or all."""
        return self._enforcement.covers(rule_id)

    def _note(self, finding: Finding) -> None:
        lifecycle = self.lifecycle
        self._enforcement.note(finding, self.clock.monotonic() - lifecycle.born)

    def _recycle(self, finding: Finding, seconds: float) -> None:
        """Ask to be replaced in *seconds*, by the signal that platforms and servers know; never by readiness."""
        self.event("warning", "twelvefactor.recycle", rule=finding.rule.id, culprit=finding.culprit, seconds=seconds)
        threads.start(self._leave_after, seconds, name="twelvefactor recycle")

    def _leave_after(self, seconds: float) -> None:
        if not self.stopping.wait(seconds) and self._shutdown.sigterm.installed:
            self._signals.raise_signal(signal.SIGTERM)

    def ready(self) -> None:
        """
        Start-up is over: wait for the resources, run the ready hooks, turn readiness green. Idempotent.

        Adapters call it themselves. A resource that does not answer in time keeps readiness red and is tried on.

        Raises:
            FactorViolation: An enforced start rule does not hold.
        """
        if self._is_starting():
            if self._has_resources():
                with self.timeline.part("attach"):
                    self.resources.wait(START_DEADLINE)
            self._enforcement.refuse(tuple(self.findings))
            with self.timeline.part("hooks"):
                for hook in self._on_ready:
                    self._must(run(hook, hook.limit))
            self._now_ready()

    async def aready(self) -> None:
        """`ready` on the event loop."""
        if self._is_starting():
            if self._has_resources():
                with self.timeline.part("attach"):
                    await self.resources.wait_async(START_DEADLINE)
            self._enforcement.refuse(tuple(self.findings))
            with self.timeline.part("hooks"):
                for hook in self._on_ready:
                    self._must(await run_async(hook, hook.limit))
            self._now_ready()

    def _is_starting(self) -> bool:
        return not self.off and self.lifecycle.state is State.STARTING

    def _must(self, outcome: Any) -> None:
        if outcome.error is not None:
            raise outcome.error

    def _now_ready(self) -> None:
        if self.lifecycle.move(State.READY, timeline=self.timeline.told()):
            self._shutdown.notifier.ready()
        self._tell_sensors("ready")

    def _tell_sensors(self, moment: str) -> None:
        """Those that care for *moment* have a method of that name."""
        for sensor in self._sensors:
            told = getattr(sensor, moment, None)
            if told is not None:
                self._isolated(type(sensor).__name__, told)

    def _isolated(self, where: str, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - a sensor never takes the service down
            self.fault(where, error)

    @overload
    def on_ready(self, function: F, /) -> F: ...
    @overload
    def on_ready(self, function: None = None, /, *, limit: float = ...) -> Callable[[F], F]: ...
    def on_ready(self, function: F | None = None, /, *, limit: float = 60.0) -> F | Callable[[F], F]:
        """
        Run *function*, sync or async, before the process is ready; what it raises stops the start.

        It has *limit* seconds; a sync one runs in a thread of its own.
        """
        return _decorate(function, lambda each: self._on_ready.append(Hook.of(each, limit)))

    @overload
    def on_shutdown(self, function: F, /) -> F: ...
    @overload
    def on_shutdown(self, function: None = None, /, *, limit: float = ...) -> Callable[[F], F]: ...
    def on_shutdown(self, function: F | None = None, /, *, limit: float = DEFAULT_LIMIT) -> F | Callable[[F], F]:
        """
        Run *function*, sync or async, when the work in flight is over and before resources close, last in first out.

        Each has its own *limit* in seconds; one that raises or hangs is one event and keeps no other from running. A
        sync one runs in a thread of its own.
        """
        return _decorate(function, lambda each: self._shutdown.hooks.append(Hook.of(each, limit)))

    def on_stopping(self, act: Callable[[], object]) -> None:
        """Call *act* in a thread of ours once the process stops: no new work from then on. For adapters."""
        self._shutdown.listeners.append(act)

    def on_time_over(self, act: Callable[[], object], *, early: float = 0.0) -> None:
        """
        Call *act* in a thread of ours when the time of work in flight is over: it gives the open jobs back.

        Once in a stop, before what is left is cut; not where the process ends in time. For adapters.

        Args:
            act: Gives back, and says each job by `Job.hand_back`; True where the process must end at once, since the
                jobs cannot be stopped.
            early: Seconds that giving back needs of the work's time.
        """
        self._shutdown.hand_back.add(act, early)

    def cut(self, what: str, work: str | None = None) -> None:
        """Say that *what* was cut at the end of its time, and will not be done (TF903). For adapters."""
        self._shutdown.name_cut(what, work)

    @property
    def stop_ends(self) -> float | None:
        """The monotonic second at which the time of work is over; None while the process does not stop."""
        return self._shutdown.ends

    def lead(self) -> None:
        """Let the processes that this one forks from now on know when it stops; they call `follow`. Idempotent."""
        self._shutdown.lead()

    def follow(self) -> None:
        """Start and be ready in a forked child: its parent has SIGTERM, and tells it when to stop. Idempotent."""
        if not self.off:
            self._shutdown.follow()
            self.start(sigterm=False)
            self.ready()

    def hear_parent(self) -> None:
        """Stop when the parent does, without a start: for a forked process that lives for one job. Idempotent."""
        self._shutdown.follow()

    @property
    def lineage(self) -> Lineage | None:
        """What this process shares with its parent or its children; None without `lead`."""
        return self._shutdown.lineage

    def seconds_left(self) -> float:
        """Seconds until the platform kills the process; the whole grace period while it does not stop."""
        return self._shutdown.left()

    def takes_jobs(self) -> None:
        """Nobody connects to this process: it is a worker, and stops without a drain delay. Idempotent."""
        self.become("worker")
        self._shutdown.delays = False

    def become(self, process_type: str) -> None:
        """Say what this process turned out to be, where nobody declared it: an adapter knows. Idempotent."""
        if self.process_type is None:
            self.process_type = self.evidence.process_type = process_type
            self.stream.bind(process_type=process_type)

    def catch_sigterm(self) -> None:
        """
        Stand before SIGTERM now, without a start, so that a signal before the first request drains too. Idempotent.

        Only in the main thread; adapters of servers that serve in other threads call it when they load the app.
        """
        if not self.off and self.phase == "run":
            self._shutdown.may_catch = True
            self._shutdown.catch()
            self._open_management()

    def beat(self, loop: str = "the app's loop", *, within: float = WITHIN) -> None:
        """
        A loop of the app's own has turned: call it each time round, and the heartbeat stops when it is stuck.

        It may be silent while work is in hand whose time is not over. Without it a process that runs no event loop, and
        no worker of a queue that `jobs` took over, beats as long as it exists. Cheap, thread-safe, idempotent.

        Args:
            loop: Which one, where there are several: each must turn.
            within: Seconds until it must turn again.
        """
        self.turns.turned(loop, within, works=True)

    def serves(self) -> None:
        """The running event loop serves from now on; adapters call it themselves."""
        if self._started:
            loop = asyncio.get_running_loop()
            self._shutdown.serves_on(loop)
            self.pulse.follow(loop)

    def drain(self) -> threading.Event:
        """Drain as on SIGTERM where none comes; the event is set when the server may stop. Idempotent."""
        if not self.off:
            self._shutdown.begin()
        else:
            self._shutdown.let_go.set()
        return self._shutdown.let_go

    def _stop_early(self) -> bool:
        return self._shutdown.stopping.is_set()

    def _cut(self, work: Work) -> None:
        for cutter in self.cutters:
            cutter(work)

    def finish(self) -> None:
        """Wait for the work in flight, run the shutdown hooks, close the resources. Idempotent."""
        if self._started:
            self._shutdown.finish()
            self._now_stopped()

    def _now_stopped(self) -> None:
        if self.lifecycle.state is State.STOPPED:
            self._tell_sensors("stopped")
        self.stream.flush()

    async def afinish(self) -> None:
        """`finish` on the event loop."""
        if self._started:
            await self._shutdown.finish_async()
            self._now_stopped()  # may block: the loop has nothing left to do

    async def settle(self) -> None:
        """Wait until the work in flight is over, or cut at the end of its budget. Idempotent."""
        if self._started:
            await self._shutdown.settle()

    async def leave(self) -> None:
        """`afinish` at the end of a lifespan; undo what `start` did unless the process itself is about to end."""
        if not self._started:
            return
        await self.afinish()
        if self._shutdown.sigterm.owned_by_server:
            self._write_evidence()  # the server ends the process, and its last lines are events too
        else:
            self._give_back()

    def close(self) -> None:
        """Finish, then undo all that `start` did; resources are closed in any case. Idempotent; it can start again."""
        if self._started:
            self.finish()
            self._give_back()
        elif self._has_resources():
            self._isolated("closing resources", self.resources.close)

    async def aclose(self) -> None:
        """`close` on the event loop."""
        if self._started:
            await self.afinish()
            self._give_back()
        elif self._has_resources():
            await self.resources.aclose()

    def step_aside(self) -> None:
        """Leave for good, where this one only stands in for another."""
        self.close()

    def _give_back(self) -> None:
        with self._lock:
            self._write_evidence()
            self._remove_sensors()
            self._shutdown.close()
            self.pulse.follow(None)
            self.turns.forget()
            if self._management is not None:
                self._isolated("management port", self._management.close)
            self.stream.flush()
            self.stream.uninstall()
            atexit.unregister(self._close_at_exit)
            self._started = False

    def _remove_sensors(self) -> None:
        for sensor in reversed(self._sensors):
            self._isolated(type(sensor).__name__, sensor.remove)
        self._sensors = ()

    def _forget_parent(self) -> None:
        """A forked child has none of its parent's work, threads and signals; its first unit of work starts it."""
        self.in_flight.forget()
        self.findings.forked()
        self._lock = threading.RLock()
        self.stream.bind(instance=instance(self.environ))
        self._shutdown.forget()
        self.pulse.follow(None)
        self.turns.forget()
        if self._management is not None:
            self._isolated("management port", self._management.forget)
        self.timeline = Timeline(self.clock, None)
        self._started = False

    def last_words(self) -> None:
        """Write what must be written before a process ends without exit hooks: its evidence and the stream."""
        self._write_evidence()
        self.stream.flush()

    def _write_evidence(self) -> None:
        path = self.environ.get("TWELVEFACTOR_EVIDENCE")
        if path:
            self._isolated("evidence file", lambda: load("twelvefactor.report.evidence:write")(self, path))

    def report(self) -> Scorecard:
        """
        Say the score so far as the event ``twelvefactor.score``; gives the scorecard. Thread-safe.

        Its ``points``, ``decided`` and ``unknown`` are numbers of factors; `str` of it is the line that `check` prints.
        """
        said: Scorecard = load("twelvefactor.report.running:say")(self)
        return said

    # -- health ----------------------------------------------------------------------------------------------------

    def readiness(self) -> str:
        """``ok`` or ``degraded`` where traffic is welcome; else why it is not. Never asks a resource."""
        if self._shutdown.flag.raised:
            self._shutdown.notice()
        state = self.lifecycle.state
        if state is State.DRAINING and self._readiness_stays():
            return "ok"
        if state is not State.READY:
            return str(state.word)
        if not self._resources_ready():
            return "waiting for resources"
        return next(iter(self._held.values()), "ok")

    def hold_readiness(self, what: str, because: str | None) -> None:
        """Keep readiness red for *because*, until the same *what* is told None. Idempotent, thread-safe."""
        if because is None:
            self._held.pop(what, None)
        else:
            self._held[what] = because

    def _readiness_stays(self) -> bool:
        wish = self.environ.get("TWELVEFACTOR_READINESS_ON_DRAIN") or "auto"
        return wish == "keep" or (wish == "auto" and self.deploy == "kubernetes")

    def startup(self) -> str:
        """``ok`` once start-up is over and every resource answered, and for ever after."""
        if not self._was_up and self.lifecycle.state > State.STARTING:
            self._was_up = self._resources_ready()
        return "ok" if self._was_up else "starting"

    def version_json(self) -> bytes:
        """The release as JSON, for the version endpoint; holds no value of a config variable."""
        import orjson

        return orjson.dumps({"service": self.name, **self.release.facts()})

    # -- work ------------------------------------------------------------------------------------------------------

    def work(
        self,
        kind: str,
        name: str,
        id: str | None = None,  # noqa: A002 - the word users know
        *,
        headers: Mapping[str, Any] | None = None,
        queue: str | None = None,
        attempt: int | None = None,
        comes_back: bool = False,
    ) -> Work:
        """
        A unit of work, to be entered with ``with`` or ``async with``.

        Args:
            kind: ``job``, ``tick``, ``admin`` or a word of your own.
            name: What is done.
            id: Its id; minted if not given.
            headers: Of a job's message: the parent's request id and trace are read from them.
            queue: Of a job: where its message was taken from.
            attempt: Of a job: 1 the first time.
            comes_back: Of a job: its message is acknowledged last, so that the broker gives it to another worker where
                this one ends first; at the end of its time the job is handed back, and not cut.
        """
        if kind == "job":
            opener = load("twelvefactor.integrations._job:of_loop")
            opened: Work = opener(self, name, id, comes_back=comes_back, headers=headers, queue=queue, attempt=attempt)
            return opened
        self.wake()
        return ToldWork(self.in_flight, self.event, kind, name, id)

    def wake(self) -> None:
        """Start and be ready, where no adapter saw to it: the first unit of work does. Idempotent, thread-safe."""
        if not self._started and not self.off:
            self.start()
            self.ready()

    # -- resources -------------------------------------------------------------------------------------------------

    @functools.cached_property
    def resources(self) -> Resources:
        """The attached backing services."""
        made: Resources = load("twelvefactor.backing_services.resources:Resources")(self)
        self._shutdown.resources = made
        self.in_flight.observe_anew()  # who waits for resources has them
        return made

    def _has_resources(self) -> bool:
        return "resources" in self.__dict__

    def _resources_ready(self) -> bool:
        return not self._has_resources() or self.resources.ready

    def attach_as(self, url: URL[Any, Any], how: How) -> Any:
        """`attach` and `attach_async` in one."""
        return self.resources.attach_as(url, how)

    # -- what it is made of ----------------------------------------------------------------------------------------

    def process(self, name: str, what: Any, *arguments: str) -> None:
        """
        Declare the process type *name*, which `twelvefactor run NAME` starts. Idempotent; the last word counts.

        Args:
            name: Lower case, with dashes or underscores.
            what: An ASGI or WSGI app; a Celery app, RQ queue or queues, Dramatiq or taskiq broker, huey, arq
                ``WorkerSettings`` or FastStream app, whose own worker program is started; ``service.clock``; or a
                function, sync or async, that runs until it ends.
            arguments: For the queue's worker program, such as ``"--concurrency=4"``.

        Raises:
            UsageError: The name is none that a Procfile or a cluster could have.
        """
        if _PROCESS_TYPE.fullmatch(name) is None:
            raise UsageError(f"no process type can be called {name!r}: lower-case letters, digits, - and _, 40 at most")
        self.processes[name] = what
        self.arguments[name] = arguments

    def process_types(self) -> Mapping[str, Any]:
        """The declared process types by name, also those of the modules that `include` names; imports them."""
        self._import_included()
        return dict(self.processes)

    @property
    def included(self) -> tuple[str, ...]:
        """The modules that `include` names."""
        return tuple(self._included)

    def web(self) -> Any:
        """
        The app of this process's type, ``web`` unless told otherwise, with the service around it.

        Raises:
            UsageError: No such type is declared.
        """
        name = self.process_type if self.process_type in self.processes else None
        return load("twelvefactor.integrations._serving:wrapped")(self, self._declared_type(name or "web"))

    def _declared_type(self, name: str) -> Any:
        if name not in self.processes:
            self._import_included()
        if name not in self.processes:
            known = ", ".join(sorted(self.processes)) or "none is"
            raise UsageError(
                f"no process type {name!r} is declared ({known}); declare it: service.process({name!r}, app)"
            )
        return self.processes[name]

    def run(self, process_type: str, *, server: str | None = None, reference: str = "") -> int:
        """
        Run a declared process type to its end; the exit status.

        Args:
            process_type: Its name.
            server: For ``web``, the server's name; uvicorn for an ASGI app if not given.
            reference: ``module:attribute`` of this service, by which worker processes find it.

        Raises:
            UsageError: No such type is declared.
            ConfigError: `PORT`, `HOST` or `WEB_CONCURRENCY` cannot be used.
            ResourceUnavailable: The port is taken.
        """
        what = self._declared_type(process_type)
        self.become(process_type)
        if load("twelvefactor.integrations._process_types:serves")(process_type, what):
            return self.serve(self.web(), server=server, reference=reference)
        ran: int = load("twelvefactor.integrations._process_types:run")(
            self, process_type, what, self.arguments.get(process_type, ())
        )
        return ran

    def serve(self, app: Any, *, server: str | None = None, reference: str = "") -> int:
        """
        Serve *app* where `PORT`, `HOST` and their like say, until SIGTERM; the exit status.

        Args:
            app: An ASGI or WSGI application, with the service around it or without.
            server: uvicorn, granian, hypercorn, gunicorn or waitress.
            reference: ``module:attribute`` of this service, by which worker processes find it.

        Raises:
            ConfigError: `PORT`, `HOST` or `WEB_CONCURRENCY` cannot be used.
            ResourceUnavailable: The port is taken.
        """
        served: int = load("twelvefactor.integrations._serving:serve")(self, app, server, reference)
        return served

    @functools.cached_property
    def admins(self) -> AdminProcesses:
        """The declared admin processes; iterating gives each one."""
        made: AdminProcesses = load("twelvefactor.admin_processes.registry:AdminProcesses")()
        return made

    @overload
    def admin(self, function: G, /) -> G: ...
    @overload
    def admin(self, function: None = None, /, *, name: str | None = ..., exclusive: bool = ...) -> Callable[[G], G]: ...
    def admin(
        self, function: G | None = None, /, *, name: str | None = None, exclusive: bool = False
    ) -> G | Callable[[G], G]:
        """
        Declare *function*, sync or async, as an admin process: ``twelvefactor admin NAME``, options from its signature.

        Args:
            function: Typed; it is given back as it is.
            name: What it is called; the function's name with dashes if not given.
            exclusive: Whether a second copy, on any machine, is refused with exit status 75 while one runs.

        Raises:
            UsageError: Another function has that name.
        """

        def decorate(each: G) -> G:
            self.admins.add(each, name=name, exclusive=exclusive)
            return each

        return decorate if function is None else decorate(function)

    def include(self, *modules: str) -> None:
        """Import *modules* at start: those that register jobs, clocks and admin processes. Idempotent."""
        self._included.extend(module for module in modules if module not in self._included)

    def asgi(self, app: Any, **options: Any) -> ASGIMiddleware:
        """*app* as a twelve-factor ASGI app; options are those of `ASGIMiddleware`."""
        made: ASGIMiddleware = load("twelvefactor.integrations.asgi:ASGIMiddleware")(app, self, **options)
        return made

    def wsgi(self, app: Any, **options: Any) -> WSGIMiddleware:
        """*app* as a twelve-factor WSGI app; options are those of `WSGIMiddleware`."""
        made: WSGIMiddleware = load("twelvefactor.integrations.wsgi:WSGIMiddleware")(app, self, **options)
        return made

    def __repr__(self) -> str:
        made = "_shutdown" in self.__dict__  # a debugger may ask while the constructor fails
        return f"<Service {self.name} {self.lifecycle.state.word}>" if made else f"<Service {self.name}>"


def _send_stand_ins_away(comer: Service[Any]) -> None:
    for each in tuple(_services):
        if each.stands_in and each is not comer:
            each.step_aside()


def _decorate(function: F | None, keep: Callable[[F], None]) -> F | Callable[[F], F]:
    def decorate(each: F) -> F:
        keep(each)
        return each

    return decorate if function is None else decorate(function)


def _one_of(environ: Mapping[str, str], name: str, words: tuple[str, ...]) -> str:
    word = environ.get(name) or words[0]
    if word not in words:
        raise ConfigError([Problem((name,), "is set to a word that means nothing here", expected=" or ".join(words))])
    return word


def _after_fork() -> None:
    origin.note_fork()
    for service in list(_services):
        service._forget_parent()  # noqa: SLF001 - this module's own


os.register_at_fork(after_in_child=_after_fork)
