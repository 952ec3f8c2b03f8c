"""Pieces of text: typed spans, and the words that tagging sees."""
from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

_WORD: Final = re.compile(r"@?\w+|'\w+|[^\w\s]")


class Span(NamedTuple):
    """Characters start .. end - 1 of a text, and what they are."""

    start: int
    end: int
    type: str

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end


def words(text: str) -> list[tuple[int, int]]:
    """(start, end) of each word; "'s" and punctuation stand by themselves."""
    return [match.span() for match in _WORD.finditer(text)]


def first_wins(spans: Iterable[Span]) -> list[Span]:
    """Without overlaps: who comes first in the iterable stays. Sorted by place."""
    kept: list[Span] = []
    for span in spans:
        if not any(span.overlaps(other) for other in kept):
            kept.append(span)
    return sorted(kept)
