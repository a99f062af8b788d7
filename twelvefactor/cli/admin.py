"""Run an admin process that the service declares."""

from __future__ import annotations

import difflib
import os
from typing import Any

import click

from twelvefactor.cli import _one_off
from twelvefactor.cli.service import load_service
from twelvefactor.exceptions import TwelveFactorError, UsageError


class Admins(click.Group):
    """The admin processes of a service, as commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names that the service declares; none where no service is named, so that help can be had anywhere."""
        try:
            return sorted(each.name for each in _service(ctx).admins)
        except UsageError:
            return []

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of one, made from its function; else one of Django's or Flask's own."""
        from twelvefactor.cli._options import command

        service = _service(ctx)
        process = service.admins.get(cmd_name)
        if process is None:
            return _of_framework(service, cmd_name)
        return command(process.name, process.function, process.summary, lambda given: _run(service, process, given))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; a name that is not there is told what is."""
        name = args[0]
        found = self.get_command(ctx, name)
        if found is None:
            names = self.list_commands(ctx)
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"declared are: {', '.join(names) or 'none'}"
            raise UsageError(f"no admin process is called {name!r}; {hint}")
        return name, found, args[1:]

    def invoke(self, ctx: click.Context) -> Any:
        """As click does, or print the manifest of what would be run."""
        if ctx.params.get("manifest"):
            words = [*ctx._protected_args, *ctx.args]  # noqa: SLF001 - where click keeps the subcommand
            if not words:
                raise UsageError("name the admin process that the manifest shall run")
            self.resolve_command(ctx, list(words))
            click.echo(_one_off.job(_service(ctx), words, ctx.params["image"] or _one_off.image_of()))
            return None
        return super().invoke(ctx)


@click.command("admin", cls=Admins, short_help="Run a one-off admin process of the same release.", no_args_is_help=True)
@click.option("--service", metavar="MODULE:ATTR", help="Where the service is.")
@click.option("--manifest", type=click.Choice(["kubernetes"]), help="Print the Job that runs it in the cluster.")
@click.option("--image", help="The image of the Job; `IMAGE` of the environment by default.")
def admin(service: str | None, manifest: str | None, image: str | None) -> None:
    """
    Run a function that the service declares with @service.admin, in the same release and config as the app.

    \b
    Examples:
      $ twelvefactor admin migrate --to head
      $ twelvefactor admin --manifest kubernetes migrate --to head | kubectl create -f -
    """


def _service(ctx: click.Context) -> Any:
    """The service, imported once; describing commands and `--help` start nothing."""
    found = ctx.meta.get("twelvefactor.service")
    if found is None:
        found = load_service(ctx.params.get("service") or ctx.find_root().obj)
        found._import_included()  # noqa: SLF001 - the modules that declare admin processes
        ctx.meta["twelvefactor.service"] = found
    return found


def _run(service: Any, process: Any, given: dict[str, Any]) -> None:
    arguments, named = _one_off.bound(process.function, given)
    _ended(service, process.name, given, lambda: _one_off.call(process.function, arguments, named), process.exclusive)


def _ended(service: Any, name: str, given: dict[str, Any], run: Any, exclusive: bool = False) -> None:
    """Run it, close the service, and leave with its status: an int that it returns, 1 where it raised."""
    status: Any = 1
    try:
        with _one_off.one_off(service, "admin", name, given, exclusive=exclusive):
            status = run()
    except (TwelveFactorError, click.exceptions.Exit):
        raise
    except Exception as error:  # noqa: BLE001 - the event of the work has told all of it
        click.echo(f"{name} failed: {type(error).__name__}; the event above says more", err=True)
    finally:
        service.close()
    if isinstance(status, int) and not isinstance(status, bool) and status:
        click.get_current_context().exit(status)


def _of_framework(service: Any, name: str) -> click.Command | None:
    """A management command of Django's, or a command of Flask's, by its own name and with its own options."""
    runner = _django(name) or _flask(name)
    if runner is None:
        return None

    def run(arguments: tuple[str, ...]) -> None:
        _ended(service, name, {"arguments": list(arguments)}, lambda: runner(list(arguments)))

    words = click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)
    settings = {"ignore_unknown_options": True, "help_option_names": []}
    return click.Command(name, params=[words], callback=run, context_settings=settings)


def _django(name: str) -> Any:
    if not os.environ.get("DJANGO_SETTINGS_MODULE"):
        return None
    from twelvefactor.integrations._django_commands import runner

    return runner(name)


def _flask(name: str) -> Any:
    if not os.environ.get("FLASK_APP"):
        return None
    from twelvefactor.integrations._flask_commands import runner

    return runner(name)
