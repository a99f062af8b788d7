"""
Share nothing, proved by a run: what one process answers, several in turn answer too.

The same requests go twice to one process, which shows what is volatile in its answers, and then to several in turn.
Each time the processes are new, and in one round or another two requests that are near each other meet two processes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from twelvefactor.exceptions import ResourceUnavailable
from twelvefactor.factor import Finding
from twelvefactor.processes.rules import TF601
from twelvefactor.testing.answers import Answer, common, difference
from twelvefactor.testing.driving import NO_ANSWER, Customer
from twelvefactor.testing.replicas import Asked, sticky

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from twelvefactor.testing.driving import Request
    from twelvefactor.testing.replicas import Replicas

_DIGITS = range(1, 5)  # of a request's number, which say who answers it
_MOST = 100  # requests; of more, as many as stand equally far apart
NOTHING_ASKED = "nothing drove it"
_HINT = "Keep what one request leaves for another in a backing service."


@dataclass(frozen=True, slots=True)
class Proof:
    """
    What came of it.

    Attributes:
        count: How many processes answered in turn.
        requests: How many different requests were compared.
        scripts: How many scripts passed or failed otherwise with one than with several, or alike.
        findings: What several processes answer otherwise than one.
        not_run: Why nothing is proved; empty where something is.
    """

    count: int
    requests: int = 0
    scripts: int = 0
    findings: tuple[Finding, ...] = ()
    not_run: str = ""

    def __str__(self) -> str:
        """
        What was compared.

        >>> str(Proof(2, requests=1, scripts=2))
        '1 request and 2 scripts'
        """
        told = [(self.requests, "request"), (self.scripts, "script")]
        return " and ".join(f"{count} {name}{'s' if count > 1 else ''}" for count, name in told if count)


class Exchange(NamedTuple):
    """A request, who answered it, and what."""

    asked: Asked
    answer: Answer


def prove(
    replicas: Callable[[int], Replicas],
    requests: Sequence[Request],
    scripts: Mapping[str, Callable[[str], str]],
    count: int = 2,
) -> Proof:
    """
    Ask one process, and *count* in turn.

    Args:
        replicas: Starts so many processes.
        requests: What is asked.
        scripts: By name, what asks the URL that it is given and tells what was wrong, or an empty string.
        count: How many processes answer in turn.
    """
    try:
        compared, found = _by_requests(replicas, _some(requests), count) if requests else (0, {})
        told = [_by_script(replicas, name, run, count) for name, run in scripts.items()]
    except ResourceUnavailable as error:
        return Proof(count, not_run=f"another process did not come up: {str(error).partition(chr(10))[0]}")
    by_scripts = [each for each in told if each is not None]
    if not compared and not by_scripts:
        why = "no request was answered alike twice by one process" if requests or scripts else NOTHING_ASKED
        return Proof(count, not_run=why)
    for each in by_scripts:
        found |= each
    return Proof(count, compared, len(by_scripts), tuple(found.values()))


def _some(requests: Sequence[Request]) -> Sequence[Request]:
    return requests[:: math.ceil(len(requests) / _MOST)]


# -- by requests -------------------------------------------------------------------------------------------------------


def _by_requests(
    replicas: Callable[[int], Replicas], requests: Sequence[Request], count: int
) -> tuple[int, dict[str, Finding]]:
    """How many were compared, and what differs; what seems to is asked for once more by all."""
    ones = [_ask_all(replicas, requests, 1), _ask_all(replicas, requests, 1)]
    several = _ask_all(replicas, requests, count)
    found = _differing(ones, several, count)
    if found:
        ones.append(_ask_all(replicas, requests, 1))
        again = _differing(ones, _ask_all(replicas, requests, count), count)
        found = {name: each for name, each in _differing(ones, several, count).items() if name in again}
    alike = [each for each in zip(*ones, strict=True) if common([one.answer for one in each]) is not None]
    return len({_name(each[0].asked) for each in alike}), found


def _ask_all(replicas: Callable[[int], Replicas], requests: Sequence[Request], count: int) -> list[Exchange]:
    """Ask new processes; who answers which request is another in each round."""
    customer = Customer()
    with replicas(count) as running:
        return [
            _ask(customer, running, request, who % count)
            for turn in _turns(len(requests), count)
            for who, request in zip(turn, requests, strict=True)
        ]


def _turns(requests: int, count: int) -> list[list[int]]:
    """
    Who answers which request, round by round.

    Two requests that are less than sixteen apart have numbers that differ in one of their last four binary digits; a
    round for each digit separates them. The last round is the first with everybody moved on by one, so that no request
    meets the same process each time.

    >>> [[who % 2 for who in turn] for turn in _turns(4, 2)]
    [[0, 1, 0, 1], [0, 0, 1, 1], [1, 0, 1, 0]]
    """
    digits = min(max((requests - 1).bit_length(), _DIGITS.start), _DIGITS.stop - 1)
    turns = [[number // count**digit for number in range(requests)] for digit in range(digits)]
    return [*turns, [number + 1 for number in range(requests)]]


def _ask(customer: Customer, running: Replicas, request: Request, replica: int) -> Exchange:
    try:
        answer = customer.ask(running.servers[replica], request)
    except NO_ANSWER:
        told = Answer(0)
    else:
        told = Answer.of(answer.status, answer.headers.get("content-type", ""), answer.body)
    return Exchange(Asked(request.method, request.path.partition("?")[0], replica, told.status), told)


def _differing(ones: Sequence[Sequence[Exchange]], several: Sequence[Exchange], count: int) -> dict[str, Finding]:
    """What *several* answered otherwise than all of *ones*, by request."""
    found: dict[str, Finding] = {}
    for index, (seen, *alone) in enumerate(zip(several, *ones, strict=True)):
        expected = common([each.answer for each in alone])
        why = difference(expected, seen.answer) if expected is not None else ""
        if not why:
            continue
        name = _name(seen.asked)
        asked = [each.asked for each in several[: index + 1]]
        known = found.get(name)
        message = f"{count} processes in turn answer {name} otherwise than one does: {why}"
        found[name] = replace(known, count=known.count + 1) if known else _finding(asked, message)
    return found


def _name(asked: Asked) -> str:
    return f"{asked.method} {asked.path}"


def _finding(asked: list[Asked], message: str) -> Finding:
    """The last request is the culprit; the one before it that another process answered is told with it."""
    last = asked[-1]
    earlier = sticky(AssertionError(message), asked).earlier
    before = f"{_name(earlier)} had gone to process {earlier.replica + 1}, " if earlier else ""
    evidence = {"asked": str(last), "earlier": str(earlier) if earlier else None}
    told = f"{message}; {before}{_name(last)} went to process {last.replica + 1}"
    return Finding(TF601, told, _name(last), hint=_HINT, evidence=evidence)


# -- by a script -------------------------------------------------------------------------------------------------------


def _by_script(
    replicas: Callable[[int], Replicas], name: str, run: Callable[[str], str], count: int
) -> dict[str, Finding] | None:
    """What fails with several processes and not with one, twice; None where it fails with one, too."""
    asked: list[Asked] = []
    for _ in range(2):
        with replicas(1) as one:
            if run(one.url):
                return None
        with replicas(count) as several:
            if not run(several.url):
                return {}
            asked = several.asked
    if not asked:
        return None
    found = _finding(asked, f"{name} passes with one process and fails with {count} in turn")
    return {found.culprit: found}
