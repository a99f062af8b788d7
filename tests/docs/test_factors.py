"""The twelve pages: the manifesto's sentence, what is enforced, what no process can see."""

import re
from pathlib import Path

import pytest

from twelvefactor.factor import FACTORS

PAGES = Path(__file__).resolve().parents[2] / "docs" / "factors"


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.page)
def test_a_factors_page_has_its_parts(factor):
    """
    The last of them keeps us honest.
    """
    text = (PAGES / f"{factor.page}.md").read_text()
    headings = re.findall(r"^## (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)

    assert text.startswith(f"# {factor.roman}. ")
    assert f"> — [The Twelve-Factor App](https://12factor.net/{factor.page})" in text
    assert f"<!-- rules: {factor.number} -->" in text
    assert "What we enforce" in headings
    assert headings[-1] == "What no process can see"
