"""The scorecard as one self-contained page: light and dark, for eyes, keyboards and screen readers."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from twelvefactor.factor import Severity, Verdict
from twelvefactor.report.score import SCORECARD
from twelvefactor.report.text import excuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from twelvefactor.factor import Finding, Ruling
    from twelvefactor.report.score import Grade, Scorecard

STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1d2127; --soft: #565d66; --line: #d5dae0; --card: #f6f7f9;
  --link: #0b57a4; --good: #1c6b2a; --fair: #7a5200; --bad: #a3231b; }
@media (prefers-color-scheme: dark) { :root { --page: #14171b; --ink: #e6e9ed; --soft: #a9b1bb; --line: #363d46;
  --card: #1d2127; --link: #8cc2ff; --good: #7ed491; --fair: #e8b95a; --bad: #ff9c92; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0; display: inline; } p { margin: .25rem 0; } a { color: var(--link); }
code { font: .875em/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
.soft { color: var(--soft); } .score { font-size: 2.25rem; line-height: 1.2; margin: 1rem 0 0; }
.skip { position: absolute; left: -99rem; } .skip:focus { position: static; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--soft); padding: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0; font-weight: 400;
  border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--soft); font-size: .875rem; } td, th { overflow-wrap: anywhere; }
thead th, .number, .points, .word { white-space: nowrap; } .points { font-variant-numeric: tabular-nums; }
.word::before { content: ""; display: inline-block; width: .7em; height: .7em; margin-right: .45em;
  background: currentColor; }
.pass { color: var(--good); } .pass::before { border-radius: 50%; } .half { color: var(--fair); }
.fail { color: var(--bad); }
.unknown, .none { color: var(--soft); }
.unknown::before, .none::before { background: none; border: 2px solid currentColor; }
details { border-top: 1px solid var(--line); padding: .6rem 0; } summary { cursor: pointer; }
ul.findings { list-style: none; margin: .5rem 0 1rem; padding: 0; }
.findings > li { background: var(--card); border-left: 4px solid var(--line); padding: .6rem .9rem; margin: .5rem 0; }
.findings > li.error { border-color: var(--bad); } .findings > li.warning { border-color: var(--fair); }
@media print { details { break-inside: avoid; } .skip { display: none; } }
"""
_EXPLAIN = "A rule in detail: <code>twelvefactor explain TF601</code>"
_CLASSES = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.UNKNOWN: "unknown", Verdict.NOT_APPLICABLE: "none"}


def text(scorecard: Scorecard) -> str:
    """*scorecard* as a page that loads nothing and runs nothing."""
    return "\n".join(_page(scorecard))


def _page(scorecard: Scorecard) -> Iterator[str]:
    title = f"Twelve factors: {scorecard}"
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>"
    yield '<a class="skip" href="#factors">Skip to the twelve factors</a>'
    yield f"<header>\n<h1>The twelve factors</h1>\n{_subject(scorecard)}</header>\n<main>"
    yield f'<p class="score">{escape(str(scorecard))}</p>'
    yield _legend(scorecard)
    yield from _summary(scorecard)
    yield from _notes(scorecard)
    yield '<section aria-labelledby="why">\n<h2 id="why">Why, factor by factor</h2>'
    for grade in scorecard.grades:
        yield from _factor(grade)
    yield "</section>\n</main>"
    yield f'<footer>\n<p class="soft">Scorecard {SCORECARD}. {_EXPLAIN}</p>\n</footer>'
    yield "</body>\n</html>\n"


def _subject(scorecard: Scorecard) -> str:
    return f'<p class="soft">{escape(scorecard.subject)}</p>\n' if scorecard.subject else ""


def _legend(scorecard: Scorecard) -> str:
    told = f"{scorecard.points:g} points of the {scorecard.decided} factors that could be decided"
    if scorecard.unknown:
        told += f"; at {scorecard.unknown} nobody could look, which earns nothing"
    return f'<p class="soft">{told}.</p>'


