"""The `twelvefactor` command: one module per subcommand, loaded when it is used."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from twelvefactor._core.lazy import load
from twelvefactor.exceptions import TwelveFactorError

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMANDS = {
    "admin": "twelvefactor.cli.admin:admin",
    "check": "twelvefactor.cli.check:check",
    "checklist": "twelvefactor.cli.checklist:checklist",
    "config": "twelvefactor.cli.config:command",
    "dev": "twelvefactor.cli.dev:dev",
    "drill": "twelvefactor.cli.drill:drill",
    "explain": "twelvefactor.cli.explain:explain",
    "formation": "twelvefactor.cli.formation:formation",
    "probe": "twelvefactor.cli.probe:probe",
    "run": "twelvefactor.cli.run:run",
    "observe": "twelvefactor.cli.observe:observe",
    "release": "twelvefactor.cli.release:command",
    "shell": "twelvefactor.cli.shell:shell",
}
"""Where each command lives; a command is imported when it is called or listed."""


class Refusal(click.ClickException):
    """An error of ours, said without a traceback; the process ends with the error's own status."""

    def __init__(self, error: TwelveFactorError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]  # each error has its own


@contextmanager
def _said_kindly() -> Iterator[None]:
    """Give usage errors the status that the platform knows, and our own errors no traceback."""
    try:
        yield
    except click.UsageError as error:
        error.exit_code = os.EX_USAGE  # type: ignore[misc]  # click says 2, which a platform does not know
        raise
    except TwelveFactorError as error:
        raise Refusal(error) from None


class Commands(click.Group):
    """A group whose commands are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, without importing anything."""
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, imported now."""
        home = COMMANDS.get(cmd_name)
        command: click.Command | None = super().get_command(ctx, cmd_name) if home is None else load(home)
        return command

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """As click does, with our exit statuses."""
        with _said_kindly():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does, with our exit statuses."""
        with _said_kindly():
            return super().invoke(ctx)


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"twelvefactor {_version()}")
        ctx.exit()


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("twelvefactor-runtime")
    except metadata.PackageNotFoundError:
        return "from a checkout that is not installed"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version, help="Say which.")
@click.option(
    "--service",
    metavar="MODULE:ATTR",
    envvar="TWELVEFACTOR_SERVICE",
    help="Where the service is; else [tool.twelvefactor] service in the nearest pyproject.toml.",
)
@click.pass_context
def main(ctx: click.Context, service: str | None) -> None:
    """
    Make a service's process a twelve-factor process, and prove it.

    \b
    Example:
      $ twelvefactor explain TF601
    """
    ctx.obj = service
