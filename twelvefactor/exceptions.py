"""
What can go wrong, and how a process ends because of it.

TwelveFactorError                      exit 70
├── ConfigError                        exit 78
├── URLError            (ValueError)   exit 78
├── UsageError                         exit 64
├── MissingExtraError   (ImportError)  exit 69
├── ResourceUnavailable                exit 69
├── LockHeld                           exit 75
├── PhaseError                         exit 78
├── FrozenConfigError   (AttributeError) exit 70
├── FactorViolation                    exit 70, or what its rule says
└── WorkError           (RuntimeError) exit 70
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twelvefactor.factor import Finding


class TwelveFactorError(Exception):
    """Something that keeps the process from being twelve-factor; says what, where and the next step."""

    exit_code: ClassVar[int] = 70  # EX_SOFTWARE


class Problem:
    """
    One thing that is wrong with the environment; never holds a value.

    Attributes:
        names: The variables that would be accepted, spelt as they must be set.
        expected: What the config wants there.
        wrong: What was found instead.
        looked: Where it was looked for.
        hint: The next step, or an empty string.
    """

    __slots__ = ("expected", "hint", "looked", "names", "wrong")

    def __init__(
        self, names: tuple[str, ...], wrong: str, *, expected: str = "", looked: tuple[str, ...] = (), hint: str = ""
    ) -> None:
        self.names = names
        self.wrong = wrong
        self.expected = expected
        self.looked = looked
        self.hint = hint

    def __str__(self) -> str:
        line = f"{' or '.join(self.names)}: {self.wrong}"
        if self.expected and self.expected not in self.wrong:
            line += f"; expected {self.expected}"
        if self.looked:
            line += f" (looked in {', '.join(self.looked)})"
        if self.hint:
            line += f". {self.hint}"
        return line

    def __repr__(self) -> str:
        return f"Problem({str(self)!r})"

    def as_dict(self) -> dict[str, Any]:
        """The same as data, for an event."""
        return {
            "variables": list(self.names),
            "wrong": self.wrong,
            "expected": self.expected,
            "looked": list(self.looked),
            "hint": self.hint,
        }


class ConfigError(TwelveFactorError):
    """The environment does not provide the declared config; every problem is listed at once."""

    exit_code = 78  # EX_CONFIG, so a platform can tell it from a crash

    def __init__(self, problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__(self._text())

    def _text(self) -> str:
        many = "problem" if len(self.problems) == 1 else "problems"
        lines = [f"the environment does not provide the declared config ({len(self.problems)} {many}):"]
        return "\n".join([*lines, *(f"  {problem}" for problem in self.problems)])

    def as_event(self) -> dict[str, Any]:
        """What to say on the event stream: an event name and the problems as data."""
        return {
            "event": "twelvefactor.config.refused",
            "message": f"the environment does not provide the declared config ({len(self.problems)})",
            "problems": [problem.as_dict() for problem in self.problems],
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.problems,))


class FrozenConfigError(TwelveFactorError, AttributeError):
    """Something assigned to the config, which does not change while the process runs."""


class URLError(TwelveFactorError, ValueError):
    """A backing service's URL is wrong; names the part, never the text."""

    exit_code = 78


class UsageError(TwelveFactorError):
    """The command was called in a way it does not understand."""

    exit_code = 64  # EX_USAGE


class MissingExtraError(TwelveFactorError, ImportError):
    """An optional library was asked for and is not installed."""

    exit_code = 69

    def __init__(self, extra: str, library: str | None = None) -> None:
        self.extra = extra
        needed = library or extra
        super().__init__(f"{needed} is not installed; add it with: pip install 'twelvefactor-runtime[{extra}]'")


class ResourceUnavailable(TwelveFactorError):  # noqa: N818 - the state's name, like ConnectionRefusedError
    """An attached backing service did not answer in time."""

    exit_code = 69  # EX_UNAVAILABLE


class LockHeld(TwelveFactorError):  # noqa: N818 - as above
    """Somebody else holds the lock; trying again later may work."""

    exit_code = 75  # EX_TEMPFAIL


class PhaseError(TwelveFactorError):
    """Something was used in a phase that does not have it, such as a secret while the image is built."""

    exit_code = 78


class WorkError(TwelveFactorError, RuntimeError):
    """A unit of work was entered twice or left by somebody who never entered it."""


class FactorViolation(TwelveFactorError):  # noqa: N818 - a fixed public name
    """An enforced rule does not hold; carries the findings."""

    def __init__(self, findings: Sequence[Finding], *, exit_code: int | None = None) -> None:
        self.findings = tuple(findings)
        if exit_code is not None:
            self.exit_code = exit_code  # type: ignore[misc]  # the rule knows better than the class
        super().__init__("\n".join(str(finding) for finding in self.findings))
