"""Say what a rule means and how to fix what broke it."""

from __future__ import annotations

import difflib
import sys

import click

from twelvefactor.exceptions import UsageError
from twelvefactor.factor import FACTORS, Rule
from twelvefactor.report.rules import all_rules, facts, page


@click.command(short_help="What a rule means, and the fix.")
@click.argument("rule", metavar="RULE")
def explain(rule: str) -> None:
    """
    Print the page of a rule, or list the rules of a factor.

    \b
    Examples:
      $ twelvefactor explain TF601
      $ twelvefactor explain VI
      $ twelvefactor explain all
    """
    known = all_rules()
    wanted = _chosen(rule, known)
    if not wanted:
        raise UsageError(_unknown(rule, known))
    if len(wanted) == 1:
        _show(page(wanted[0]) or f"# {wanted[0].id}\n\n{facts(wanted[0])}\n")
        return
    for each in wanted:
        click.echo(f"{each.id}  {each.severity:<7}  {each.title}")


def _chosen(text: str, known: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The rules that *text* names: by id, by the factor's number or name, or all."""
    plain = text.strip().lower()
    if plain == "all":
        return known
    exact = tuple(rule for rule in known if rule.id.lower() == plain)
    if exact:
        return exact
    numbers = {
        factor.number
        for factor in FACTORS
        if plain in {str(factor.number), factor.roman.lower(), factor.page, factor.name.lower(), f"tf{factor.number}"}
    }
    return tuple(rule for rule in known if rule.factor.number in numbers)


def _unknown(text: str, known: tuple[Rule, ...]) -> str:
    near = difflib.get_close_matches(text.upper(), [rule.id for rule in known], n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"no rule is called {text!r}.{hint} `twelvefactor explain all` lists them."


def _show(markdown: str) -> None:
    """Markdown as it is for a pipe or a file, rendered for a terminal."""
    if not sys.stdout.isatty():
        click.echo(markdown)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(markdown))
