"""The score as a badge for a README: an SVG that names itself to screen readers and loads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twelvefactor.report.score import Scorecard

LABEL = "twelve-factor"
_CHARACTER, _PADDING, _HEIGHT = 6.6, 6, 20  # pixels, for Verdana at 11
_GOOD, _FAIR, _POOR, _UNKNOWN = "#2a6b1f", "#7a5200", "#a3231b", "#4a4f55"  # white on each reads at 4.5 to 1 or better


def text(scorecard: Scorecard) -> str:
    """*scorecard* as an SVG."""
    said = words(scorecard)
    left, right = _width(LABEL), _width(said)
    total = left + right
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{_HEIGHT}" role="img" '
        f'aria-label="{LABEL}: {said}">\n'
        f"  <title>{LABEL}: {scorecard}</title>\n"
        f'  <rect width="{total}" height="{_HEIGHT}" rx="3" fill="#24292f"/>\n'
        f'  <path d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v{_HEIGHT - 6}a3 3 0 0 1-3 3h-{right - 3}z" '
        f'fill="{colour(scorecard)}"/>\n'
        f'  <g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11" text-anchor="middle">\n'
        f'    <text x="{left / 2:g}" y="14" textLength="{left - 2 * _PADDING}">{LABEL}</text>\n'
        f'    <text x="{left + right / 2:g}" y="14" textLength="{right - 2 * _PADDING}">{said}</text>\n'
        f"  </g>\n</svg>\n"
    )


def words(scorecard: Scorecard) -> str:
    """The score in a few characters; what is unknown is never hidden."""
    told = f"{scorecard.points:g}/{scorecard.decided}"
    return f"{told}, {scorecard.unknown} ?" if scorecard.unknown else told


def colour(scorecard: Scorecard) -> str:
    """Green where every factor was decided and kept, grey where most is unknown."""
    if scorecard.unknown > scorecard.decided:
        return _UNKNOWN
    share = scorecard.points / scorecard.decided if scorecard.decided else 1.0
    if share == 1.0 and not scorecard.unknown:
        return _GOOD
    return _FAIR if share >= 2 / 3 else _POOR


def _width(said: str) -> int:
    return round(len(said) * _CHARACTER) + 2 * _PADDING
