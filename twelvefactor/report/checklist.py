"""The methodology's six questions, each answered from the rules behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twelvefactor.factor import Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twelvefactor.factor import Ruling


@dataclass(frozen=True, slots=True)
class Question:
    """
    A question that is answered yes or no.

    Attributes:
        text: As one asks it.
        needed: The rules that must have been looked at for a yes.
        also: Rules, or prefixes of them, that make it a no where they fail.
    """

    text: str
    needed: tuple[str, ...]
    also: tuple[str, ...] = ()


QUESTIONS = (
    Question(
        "Can a new developer clone it and run it in one command?", ("TF101", "TF201", "TF203"), ("TF1", "TF2", "TF10")
    ),
    Question("Do deploys differ by their environment only?", ("TF301", "TF302", "TF303"), ("TF3",)),
    Question(
        "Are releases immutable and tagged, and is a rollback one command?",
        ("TF501", "TF502", "TF503", "TF504"),
        ("TF5",),
    ),
    Question("Does it survive that any process dies?", ("TF601", "TF602", "TF603", "TF605"), ("TF6", "TF9")),
    Question("Do logs go to stdout?", ("TF1101", "TF1102"), ("TF11",)),
    Question("Are admin tasks in version control?", ("TF101", "TF1201", "TF1202"), ("TF12",)),
)
"""The six, in the order of the factors."""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What is known of a question.

    Attributes:
        question: The question.
        word: ``yes``, ``no`` or ``unknown``.
        rulings: Those that decide it: what failed, else what nobody looked at, else what was looked at.
    """

    question: Question
    word: str
    rulings: tuple[Ruling, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as data."""
        rules = [
            {"id": ruling.rule.id, "verdict": ruling.verdict.value, "because": ruling.because, "fix": ruling.rule.fix}
            for ruling in self.rulings
        ]
        return {"question": self.question.text, "answer": self.word, "rules": rules}


def answers(rulings: Iterable[Ruling]) -> list[Answer]:
    """The six answers from what was seen; a rule that nobody looked at is never a yes."""
    known = tuple(rulings)
    return [_answer(question, known) for question in QUESTIONS]


def _answer(question: Question, rulings: Sequence[Ruling]) -> Answer:
    about = [ruling for ruling in rulings if _is_about(ruling.rule.id, question)]
    failed = [
        ruling for ruling in about if ruling.verdict is Verdict.FAIL and ruling.rule.severity is not Severity.INFO
    ]
    if failed:
        return Answer(question, "no", tuple(failed))
    needed = [ruling for ruling in about if ruling.rule.id in question.needed]
    blind = [ruling for ruling in needed if ruling.verdict is Verdict.UNKNOWN]
    if blind or len(needed) < len(question.needed):
        return Answer(question, "unknown", tuple(blind))
    return Answer(question, "yes", tuple(needed))


def _is_about(rule_id: str, question: Question) -> bool:
    """Whether a rule is one of the question's; ``TF1`` is factor I and not factor XI."""
    return rule_id in question.needed or rule_id[:-2] in question.also


def status(found: Iterable[Answer]) -> int:
    """
    The exit status: 0 all yes, 1 a no, 3 unknown.

    >>> status([]), status([Answer(QUESTIONS[0], "unknown", ())])
    (0, 3)
    """
    words = {answer.word for answer in found}
    return 1 if "no" in words else 3 if "unknown" in words else 0
