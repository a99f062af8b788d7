"""Build the manifest of a release, and keep the ledger of releases."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twelvefactor._core.secrets import SECRETS
from twelvefactor.cli.service import find_pyproject, with_service
from twelvefactor.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twelvefactor.build_release_run.ledger import Entry, Ledger


@click.group("release", short_help="The build manifest and the ledger of releases.")
def command() -> None:
    """
    Build + config = release: write what was built, and keep a ledger of what was released.

    \b
    Examples:
      $ twelvefactor release build --require-clean
      $ twelvefactor release show
      $ twelvefactor release diff v41 v42
    """


@command.command()
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to; beside pyproject by default."
)
@click.option("--require-clean", is_flag=True, help="Exit 65 where tracked files have changes.")
@click.option("--stdout", "to_stdout", is_flag=True, help="Print it and write nothing.")
def build(output: Path | None, require_clean: bool, to_stdout: bool) -> None:
    """
    Write twelvefactor-build.json: commit, sources, lock, Python and the declaration; the same for the same tree.

    \b
    Examples:
      $ twelvefactor release build
      $ twelvefactor release build --require-clean --output orders/twelvefactor-build.json
    """
    from twelvefactor._core.declaration import MANIFEST
    from twelvefactor.build_release_run import manifest

    pyproject = find_pyproject(Path.cwd())
    root = Path.cwd() if pyproject is None else pyproject.parent
    try:
        made = manifest.build(root, os.environ)
    except ValueError as error:
        raise UsageError(f"{pyproject}: not valid TOML: {error}") from error
    for line in (*_warnings(made), *_tracked_dotenvs(root)):
        click.echo(line, err=True)
    if require_clean and made["dirty"] is not False:
        click.get_current_context().exit(os.EX_DATAERR)
    if to_stdout:
        click.echo(json.dumps(made, indent=1, sort_keys=True, default=str))
        return
    target = output or root / MANIFEST
    try:
        manifest.write(target, made)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror}") from None
    click.echo(f"{target}: commit {(made['commit'] or 'unknown')[:12]}{', dirty' if made['dirty'] else ''}")


def _tracked_dotenvs(root: Path) -> list[str]:
    """The .env files that version control would put into the build (TF304)."""
    from twelvefactor.config.dotenv import tracked_in

    index = root / ".git" / "index"
    try:
        found = tracked_in(index.read_bytes()) if index.is_file() else []
    except (OSError, ValueError):
        return ["warning: the repository's index cannot be read, so nobody knows of tracked .env files (TF304)"]
    return [f"warning: {name} is tracked by version control (TF304)" for name in found]


def _warnings(made: dict[str, Any]) -> list[str]:
    said = []
    if made["commit"] is None:
        said.append("warning: nobody can say the commit: no git repository and no release variable (TF101)")
    if made["dirty"]:
        said.append(f"warning: tracked files have changes: {', '.join(made['changed'][:5])} (TF102)")
    if made["dirty"] is None:
        said.append("warning: git cannot say whether the tree is clean (TF102 will be unknown)")
    main = made["main"]
    if main["merged"] is False:
        said.append(f"warning: the commit is {main['ahead']} away from {main['branch']}, which lacks it (TF103)")
    if main["merged"] is None and made["dirty"] is not None:
        said.append(f"warning: {main['because']} (TF103 will be unknown)")
    said += [
        f"warning: {copy['where']} is a copy of {copy['name']}: {copy['because']} (TF105)" for copy in made["copies"]
    ]
    lock = made["lock"]
    if lock is None:
        said.append("warning: there is no lock file (TF201)")
    elif lock["problem"]:
        said.append(f"warning: {lock['problem']} (TF201)")
    return said


@command.command()
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", help="For people or programs.")
@click.argument("name", required=False)
@with_service()
def show(service: Any, shape: str, name: str | None) -> None:
    """
    Say which release this is: commit, build, config; with NAME, what the ledger knows of that release.

    \b
    Examples:
      $ twelvefactor release show
      $ twelvefactor release show v42 --format json
    """
    facts = _own(service) if name is None else _recorded(service, name)
    if shape == "json":
        click.echo(json.dumps(facts, default=str))
        return
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        click.echo(f"{key:<{width}}  {'unknown' if value is None else value}")


def _own(service: Any) -> dict[str, Any]:
    release = service.release
    manifest = service.manifest
    return {
        "service": service.name,
        "release": release.name,
        "named_by": release.named_by,
        "digest": release.digest,
        "commit": release.commit,
        "branch": manifest.get("branch"),
        "dirty": manifest.get("dirty"),
        "build": release.build,
        "config": release.config,
        "lock": (manifest.get("lock") or {}).get("file"),
        "python": manifest.get("python"),
        "built_at": release.built_at,
    }


def _recorded(service: Any, name: str) -> dict[str, Any]:
    with _ledger(service) as ledger:
        entry = _must_find(ledger, service, name)
    facts = {key: value for key, value in entry.facts.items() if key not in {"packages", "variables"}}
    return {
        "service": entry.service,
        "release": entry.name,
        "digest": entry.digest,
        "recorded_at": entry.at,
        **facts,
        "packages": len(entry.facts.get("packages") or {}),
        "variables": ", ".join(sorted(entry.facts.get("variables") or {})),
    }


# -- the ledger --------------------------------------------------------------------------------------------------------


@contextmanager
def _ledger(service: Any) -> Iterator[Ledger]:
    """The ledger of *service*; what the database says is one line of ours."""
    from sqlalchemy.exc import SQLAlchemyError

    from twelvefactor.build_release_run.ledger import opened, resource_for
    from twelvefactor.exceptions import ResourceUnavailable

    resource = resource_for(service)
    try:
        with opened(resource) as ledger:
            yield ledger
    except SQLAlchemyError as error:
        line = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise ResourceUnavailable(f"the ledger in {resource.name} ({resource.url}): {SECRETS.mask(line)}") from None


def _must_find(ledger: Ledger, service: Any, name: str) -> Entry:
    found = ledger.find(service.name, name)
    if found is None:
        known = ", ".join(entry.name for entry in ledger.releases(service.name, limit=5)) or "none"
        raise UsageError(f"the ledger knows no release {name!r} of {service.name}; the newest are: {known}")
    return found


@command.command()
@with_service()
def init(service: Any) -> None:
    """
    Make the ledger in the attached SQL database, in a schema of its own where there are schemas; idempotent.

    \b
    Example:
      $ twelvefactor release init
    """
    with _ledger(service) as ledger:
        made = ledger.init()
        where = ledger.schema or "tables twelvefactor_*"
    click.echo(f"{'made' if made else 'there is'} the ledger of releases ({where})")


@command.command()
@with_service()
def record(service: Any) -> None:
    """
    Append this release to the ledger, where it is not the newest already; for a release phase.

    \b
    Example:
      $ twelvefactor release record
    """
    from twelvefactor.build_release_run.recording import record as append

    with _ledger(service) as ledger:
        entry = append(ledger, service, once="newest")
    name = service.release.name or service.release.digest
    click.echo(f"{name} is the newest already" if entry is None else f"{entry.number}  {entry.name}  {entry.digest}")


@command.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@click.option("--runs", is_flag=True, help="What ran: admin processes and shells.")
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", help="For people or programs.")
@with_service()
def list_(service: Any, limit: int, runs: bool, shape: str) -> None:
    """
    List the recorded releases, the newest first.

    \b
    Examples:
      $ twelvefactor release list
      $ twelvefactor release list --runs
    """
    kinds = ("run.started", "run.ended") if runs else ("release",)
    with _ledger(service) as ledger:
        entries = ledger.entries(service.name, *kinds, limit=limit)
    if shape == "json":
        click.echo(json.dumps([asdict(entry) for entry in entries], default=str))
        return
    for entry in entries:
        facts = entry.facts
        told = (
            f"{entry.kind[4:]} by {facts.get('who')} {facts.get('outcome') or ''}"
            if runs
            else f"{str(facts.get('commit') or 'unknown')[:12]}  {'dirty' if facts.get('dirty') else ''}"
        )
        click.echo(f"{entry.number:>5}  {entry.at}  {entry.name:<20}  {entry.digest}  {told}".rstrip())


@command.command()
@click.argument("one")
@click.argument("other")
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", help="For people or programs.")
@with_service()
def diff(service: Any, one: str, other: str, shape: str) -> None:
    """
    Say what changed from one recorded release to another: commits, dependencies, names of variables.

    \b
    Example:
      $ twelvefactor release diff v41 v42
    """
    from twelvefactor.build_release_run.recording import difference

    with _ledger(service) as ledger:
        found = difference(_must_find(ledger, service, one), _must_find(ledger, service, other))
    if shape == "json":
        click.echo(json.dumps(found))
        return
    click.echo(f"commits       {found['commits'] or 'the same'}")
    if found["python"]:
        click.echo(f"python        {found['python'][0]} → {found['python'][1]}")
    for what in ("dependencies", "variables"):
        for how, sign in (("added", "+"), ("removed", "-"), ("changed", "~")):
            for name in found[what][how]:
                click.echo(f"{what:<12}  {sign} {name}")
    if not found["values_compared"]:
        click.echo("values are not compared: both releases need TWELVEFACTOR_LEDGER_KEY", err=True)


@command.command()
@with_service()
def verify(service: Any) -> None:
    """
    Check that nothing in the ledger was changed or taken away; exits 1 and says what, where it was.

    \b
    Example:
      $ twelvefactor release verify
    """
    with _ledger(service) as ledger:
        wrong = ledger.verify()
    for line in wrong:
        click.echo(line)
    if wrong:
        click.get_current_context().exit(1)
    click.echo("the ledger is whole")


@command.command()
@click.option("--platform", type=click.Choice(["kubernetes", "heroku"]), required=True, help="Whose command to print.")
@click.option("--revision", help="The revision of the Deployment, as `kubectl rollout history` lists it.")
@click.argument("name", required=False)
@with_service()
def rollback(service: Any, platform: str, revision: str | None, name: str | None) -> None:
    """
    Print the one command that goes back to NAME, or to the release before the newest, if the ledger knows it.

    \b
    Examples:
      $ twelvefactor release rollback --platform heroku v41
      $ twelvefactor release rollback --platform kubernetes
    """
    from twelvefactor.build_release_run.recording import rollback_command

    with _ledger(service) as ledger:
        releases = ledger.releases(service.name)
        if name is not None:
            target = _must_find(ledger, service, name)
        else:
            before = [entry for entry in releases if releases and entry.digest != releases[0].digest]
            if not before:
                raise UsageError(f"the ledger knows no release of {service.name} to go back to")
            target = before[0]
    click.echo(f"{target.name}: commit {str(target.facts.get('commit') or 'unknown')[:12]}, {target.at}", err=True)
    click.echo(rollback_command(platform, service.name, target.name, revision))
