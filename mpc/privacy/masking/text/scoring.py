"""Found entities against marked ones: precision, recall, F1, and what stays readable."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mpc.errors import ShapeError
from mpc.privacy.audit.intervals import Estimate, Floats, estimate, resamples
from mpc.privacy.audit.measured import Finding, Measured
from mpc.privacy.masking.text.spans import Span

NAMES: Final = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Scores:
    """With 95 % intervals, bootstrap over texts. ``exact``: same characters and same type; ``by_type``: the same per type, with
    the number marked; ``leaked``: share of the characters of marked entities that nothing found covers, of whatever type: what
    a reader still sees; ``exposed``: share of the marked entities of which a reader sees at least one character; ``touched``:
    share of unmarked characters that would be replaced."""

    exact: dict[str, Estimate]
    by_type: dict[str, tuple[dict[str, Estimate], int]]
    leaked: Estimate
    exposed: Estimate
    touched: Estimate
    texts: int

    def to_dict(self) -> dict[str, Any]:
        def plain(e: Estimate) -> list[float | None]:
            return [round(v, 5) if np.isfinite(v) else None for v in (e.value, e.low, e.high)]

        return {
            "exact": {name: plain(e) for name, e in self.exact.items()},
            "by_type": {t: {"marked": n, **{k: plain(e) for k, e in s.items()}} for t, (s, n) in self.by_type.items()},
            "leaked": plain(self.leaked), "exposed": plain(self.exposed), "touched": plain(self.touched), "texts": self.texts,
        }  # fmt: skip

    def measured(self) -> Measured:
        """A row of an audit's report; quality: the share of unmarked characters that stay."""
        kept = Estimate(1 - self.touched.value, 1 - self.touched.high, 1 - self.touched.low)
        said = f"{self.exact['recall'].value:.0%} of the entities found whole and of the right type"
        return Measured("redaction", (Finding("reading marked characters", self.leaked, note=said),), kept)

    def table(self) -> str:
        """Markdown, a row per type."""
        lines = ["| type | marked | precision | recall | F1 |", "|---|---:|---|---|---|"]
        rows = [*self.by_type.items(), ("all", (self.exact, sum(n for _, n in self.by_type.values())))]
        lines += [f"| {t} | {n} | " + " | ".join(str(s[k]) for k in NAMES) + " |" for t, (s, n) in rows]
        return "\n".join([*lines, "", f"characters of marked entities left readable: {self.leaked}; entities with such: "
                          f"{self.exposed}; other characters replaced: {self.touched}; {self.texts} texts"])  # fmt: skip

    __str__ = table


def score(
    texts: Sequence[str], marked: Sequence[Sequence[Span]], found: Sequence[Sequence[Span]], types: Sequence[str]
) -> Scores:
    """Compare spans of these types; `Scores.leaked`, `exposed` and `touched` count whatever was found. Raises ShapeError."""
    if not len(texts) == len(marked) == len(found) or not len(texts):
        raise ShapeError(f"{len(texts)} texts, {len(marked)} marked, {len(found)} found; want as many of each, at least one")
    counts = np.zeros((len(types), len(texts), 3))  # right, found, marked
    covered = np.zeros((len(texts), 6))  # marked characters: readable, all; others: replaced, all; entities: readable, all
    for i, (text, truth, guess) in enumerate(zip(texts, marked, found, strict=True)):
        for t, name in enumerate(types):
            a, b = ({span for span in spans if span.type == name} for spans in (truth, guess))
            counts[t, i] = len(a & b), len(b), len(a)
        secret = _covered(text, [span for span in truth if span.type in types])
        gone = _covered(text, guess)
        read = [not gone[span.start : span.end].all() for span in truth if span.type in types]
        covered[i] = (secret & ~gone).sum(), secret.sum(), (gone & ~secret).sum(), (~secret).sum(), sum(read), len(read)
    weights = resamples(len(texts))
    by_type = {name: (_scores(weights @ counts[t]), int(counts[t, :, 2].sum())) for t, name in enumerate(types)}
    total = weights @ covered
    with np.errstate(invalid="ignore", divide="ignore"):
        leaked, touched, exposed = (estimate(total[:, i] / total[:, i + 1]) for i in (0, 2, 4))
    return Scores(_scores(weights @ counts.sum(0)), by_type, leaked, exposed, touched, len(texts))


def _covered(text: str, spans: Sequence[Span]) -> Any:
    mask = np.zeros(len(text), bool)
    for span in spans:
        mask[span.start : span.end] = True
    return mask


def _scores(sums: Floats) -> dict[str, Estimate]:
    right, found, marked = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        values = (right / found, right / marked, 2 * right / (found + marked))
    return {name: estimate(value) for name, value in zip(NAMES, values, strict=True)}
