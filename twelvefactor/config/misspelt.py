"""TF307: a variable that nothing declares and whose name is one edit from a declared one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twelvefactor.config.known import is_known
from twelvefactor.config.rules import TF307
from twelvefactor.factor import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from twelvefactor._core.process import Process

_SHORTEST = 4  # of shorter names everything is a neighbour


class Misspelt:
    """Compares the names that are set with the names that are declared."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def install(self) -> None:
        """Look once."""
        try:
            self._look()
        except Exception as error:  # noqa: BLE001 - a fault of ours never stops the start
            self._process.fault("misspelt variables", error)

    def remove(self) -> None:
        """Nothing was installed."""

    def _look(self) -> None:
        config = self._process.config
        if config is None:
            self._process.evidence.could_not_look(TF307, "no Config class was given to tf.Service")
            return
        from twelvefactor.config.loading import plan_of

        for name, declared in misspelt(self._process.environ, plan_of(type(config)).accepted):
            message = f"{name} is set and nothing reads it; {declared} is declared"
            self._process.evidence.report(
                Finding(TF307, message, name, hint=f"rename {name} to {declared}, or unset it")
            )
        self._process.evidence.looked(TF307, "the names of all variables")


def misspelt(names: Iterable[str], accepted: Iterable[str]) -> Iterator[tuple[str, str]]:
    """
    Each of *names* that is one edit from one of *accepted*, with that one.

    >>> list(misspelt(["DATABASE_URI", "API_KEY_2", "PATH"], ["DATABASE_URL", "API_KEY_1"]))
    [('DATABASE_URI', 'DATABASE_URL')]
    """
    declared = {name.upper() for name in accepted}
    read = declared | {f"{name}_FILE" for name in declared}
    for name in names:
        upper = name.upper()
        if upper in read or is_known(name) or len(name) < _SHORTEST:
            continue
        near = next((other for other in sorted(declared) if one_edit(upper, other)), None)
        if near is not None:
            yield name, near


def one_edit(one: str, other: str) -> bool:
    """
    Whether a letter too many, too few, wrong or swapped with its neighbour makes *one* of *other*; a digit is a name.

    >>> one_edit("WORKRES", "WORKERS"), one_edit("WORKER", "WORKERS"), one_edit("KEY_1", "KEY_2")
    (True, True, False)
    """
    if one == other or abs(len(one) - len(other)) > 1 or min(len(one), len(other)) < _SHORTEST:
        return False
    at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    left, right = one[at:], other[at:]
    if (left[:1] + right[:1]).strip("0123456789") != left[:1] + right[:1]:
        return False
    if len(one) == len(other):
        return left[1:] == right[1:] or (left[:2] == right[:2][::-1] and left[2:] == right[2:])
    return left[1:] == right or left == right[1:]
