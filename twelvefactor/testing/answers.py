"""Answers to the same request, compared: the status, and the body but for what is volatile in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Place = tuple[Any, ...]

_LENGTH = None
"""The last step of the place where the length of a list stands."""
_AS_MUCH = 100_000  # bytes of a body that are looked at


class Answer(NamedTuple):
    """
    What was answered, taken apart.

    Attributes:
        status: 0 where there was no answer.
        parts: What stands at each place of the body.
    """

    status: int
    parts: Mapping[Place, str] = {}

    @classmethod
    def of(cls, status: int, content_type: str, body: bytes) -> Answer:
        """
        Take a body apart: JSON by its fields, text by its lines and words.

        >>> Answer.of(200, "application/json", b'{"items": ["tea"]}').parts
        {('items', None): '1', ('items', 0): '"tea"'}
        """
        text = body[:_AS_MUCH].decode("utf-8", "replace")
        if "json" in content_type:
            try:
                return cls(status, dict(_leaves(json.loads(text), ())))
            except ValueError:
                pass  # lines of it, or half of it
        return cls(status, dict(_leaves([line.split() for line in text.splitlines()], ())))


def _leaves(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, list):
        yield (*place, _LENGTH), str(len(value))
        for index, each in enumerate(value):
            yield from _leaves(each, (*place, index))
    elif isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _leaves(each, (*place, key))
    else:
        yield place, json.dumps(value)


def common(answers: Sequence[Answer]) -> Answer | None:
    """
    What is the same in all *answers*; None where not even the status is.

    A list that is not always as long counts as volatile whole: its entries have no place of their own.

    >>> one, other = Answer(200, {("id",): "1", ("item",): "tea"}), Answer(200, {("id",): "2", ("item",): "tea"})
    >>> common([one, other])
    Answer(status=200, parts={('item',): 'tea'})
    """
    first, *others = answers
    if any(other.status != first.status for other in others):
        return None
    same = {place for place in first.parts if all(other.parts.get(place) == first.parts[place] for other in others)}
    grown = {place[:-1] for place in first.parts if place[-1:] == (_LENGTH,) and place not in same}
    kept = {place: first.parts[place] for place in first.parts if place in same and not _below(place, grown)}
    return Answer(first.status, kept)


def _below(place: Place, lists: set[Place]) -> bool:
    return bool(lists) and any(place[:length] in lists for length in range(len(place)))


def difference(expected: Answer, seen: Answer) -> str:
    """
    In what *seen* is not as *expected*, in a few words without any of its values; empty where it is in nothing.

    >>> difference(Answer(200), Answer(404))
    '404 for 200'
    >>> difference(Answer(200, {("cart", "items", 0): "1"}), Answer(200, {("cart", "items", 0): "2"}))
    'another body, in cart.items'
    """
    if seen.status != expected.status:
        return f"{seen.status or 'no answer'} for {expected.status or 'no answer'}"
    place = next((place for place, value in expected.parts.items() if seen.parts.get(place) != value), None)
    if place is None:
        return ""
    names = ".".join(step for step in place if isinstance(step, str) and step.isidentifier())
    return f"another body, in {names}" if names else "another body"
