"""
A service for an app that has none: its sensors look, and it takes nothing over.

No line of the app's goes another way, no signal is caught, nobody is waited for; what only the library's own
declarations could decide is unknown.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

from twelvefactor._core import threads
from twelvefactor._core.rounds import Rounds
from twelvefactor.disposability.judge import Judge
from twelvefactor.disposability.lifecycle import State
from twelvefactor.disposability.rules import TF902, TF903
from twelvefactor.factor import Evidence, Finding
from twelvefactor.logs import EventStream
from twelvefactor.report import evidence as files
from twelvefactor.report.rules import all_rules
from twelvefactor.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from twelvefactor._core.process import Sensor
    from twelvefactor.factor import Rule
    from twelvefactor.work import Work

_NOT_DECLARED = {
    "TF301": "no config is declared; declare it in a tf.Config",
    "TF302": "no config is declared that one could read around; declare it in a tf.Config",
    "TF307": "no config is declared; declare it in a tf.Config",
    "TF401": "no backing service is attached; attach each with service.attach",
    "TF402": "no backing service is attached; attach each with service.attach",
    "TF403": "no backing service is attached; attach each with service.attach",
    "TF404": "no backing service is attached; attach each with service.attach",
    "TF505": "no backing service is attached; attach each with service.attach",
    "TF801": "process types are declared with service.process",
    "TF804": "no backing service is attached; attach each with service.attach",
    "TF901": "start-up of an observed process includes the observer's own",
    "TF905": "the budget of a stop is the library's; an observed app has its own ideas",
    "TF1001": "no backing service is attached; attach each with service.attach",
    "TF1002": "no backing service is attached; attach each with service.attach",
    "TF1003": "no backing service is attached; attach each with service.attach",
    "TF1102": "what is printed is left alone; the event stream of tf.Service tells",
    "TF1104": "stdout is left alone; the event stream of tf.Service tells",
    "TF1105": "secrets are known where they are declared, in a tf.Config",
    "TF1201": "admin processes are declared with @service.admin",
}
"""What an observer cannot know, and what would let it look."""
_EVERY = 1.0  # seconds between two looks whether there is something new to write
_PAUSE = 0.15  # seconds from news to the file: a process may be killed at any moment
_PATIENCE = 2.0  # seconds
_AFTER_FORK = 0.05  # seconds: a child that only waits to become another program is left alone


class Narrow(Evidence):
    """Evidence without what the library's own declarations would decide."""

    def __init__(self, observer: StandIn) -> None:
        super().__init__(observer.findings)
        self._observer = observer
        for rule, because in _NOT_DECLARED.items():
            self._blind[rule] = because

    def looked(self, rule: Rule, at: str, not_yet: Callable[[], str] | None = None) -> None:
        """As ever, but for what was not declared."""
        if rule.id not in _NOT_DECLARED:
            super().looked(rule, at, not_yet)

    def could_not_look(self, rule: Rule, because: str) -> None:
        """As ever; our own reason is the better one."""
        if rule.id not in _NOT_DECLARED:
            super().could_not_look(rule, because)

    def could_look(self, rule: Rule) -> None:
        """As ever; nobody has declared anything meanwhile."""
        if rule.id not in _NOT_DECLARED:
            super().could_look(rule)

    def report(self, finding: Finding) -> bool:
        """As ever; what an app does to its environment before it serves is its own way to start."""
        early = finding.rule.id in _ONLY_WHILE_IT_SERVES and self._observer.lifecycle.state is State.STARTING
        new = finding.rule.id not in _NOT_DECLARED and not early and super().report(finding)
        if new:
            self._observer.news()
        return new


_ONLY_WHILE_IT_SERVES = frozenset({"TF305"})


class Quiet(EventStream):
    """A stream into a file beside the evidence, which takes nothing of the process over."""

    def configure(self) -> None:
        """Structlog stays the app's."""

    def install(self) -> None:
        """So do logging, warnings, hooks and stdout."""


