"""Flask's own commands and those that an app registers, run as they are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
from flask.cli import FlaskGroup, ScriptInfo

if TYPE_CHECKING:
    from collections.abc import Callable


def runner(name: str) -> Callable[[list[str]], int] | None:
    """What runs the command *name* of the app that `FLASK_APP` names; None where it has none of that name."""
    group, info = FlaskGroup(), ScriptInfo(app_import_path=os.environ["FLASK_APP"])
    if group.get_command(click.Context(group, obj=info), name) is None:
        return None

    def run(arguments: list[str]) -> int:
        try:
            done = group.main([name, *arguments], prog_name="twelvefactor admin", obj=info, standalone_mode=False)
        except click.ClickException as error:
            error.show()
            return error.exit_code
        return done if isinstance(done, int) else 0

    return run
