"""Every rule of the twelve rooms, and the page that explains it."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from twelvefactor.factor import FACTORS

if TYPE_CHECKING:
    from twelvefactor.factor import Rule

ROOMS = tuple(factor.page.replace("-", "_") for factor in FACTORS)
"""The twelve rooms by their import names, in the manifesto's order."""

_PACKAGE = Path(__file__).resolve().parent.parent
_PAGES = (_PACKAGE / "_pages", _PACKAGE.parent / "docs" / "rules")  # in a wheel; in a checkout

_BLOCK = re.compile(r"^```(\w+) (\S+)$", re.MULTILINE)


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, in order of the factors and ids."""
    found = (rule for room in ROOMS for rule in import_module(f"twelvefactor.{room}").RULES)
    return tuple(sorted(found, key=lambda rule: (rule.factor.number, rule.id)))


def facts(rule: Rule) -> str:
    """What is known of *rule* in any case, as a Markdown paragraph: the part that its page need not repeat."""
    moments = ", ".join(rule.moments)
    processes = ", ".join(rule.applies_to) or "every process"
    decides = "; its factor is unknown while it is" if rule.deciding else ""
    fix = rule.fix[:1].upper() + rule.fix[1:].rstrip(".")
    return (
        f"{rule.factor} · **{rule.severity}** · decided at {moments}{decides} · judges {processes}\n\n"
        f"**Fires when** {rule.title}.\n\n**Fix** {fix}."
    )


def page(rule: Rule) -> str | None:
    """The page of *rule* as Markdown: title, facts, then its prose; None where it has no page."""
    for folder in _PAGES:
        file = folder / f"{rule.id}.md"
        if file.is_file():
            return with_facts(file.read_text(encoding="utf-8"), rule)
    return None


def with_facts(text: str, rule: Rule) -> str:
    """A page's *text* with the facts of its rule put below the title, and what each block is above the block."""
    title, _, prose = text.partition("\n")
    return f"{title}\n\n{facts(rule)}\n{_BLOCK.sub(_told, prose)}"


def _told(block: re.Match[str]) -> str:
    """Where its name is shown: the word after a block's language is seen by nobody who reads the page."""
    name = "In the environment" if block[2] == "environment" else f"`{block[2]}`"
    return f"{name}:\n\n```{block[1]}"
