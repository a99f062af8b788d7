"""Run the app with real services for what its environment does not provide."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twelvefactor.cli.service import find_pyproject, load_service
from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PORT = "8000"
_APART = 100  # as Foreman has it
_NOT_FOUND = 127
_LOOK_EVERY = 0.1


@dataclass(frozen=True)
class Command:
    """
    What is run.

    Attributes:
        words: The program and its arguments.
        further: How far its port lies from `PORT`.
    """

    words: Sequence[str]
    further: int = 0

    def environ(self, told: Mapping[str, str]) -> dict[str, str]:
        """Its environment."""
        port = told["PORT"]
        return {**told, "PORT": str(int(port) + self.further) if self.further and port.isdigit() else port}


@click.command(short_help="Run the app with real backing services.", context_settings={"ignore_unknown_options": True})
@click.option("--service", metavar="MODULE:ATTR", help="Where the service, or its Config class, is.")
@click.option("--fresh", is_flag=True, help="Start the services with nothing in them.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def dev(service: str | None, command: tuple[str, ...], *, fresh: bool) -> None:
    """
    Start a real service for each URL that the config declares and neither the environment nor .env provides, then run
    the formation, which is every process type that the service or a Procfile declares, or COMMAND, with them. The first
    to end ends the rest, and its status is ours. Data is kept between runs, outside the code.

    \b
    Examples:
      $ twelvefactor dev
      $ twelvefactor dev -- uvicorn orders.app:app --reload
      $ twelvefactor dev --fresh -- pytest
    """
    from twelvefactor.testing.development import Development, wants

    pyproject = find_pyproject(Path.cwd())
    project = Path.cwd() if pyproject is None else pyproject.parent
    environ = {**_dotenv(project), **os.environ}
    named = service or click.get_current_context().find_root().obj
    found = described(named)
    commands = [Command(command)] if command else _formation(found, named, project)
    variables, parity = declared(found)
    with Development(project, fresh=fresh, say=_say) as development:
        provided = development.provide(wants(variables, environ, parity))
        defaults = {"PORT": _PORT, "TWELVEFACTOR_DEV": "1"}
        status = _run(commands, {**defaults, **environ, **provided})
    sys.exit(status)


def _say(line: str) -> None:
    click.echo(f"dev: {line}", err=True)


def _dotenv(project: Path) -> dict[str, str]:
    """What .env says; development is its only reader."""
    from dotenv import dotenv_values

    file = project / ".env"
    return {name: value for name, value in dotenv_values(file).items() if value is not None} if file.is_file() else {}


def described(named: str | None) -> Any:
    """The service, imported so that it needs no environment."""
    before = os.environ.get("TWELVEFACTOR_PHASE")
    try:
        return load_service(named, phase="describe")
    finally:
        if before is None:
            os.environ.pop("TWELVEFACTOR_PHASE", None)
        else:
            os.environ["TWELVEFACTOR_PHASE"] = before


def declared(found: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """The variables that the service's config declares, and its parity."""
    from twelvefactor.config import Config
    from twelvefactor.config.documents import variables_of

    cls = found if isinstance(found, type) else type(getattr(found, "config", None))
    variables = variables_of(cls) if issubclass(cls, Config) else ()
    return variables, dict(getattr(found, "declaration", {}).get("parity", {}))


def _formation(found: Any, named: str | None, project: Path) -> list[Command]:
    """Each process type; of those that serve, each next one has its port a hundred further."""
    from twelvefactor.cli.formation import types_of
    from twelvefactor.concurrency import procfile
    from twelvefactor.concurrency.formation import others_of

    declared = types_of(found) if hasattr(found, "process_types") else ()
    types = (*declared, *others_of(declared, procfile.read(project)))
    if not types:
        raise UsageError(
            "the service declares no process type; declare one with service.process(...), "
            "or name the command to run: twelvefactor dev -- uvicorn orders.app:app"
        )
    where = ("--service", named) if named else ()
    run = (sys.executable, "-m", "twelvefactor", "run", *where)
    ports = {each.name: _APART * number for number, each in enumerate(each for each in types if each.serves)}
    return [Command((*run, each.name) if each in declared else each.command, ports.get(each.name, 0)) for each in types]


class _Children:
    """The commands that run. Each is told of the signals that only we get, also of one that came while it started."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[bytes]] = []
        self._told = (signal.SIGTERM,) if sys.stdin.isatty() else (signal.SIGTERM, signal.SIGINT)  # a terminal tells
        self._came: list[tuple[int, int]] = []  # each signal, and how many it found

    def pass_on(self, received: int, _: Any) -> None:
        """The handler of both signals."""
        if received in self._told:
            self._came.append((received, len(self.running)))
            for child in self.running:
                child.send_signal(received)

    def start(self, command: Command, environ: Mapping[str, str]) -> None:
        """Run one more."""
        number = len(self.running)
        child = subprocess.Popen(command.words, env=command.environ(environ))  # noqa: S603 - typed by the developer
        self.running.append(child)
        for received, found in self._came:
            if found <= number:
                child.send_signal(received)

    def end(self) -> None:
        """Ask all of them to end, and wait until they have."""
        for child in self.running:
            child.terminate()
        for child in self.running:
            child.wait()


def _run(commands: Sequence[Command], environ: Mapping[str, str]) -> int:
    """Run *commands* until the first ends, hand them the signals that only we get; the first one's status."""
    children = _Children()
    previous = {number: signal.signal(number, children.pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for command in commands:
            children.start(command, environ)
        status = _first_status(children.running)
    except FileNotFoundError as error:
        _say(f"{error.filename} is not there")
        status = _NOT_FOUND
    finally:
        children.end()
        for number, handler in previous.items():
            signal.signal(number, handler)
    return status if status >= 0 else 128 - status


def _first_status(children: Sequence[subprocess.Popen[bytes]]) -> int:
    if len(children) == 1:
        return children[0].wait()
    while True:
        for child in children:
            status = child.poll()
            if status is not None:
                return status
        time.sleep(_LOOK_EVERY)
