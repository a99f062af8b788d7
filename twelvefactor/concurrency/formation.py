"""The process types of an app, and how many of each: what the platform is told."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from twelvefactor.concurrency import procfile
from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twelvefactor.concurrency.ticks import Tick

RELEASE_PHASE = "release"
"""What a Procfile calls the step before the formation starts; it is no process type of it."""


@dataclass(frozen=True, slots=True)
class ProcessType:
    """
    One type of process.

    Attributes:
        name: What it is called.
        command: What starts it.
        serves: Whether it listens on a port.
        tells: Whether it says that it is ready to who started it; a queue's own program does not.
        replicas: How many of it run.
    """

    name: str
    command: tuple[str, ...]
    serves: bool = False
    tells: bool = True
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Formation:
    """
    All process types of an app, and what they have in common.

    Attributes:
        service: The app's name.
        types: Its process types.
        reference: ``module:attribute`` of the service; empty where the platform finds it by pyproject.
        image: Of the container.
        port: On which those that serve listen.
        grace: Seconds from SIGTERM to SIGKILL.
        pre_stop: Seconds that the platform waits before SIGTERM, instead of a drain delay of ours; 0 for none.
        ticks: The clock's ticks that the platform starts, instead of a clock process.
        program: What ``twelvefactor`` is on the machine, where no image holds it.
    """

    service: str
    types: tuple[ProcessType, ...]
    reference: str = ""
    image: str = ""
    port: int = 8000
    grace: float = 30.0
    pre_stop: int = 0
    ticks: tuple[Tick, ...] = ()
    program: str = "/usr/bin/env twelvefactor"
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The app's name as clusters spell names."""
        return dns(self.service)

    @property
    def grace_seconds(self) -> int:
        """The grace period in whole seconds, the time before SIGTERM included."""
        return math.ceil(self.grace) + self.pre_stop

    def variables(self, each: ProcessType) -> dict[str, str]:
        """What a process of the type *each* is told by its environment, beside the app's own config."""
        told = {"TWELVEFACTOR_SERVICE": self.reference} if self.reference else {}
        told["TWELVEFACTOR_PROCESS_TYPE"] = each.name
        told["TWELVEFACTOR_GRACE_PERIOD"] = f"{self.grace:g}"
        told["TWELVEFACTOR_REPLICAS"] = str(each.replicas)
        if self.pre_stop:
            told["TWELVEFACTOR_DRAIN_DELAY"] = "0"
        if each.serves:
            told["PORT"] = str(self.port)
        else:
            told["TWELVEFACTOR_HEARTBEAT"] = "1"
        return {**told, **self.environ}


def dns(name: str) -> str:
    """
    *name* as a label of the domain name system.

    >>> dns("Send_Reminders")
    'send-reminders'
    """
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")[:63]


def with_replicas(types: Sequence[ProcessType], told: Mapping[str, int]) -> tuple[ProcessType, ...]:
    """
    *types* in the numbers that are *told* by name.

    Raises:
        UsageError: A type that is told is not there.
    """
    unknown = sorted(set(told) - {each.name for each in types})
    if unknown:
        known = ", ".join(each.name for each in types)
        raise UsageError(f"no process type is called {', '.join(unknown)}; there are: {known}")
    return tuple(replace(each, replicas=told.get(each.name, each.replicas)) for each in types)


def as_procfile(formation: Formation) -> str:
    """The formation as a Procfile."""
    return procfile.write({each.name: shlex.join(each.command) for each in formation.types})


def differences(formation: Formation, written: Mapping[str, str]) -> list[str]:
    """What the Procfile *written* says otherwise than *formation*, one line each; the release phase is not compared."""
    ours = {each.name: shlex.join(each.command) for each in formation.types}
    said = []
    for name in sorted({*ours, *written} - {RELEASE_PHASE}):
        if name not in written:
            said.append(f"{name}: the service declares it; the Procfile does not: `{name}: {ours[name]}`")
        elif name not in ours:
            said.append(f"{name}: the Procfile has it; the service does not declare it: service.process({name!r}, …)")
        elif shlex.split(written[name]) != shlex.split(ours[name]):
            said.append(f"{name}: the Procfile says `{written[name]}`, the service `{ours[name]}`")
    return said


def _shell(command: str) -> str:
    """The line that a shell runs for *command*; a single program takes the shell's place, and so gets the signals."""
    return command if any(each in command for each in ";&|()`") else f"exec {command}"


def others_of(types: Sequence[ProcessType], written: Mapping[str, str]) -> tuple[ProcessType, ...]:
    """The process types that only the Procfile *written* has, such as a watcher of assets; a shell reads them."""
    known = {each.name for each in types}
    return tuple(
        ProcessType(name, ("sh", "-c", _shell(command)), serves=name == "web", tells=False)
        for name, command in written.items()
        if name not in known and name != RELEASE_PHASE
    )
