"""Identifiers that have a form: written, and as speech recognition spells them."""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mpc.privacy.masking.text.spans import Span

_TOP: Final = r"(?:com|net|org|edu|gov|info|io|[a-z]{2})"
_DIGIT: Final = r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple)"
_PATTERNS: Final = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("url", r"\b(?:https?://|www\.)[^\s<>\"']+[\w/]"),
        ("email_address", r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
        ("email_address", rf"\b\w+(?: (?:dot|underscore|dash) \w+)*(?:@| at )[\w-]+(?: dot | ?\. ?){_TOP}\b"),
        ("iban", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
        ("card_number", r"\b\d(?:[ -]?\d){12,18}\b"),
        ("social_security_number", r"\b\d{3}-\d{2}-\d{4}\b"),
        ("ip_address", r"\b(?:\d{1,3}\.){3}\d{1,3}\b"),
        ("phone_number", r"(?<![\w.])(?:\+|00)?\(?\d{1,4}\)?(?:[ ./-]?\(?\d{2,5}\)?){2,5}(?![\w.]\d)"),
        ("phone_number", rf"\b{_DIGIT}(?: {_DIGIT}){{6,}}\b"),
        ("handle", r"(?<!\w)@[A-Za-z]\w+"),
    )
)
KINDS: Final = tuple(dict.fromkeys(kind for kind, _ in _PATTERNS))


def find(text: str) -> Iterator[Span]:
    """Spans of all patterns, the surer ones first. Spoken addresses need a known top-level domain, or two letters, after
    "dot"."""
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            digits = [int(c) for c in match.group() if c.isdecimal()]
            if kind == "card_number" and not _luhn(digits):
                continue
            if kind == "phone_number" and digits and not 7 <= len(digits) <= 15:
                continue
            if kind == "ip_address" and max(map(int, match.group().split("."))) > 255:
                continue
            yield Span(*match.span(), kind)


def _luhn(digits: list[int]) -> bool:
    doubled = [2 * d - 9 * (d > 4) if i % 2 else d for i, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0