def _summary(scorecard: Scorecard) -> Iterator[str]:
    yield '<section aria-labelledby="factors">\n<h2 id="factors" tabindex="-1">At a glance</h2>\n<div class="scroll">'
    yield "<table>\n<caption>Each factor, its verdict and what decided it</caption>\n<thead><tr>"
    heads = ("Number", "Factor", "Points", "Verdict", "Because")
    yield "".join(f'<th scope="col">{head}</th>' for head in heads) + "</tr></thead>\n<tbody>"
    for grade in scorecard.grades:
        factor = grade.factor
        yield (
            f'<tr><td class="number">{factor.roman}</td>'
            f'<th scope="row"><a href="#{factor.page}">{escape(factor.name)}</a></th>'
            f'<td class="points">{_points(grade)}</td><td>{_word(grade)}</td><td>{escape(grade.why)}</td></tr>'
        )
    yield "</tbody>\n</table>\n</div>\n</section>"


def _points(grade: Grade) -> str:
    return f"{grade.points:g}" if grade.verdict in {Verdict.PASS, Verdict.FAIL} else "-"


def _word(grade: Grade) -> str:
    half = grade.verdict is Verdict.FAIL and grade.points > 0
    word, kind = ("half", "half") if half else (grade.verdict.value, _CLASSES[grade.verdict])
    return f'<span class="word {kind}">{word}</span>'


def _notes(scorecard: Scorecard) -> Iterator[str]:
    if scorecard.changes is not None:
        yield from _list("changes", "Since the earlier report", scorecard.changes or ("Nothing has changed.",))
    if scorecard.notes:
        yield from _list("notes", "Waivers and baseline", (f"Warning: {note.text}" for note in scorecard.notes))


def _list(name: str, title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f'<section aria-labelledby="{name}">\n<h2 id="{name}">{title}</h2>\n<ul>'
    yield from (f"<li>{escape(line)}</li>" for line in lines)
    yield "</ul>\n</section>"


def _factor(grade: Grade) -> Iterator[str]:
    factor = grade.factor
    lost = grade.verdict is Verdict.FAIL
    yield f"<details{' open' if lost else ''}>"
    yield f"<summary><h3>{factor.roman}. {escape(factor.name)}</h3> {_word(grade)}</summary>"
    yield f'<p class="soft" id="{factor.page}">“{escape(factor.sentence)}”</p>'  # a link to it opens the details
    found = [finding for ruling in grade.rulings for finding in ruling.findings]
    if found:
        yield '<ul class="findings">'
        yield from (_finding(each) for each in found)
        yield "</ul>"
    yield f'<div class="scroll"><table>\n<caption>The rules of factor {factor.roman}; • decides it</caption>'
    yield "<thead><tr>"
    yield "".join(f'<th scope="col">{head}</th>' for head in ("Rule", "Fires when", "Verdict", "Because"))
    yield "</tr></thead>\n<tbody>"
    yield from (_rule(ruling) for ruling in grade.rulings)
    yield "</tbody>\n</table></div>\n</details>"


def _rule(ruling: Ruling) -> str:
    rule, verdict = ruling.rule, ruling.verdict
    mild = verdict is Verdict.FAIL and ruling.severity is not Severity.ERROR
    return (
        f'<tr><th scope="row" class="number">{rule.id}{" •" if rule.deciding else ""}</th><td>{escape(rule.title)}</td>'
        f'<td><span class="word {"half" if mild else _CLASSES[verdict]}">{verdict.value}</span></td>'
        f"<td>{escape(ruling.because)}</td></tr>"
    )


def _finding(finding: Finding) -> str:
    times = f", seen {finding.count} times" if finding.count > 1 else ""
    place = f"<code>{escape(finding.where)}</code> · " if finding.where else ""
    kind = "excused" if finding.excused else finding.severity.value
    lines = [
        f"<p><strong>{finding.rule.id}</strong> {kind}{times}: {escape(finding.message)}</p>",
        f'<p class="soft">{place}<code>{escape(finding.culprit)}</code></p>',
        f"<p>Fix: {escape(finding.hint or finding.rule.fix)}</p>",
        *(f'<p class="soft">{escape(line)}</p>' for line in excuse(finding)),
    ]
    return f'<li class="{kind}">{"".join(lines)}</li>'
