"""A Python shell inside the running release, with a record of what was typed."""

from __future__ import annotations

import code
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from twelvefactor._core.secrets import SECRETS
from twelvefactor.cli import _one_off
from twelvefactor.cli.service import with_service
from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from types import CodeType


@click.command(short_help="A Python shell in the same release and config, recorded.")
@click.option("--who", help="Who you are; asked for in a deploy.")
@click.option("--why", help="Why; asked for in a deploy.")
@click.option("--plain", is_flag=True, help="The plain console, where IPython is installed too.")
@with_service()
def shell(service: Any, who: str | None, why: str | None, plain: bool) -> None:
    """
    Open a shell with `service`, `config` and each attached resource at hand; every statement is an event on stderr.

    \b
    Examples:
      $ twelvefactor shell
      $ echo 'print(len(orders.all()))' | twelvefactor shell --who jo --why "INC-42"
    """
    terminal = sys.stdin.isatty()
    if service.deploy is not None:
        who, why = _asked(who, why, service.deploy, terminal)
    try:
        with _one_off.one_off(service, "shell", "shell", {}, who=who or "", why=why or ""):
            names = at_hand(service)
            if terminal and not plain and find_spec("IPython") is not None:
                _ipython(service, names)
            else:
                Console(service, names, terminal=terminal).converse()
    finally:
        service.close()


def _asked(who: str | None, why: str | None, deploy: str, terminal: bool) -> tuple[str, str]:
    if terminal:
        click.secho(f"This is the deploy {deploy}; what you type is recorded.", fg="red", err=True)
        who = who or click.prompt("Who are you", err=True)
        why = why or click.prompt("Why", err=True)
    if not who or not why:
        raise UsageError(f"this is the deploy {deploy}: say --who and --why; both are recorded")
    return who, why


def at_hand(service: Any) -> dict[str, Any]:
    """What the shell knows by name: the service, its config, each attached resource by its own name."""
    names = {each.name.replace("-", "_"): each.client for each in service.resources}
    return {**names, "service": service, "config": service.config, "log": service.log}


def said(service: Any, statement: str) -> None:
    """One statement, as an event; secrets masked."""
    service.event("info", "twelvefactor.shell.statement", statement=SECRETS.mask(statement.rstrip())[:4000])


class Console(code.InteractiveConsole):
    """The plain console: prompts and errors on stderr, stdout for the data."""

    def __init__(self, service: Any, names: dict[str, Any], *, terminal: bool) -> None:
        super().__init__(names, filename="<shell>")
        self._service = service
        self._terminal = terminal
        self.failed = False

    def converse(self) -> None:
        """Read and run until the input ends; where nobody sits there, an error ends it with status 1."""
        if self._terminal:
            self.interact(
                banner=f"{self._service.name} {self._service.release.name or ''}: {', '.join(self.locals)}", exitmsg=""
            )
            return
        source = sys.stdin.read()
        said(self._service, source)
        try:
            compiled = compile(source, "<shell>", "exec")
        except SyntaxError:
            self.showsyntaxerror("<shell>")
            click.get_current_context().exit(1)
        self.runcode(compiled)
        if self.failed:
            click.get_current_context().exit(1)

    def runcode(self, compiled: CodeType) -> None:
        """Run a whole statement, after it was told."""
        if self._terminal:
            said(self._service, "\n".join(self.buffer))
        super().runcode(compiled)

    def showtraceback(self) -> None:
        """As the console does; and remember it."""
        self.failed = True
        super().showtraceback()

    def raw_input(self, prompt: str = "") -> str:
        """Ask on stderr."""
        sys.stderr.write(prompt)
        sys.stderr.flush()
        return input()


def _ipython(service: Any, names: dict[str, Any]) -> None:
    from IPython.terminal import embed

    make: Any = embed.InteractiveShellEmbed
    embedded = make(banner1=f"{service.name} {service.release.name or ''}: {', '.join(names)}")
    embedded.events.register("pre_run_cell", lambda info: said(service, info.raw_cell))
    embedded(local_ns=names, module=sys.modules["__main__"])
