"""Check and describe the declared config."""

from __future__ import annotations

import json
import os
import sys
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twelvefactor.cli.service import load_service
from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twelvefactor.config import Config

_STALE = 1


@click.group("config", short_help="Check and describe the declared config.")
def command() -> None:
    """
    Check and describe the config that the service declares; no command shows a secret.

    \b
    Examples:
      $ twelvefactor config check
      $ twelvefactor config example --write .env.example
    """


class _Declared:
    """The Config class of a service, and the environment as it was before the service was imported."""

    def __init__(self, named: str | None) -> None:
        self.environ: Mapping[str, str] = dict(os.environ)
        found = load_service(named, phase="describe")  # needs no environment
        _restore(self.environ)
        self.cls = _class_of(found)
        self.name: str = getattr(found, "name", None) or self.cls.__name__.lower()


def _restore(environ: Mapping[str, str]) -> None:
    """Undo the phase that the import was done in."""
    before = environ.get("TWELVEFACTOR_PHASE")
    if before is None:
        os.environ.pop("TWELVEFACTOR_PHASE", None)
    else:
        os.environ["TWELVEFACTOR_PHASE"] = before


def _class_of(found: Any) -> type[Config]:
    from twelvefactor.config import Config

    cls = found if isinstance(found, type) else type(getattr(found, "config", None))
    if not issubclass(cls, Config):
        raise UsageError("the service declares no config: pass a subclass of tf.Config to tf.Service")
    return cls


def _with_config(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--service``, and what the service declares as its first argument."""

    def wrapped(*args: Any, service: str | None, **kwargs: Any) -> Any:
        return function(_Declared(service or click.get_current_context().find_root().obj), *args, **kwargs)

    option = click.option("--service", metavar="MODULE:ATTR", help="Where the service, or its Config class, is.")
    return option(update_wrapper(wrapped, function))


_format = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="For people or programs."
)


@command.command()
@_format
@_with_config
def check(declared: _Declared, form: str) -> None:
    """
    Check that the environment provides the config; exits 78 and names every problem if it does not.

    \b
    Examples:
      $ twelvefactor config check
      $ env DATABASE_URL=postgresql://db/orders twelvefactor config check --format json
    """
    from twelvefactor.config.loading import plan_of
    from twelvefactor.config.misspelt import misspelt
    from twelvefactor.exceptions import ConfigError

    try:
        config = declared.cls.load(declared.environ)
    except ConfigError as error:
        if form == "text":
            raise
        click.echo(json.dumps({"ok": False, **error.as_event()}))
        sys.exit(error.exit_code)
    near = list(misspelt(declared.environ, plan_of(declared.cls).accepted))
    if form == "json":
        click.echo(json.dumps({"ok": True, "variables": len(plan_of(type(config)).leaves), "misspelt": dict(near)}))
        return
    for name, right in near:
        click.echo(f"{name} is set and nothing reads it; {right} is declared", err=True)
    click.echo(f"The environment provides {declared.cls.__name__}: {len(plan_of(type(config)).leaves)} variables.")


@command.command()
@_format
@_with_config
def show(declared: _Declared, form: str) -> None:
    """
    Show each variable, its value with secrets masked, and where the value came from.

    \b
    Example:
      $ twelvefactor config show
    """
    from twelvefactor.config import documents

    rows = documents.shown(declared.cls.load(declared.environ))
    if form == "json":
        click.echo(json.dumps(rows))
        return
    widths = [max((len(row[key]) for row in rows), default=0) for key in ("variable", "value")]
    for row in rows:
        click.echo(f"{row['variable']:<{widths[0]}}  {row['value']:<{widths[1]}}  {row['from']}")


def _checked(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command ``--write FILE`` and ``--check FILE``."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        path = click.Path(dir_okay=False, path_type=Path)
        write = click.option("--write", type=path, help=f"Write it to this file, such as {default}.")
        return write(click.option("--check", type=path, help="Exit 1 if this file is not up to date.")(function))

    return decorate


def _deliver(text: Callable[[str], str], name: str, write: Path | None, check: Path | None) -> None:
    """Print, write or compare what *text* makes of a page."""
    if check is not None:
        page = check.read_text(encoding="utf-8") if check.is_file() else ""
        if text(page) != page:
            click.echo(f"{check} is stale; run: twelvefactor config {name} --write {check}", err=True)
            sys.exit(_STALE)
    elif write is not None:
        page = write.read_text(encoding="utf-8") if write.is_file() else ""
        write.write_text(text(page), encoding="utf-8")
    else:
        click.echo(text(""), nl=False)


@command.command()
@_checked(".env.example")
@_with_config
def example(declared: _Declared, write: Path | None, check: Path | None) -> None:
    """
    Write an .env.example with every variable; --check fails in CI when the file is stale.

    \b
    Examples:
      $ twelvefactor config example --write .env.example
      $ twelvefactor config example --check .env.example
    """
    from twelvefactor.config import documents

    text = documents.example(declared.cls)
    _deliver(lambda _: text, "example", write, check)


@command.command()
@_checked("docs/config.md")
@_with_config
def docs(declared: _Declared, write: Path | None, check: Path | None) -> None:
    """
    Write a Markdown table of every variable, between two marks where the page has them.

    The marks are <!-- twelvefactor config docs --> and <!-- /twelvefactor config docs -->.

    \b
    Examples:
      $ twelvefactor config docs --write docs/config.md
      $ twelvefactor config docs --check docs/config.md
    """
    from twelvefactor.config import documents

    text = documents.table(declared.cls)
    _deliver(lambda page: documents.inserted(page, text), "docs", write, check)


@command.command()
@_with_config
def schema(declared: _Declared) -> None:
    """
    Print a JSON Schema of the environment.

    \b
    Example:
      $ twelvefactor config schema > config.schema.json
    """
    from twelvefactor.config import documents

    click.echo(json.dumps(documents.schema(declared.cls, declared.name), indent=2))


@command.command()
@click.option("--name", help="What the objects are called; the service's name unless given.")
@_with_config
def kubernetes(declared: _Declared, name: str | None) -> None:
    """
    Print a ConfigMap and a Secret to fill in, and the patch of a Deployment that reads both.

    \b
    Example:
      $ twelvefactor config kubernetes > deploy/config.yaml
    """
    from twelvefactor.config import documents

    click.echo(documents.kubernetes(declared.cls, name or declared.name), nl=False)