class StandIn(Service[None]):
    """
    The observer of this process.

    Args:
        folder: Where evidence is written to.
        root: The codebase root.
    """

    stands_in: ClassVar[bool] = True

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder = folder
        self._root = root
        self._young = False  # a forked child whose writer has not begun
        self.aside = False
        self.unattached: list[str] = []
        self._writer: Rounds | None = None
        self._written = ""
        self._dirty = False
        self._writing = threading.Lock()
        self.units = 0
        events = (folder / "events.jsonl").open("a", encoding="utf-8")
        environ = {**os.environ, "LOG_FORMAT": "json", "TWELVEFACTOR_MODE": "report", "TWELVEFACTOR_ENFORCE": ""}
        environ.setdefault("TWELVEFACTOR_LEAKS", "thorough")
        super().__init__(root.name or "app", environ=environ, stream=events)

    def _package(self, caller: Mapping[str, Any], packages: Iterable[str] | None) -> Path | None:  # noqa: ARG002 - whoever constructs it
        return self._root

    def _make_stream(self, stream: TextIO | None, clock: Any) -> EventStream:
        return Quiet(self.name, environ=self.environ, stream=stream, clock=clock)

    def _make_judge(self) -> Sensor:
        return _Onlooker(self._shutdown, self.timeline)

    def _make_evidence(self) -> Evidence:
        return Narrow(self)

    def _make_management(self) -> None:
        return None

    def _make_metrics(self) -> tuple[Sensor, ...]:
        return (_Counter(self),)

    def _catch_sigterm(self) -> None:
        """It stays where it is."""

    def catch_sigterm(self) -> None:
        """It stays where it is."""

    # -- its life

    def start(self, *, sigterm: bool = True) -> None:
        """Begin to look; idempotent, and never in a process that has stepped aside."""
        if self.aside or self.started:
            return
        super().start(sigterm=sigterm)
        self._young = False
        self._writer = Rounds(self, "observer", self.write, pause=_PAUSE, every=_EVERY)
        self._writer.begin()

    def finish(self) -> None:
        """Nobody is waited for; what still runs when the process ends was cut."""
        self._judge_end()

    async def afinish(self) -> None:
        """As `finish`."""
        self._judge_end()

    def over(self) -> None:
        """The server has stopped serving, which may be the last that we hear of this process."""
        self._judge_end()
        self.write()

    def _judge_end(self) -> None:
        if not self.units:
            return
        for work in self.in_flight:
            what = f"{work.kind} {work.name}"
            message = f"{what} still ran when the process ended, and was cut"
            self.evidence.report(Finding(TF903, message, what, work=work.id))
        self.evidence.looked(TF903, "no work was in hand when the process ended")

    def step_aside(self) -> None:
        """The app has a service of its own, which sees more."""
        self.aside = True
        self.close()
        self._file.unlink(missing_ok=True)

    def _give_back(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None and not self.aside:
            writer.end()
        super()._give_back()

    def _forget_parent(self) -> None:
        super()._forget_parent()
        self.units, self._writer, self._dirty, self._young = 0, None, False, True
        self._writing = threading.Lock()
        if not self.aside:
            threads.start(self._start_after_fork, name="twelvefactor fork")

    def _start_after_fork(self) -> None:
        threading.Event().wait(_AFTER_FORK)
        try:
            self.start()
        except RuntimeError:
            return  # it ends already, and can start no thread
        except Exception as error:  # noqa: BLE001 - the app's process is not ours to end
            self.fault("observe", error)

    def in_child(self) -> None:
        """In a child of multiprocessing, which ends without running what others run at exit."""
        from multiprocessing.util import Finalize

        self.start()
        Finalize(None, self.over, exitpriority=1)

    # -- evidence

    def news(self) -> None:
        """Write soon; at once in a forked child whose writer has not begun, since it may end in the next line."""
        if self._writer is not None:
            self._wake()
        elif self._young:
            threads.start(self.write, name="twelvefactor news").join(_PATIENCE)  # no frame of the app is on its stack

    def mark(self) -> None:
        """Tell who may end us that there is, or will be, something to be written."""
        if not self._dirty:
            self._dirty = True
            self._mark.touch()

    def _wake(self) -> None:
        self.mark()
        if self._writer is not None:
            self._writer.wake()

    @property
    def _mark(self) -> Path:
        return self._folder / f"dirty-{os.getpid()}"

    @property
    def _file(self) -> Path:
        return self._folder / f"observed-{os.getpid()}.json"

    def _write_evidence(self) -> None:
        if not self.aside:
            self.write()

    def write(self) -> None:
        """Write what was seen, if it is a process of the app and something is new."""
        if self.aside or not self._is_of_the_app:
            return
        with self._writing:
            marked = self._dirty and self.in_flight.idle
            if marked:
                self._dirty = False
            told = str([self.evidence.ruling(rule) for rule in all_rules()])
            if told != self._written:
                files.write(self, self._file)
                self._written = told
            if marked and not self._dirty:
                self._mark.unlink(missing_ok=True)

    @property
    def _is_of_the_app(self) -> bool:
        """Whether code of the app runs here: Python forgets the file of a main script before its exit hooks run."""
        script = os.path.abspath(sys.argv[0]) if sys.argv and sys.argv[0] else ""  # noqa: PTH100 - links stay as they are
        return bool(self.units or self.app_code.modules() or (script and self.app_code.owns(script)))

    def cannot(self, what: str) -> None:
        """Tell the reader of the evidence what could not be attached to."""
        self.unattached.append(what)
        with (self._folder / f"unattached-{os.getpid()}.txt").open("a", encoding="utf-8") as file:
            file.write(f"{what}\n")


class _Counter:
    """Counts units of work: without any, there is little to say."""

    def __init__(self, service: StandIn) -> None:
        self._service = service

    def install(self) -> None:
        self._service.in_flight.observe(self)

    def remove(self) -> None:
        self._service.in_flight.unobserve(self)

    def begin(self, work: Work) -> None:  # noqa: ARG002 - an observer's signature
        self._service.units += 1
        self._service.mark()

    def end(self, work: Work) -> None:  # noqa: ARG002 - as above
        self._service.news()


class _Onlooker(Judge):
    """Looks at SIGTERM as the app and its server leave it."""

    def install(self) -> None:
        """The budget is not the app's."""

    def _judge_sigterm(self) -> None:
        from signal import SIG_DFL, SIGTERM, getsignal

        evidence, handler = self._process.evidence, getsignal(SIGTERM)
        wrong = self._wrong()
        if wrong is not None:
            evidence.report(Finding(TF902, wrong, "SIGTERM"))
        elif handler == SIG_DFL:
            evidence.could_not_look(TF902, "SIGTERM has its default action in this process, which ends it at once")
        else:
            evidence.looked(TF902, "SIGTERM has a handler, the server's or the app's")
