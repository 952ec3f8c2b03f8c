"""Pieces of text: typed spans, and the words that tagging sees."""
from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

_WORD: Final = re.compile(r"@?\w+|'\w+|[^\w\s]")


class Span(NamedTuple):
    """Characters start .. end - 1 of a text, and what they are."""

    start: int
    end: int
    type: str

    def overlaps(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end


class Plain(NamedTuple):
    """A text as it is matched. Character i of it stands for the characters ``starts[i]`` .. ``ends[i]`` - 1 of the original."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def original(self, span: Span) -> Span:
        """A span of this text, in the original; what is cut in two there goes whole."""
        return span._replace(start=self.starts[span.start], end=self.ends[span.end - 1])


def plain(text: str) -> Plain:
    """``text`` in Unicode's form NFKC (full-width letters, ligatures, accents apart from their letter) and without what is not
    seen: soft hyphens, zero-width characters, marks of direction."""
    if text.isascii():
        return Plain(text, range(len(text)), range(1, len(text) + 1))
    out, starts, ends = [], [], []
    start = 0
    while start < len(text):
        end = start + 1
        while end < len(text) and unicodedata.category(text[end])[0] == "M":
            end += 1
        normal = [c for c in unicodedata.normalize("NFKC", text[start:end]) if unicodedata.category(c) != "Cf"]
        out += normal
        starts += [start] * len(normal)
        ends += [end] * len(normal)
        start = end
    return Plain("".join(out), starts, ends)


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
