"""Django's management commands, run as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import django
from django.core import management

if TYPE_CHECKING:
    from collections.abc import Callable


def runner(name: str) -> Callable[[list[str]], int] | None:
    """What runs the management command *name* with arguments; None where Django has none of that name."""
    django.setup()
    if name not in management.get_commands():
        return None

    def run(arguments: list[str]) -> int:
        try:
            management.execute_from_command_line(["twelvefactor admin", name, *arguments])
        except SystemExit as error:
            return error.code if isinstance(error.code, int) else int(bool(error.code))
        return 0

    return run
