"""The pages of the rules have every part; their examples are run by the tests beside this one."""

import re

import pytest

from twelvefactor.report.rules import all_rules, page


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_a_page_has_every_part(rule):
    """
    What, the manifesto's sentence, an incident with its source or an illustration, how we know, what we cannot see, examples, the fix.
    """
    text = page(rule)
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)

    assert headings[:3] == ["Why", "How we know", "What we cannot see"]
    assert re.search(r"^> .+\n> — The Twelve-Factor App, [IVX]+\. ", text, re.MULTILINE)
    assert re.search(r"^\*\*(It happened\*\* .*\]\(https://.*|For example\*\* .{40,})$", text, re.MULTILINE)
    assert headings[3:5] == ["It fires on", "It stays quiet on"]
    assert "**Fix** " in text


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_a_page_tells_the_fix_by_framework(rule):
    """
    Two of them at least by name, or that it is the same everywhere.
    """
    told = page(rule).partition("\n## By framework\n")[2].partition("\n## ")[0].strip()

    assert told.startswith("The same everywhere") or len(re.findall(r"\*\*[^*]+\*\*", told)) >= 2


def test_a_page_tells_what_a_block_is():
    """
    A file by its name, and the variables; the word after the language is no part of what is shown.
    """
    text = page(next(rule for rule in all_rules() if rule.id == "TF304"))

    assert "`.env`:\n\n```ini\nAPI_TOKEN=" in text
    assert "In the environment:\n\n```ini\nTWELVEFACTOR_DEPLOY=" in text
