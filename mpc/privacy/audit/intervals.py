"""Advantage from counts per group of records, and the bootstrap over groups."""
from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

DRAWS: Final = 2000
LEVEL: Final = 0.95


@dataclass(frozen=True)
class Estimate:
    """A measured value and its interval (95 %, bootstrap over groups of records)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{three(self.value)} [{three(self.low)}, {three(self.high)}]"

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True)
class Counts:
    """Right guesses and records by attacker, group and class: all that a leak and its interval need.

    ``hits``: attackers x groups x classes; ``totals``: groups x classes.
    """

    hits: Floats
    totals: Floats

    @classmethod
    def of(cls, guesses: Labels, truth: Labels, groups: Labels, classes: int) -> Counts:
        """From ``guesses`` (attackers x records). ``groups`` number from 0."""
        count = int(groups.max()) + 1
        cell = groups * classes + truth
        totals = np.bincount(cell, minlength=count * classes).reshape(count, classes)
        hits = [np.bincount(cell, g == truth, count * classes).reshape(count, classes) for g in guesses]
        return cls(np.array(hits, np.float64), totals.astype(np.float64))

    def advantages(self, weights: Floats) -> Floats:
        """max over attackers of (balanced accuracy - 1/k) / (1 - 1/k), for each row of ``weights`` (draws x groups).

        k is the number of classes that occur among the records at all; a class that a draw misses is left out of its mean.
        """
        present = self.totals.sum(0) > 0
        k = max(int(present.sum()), 2)
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = _sums(weights, self.hits[..., present]) / (weights @ self.totals[:, present])
        balanced = np.nanmean(recall, axis=2).max(0)
        return np.asarray((balanced - 1 / k) / (1 - 1 / k))

    def accuracies(self, weights: Floats) -> Floats:
        """max over attackers of plain accuracy, for each row of ``weights``."""
        hits = _sums(weights, self.hits).sum(2)
        return np.asarray((hits / (weights @ self.totals).sum(1)).max(0))


def _sums(weights: Floats, hits: Floats) -> Floats:
    """Over groups: (draws x groups), (attackers x groups x classes) -> attackers x draws x classes."""
    return np.stack([weights @ one for one in hits])


@lru_cache(maxsize=4)
def resamples(groups: int, draws: int = DRAWS, seed: int = 0) -> Floats:
    """How often each group is drawn, ``draws`` times; before them, as row 0, each group once: the measured value.

    A generator with a seed: an interval is no secret, and a report can be computed again.
    """
    rng, out = np.random.default_rng(seed), np.ones((draws + 1, groups))
    for row in out[1:]:
        row[:] = np.bincount(rng.integers(groups, size=groups), minlength=groups)
    out.flags.writeable = False  # kept for the next call
    return out


def estimate(values: Floats, groups: int | None = None, level: float = LEVEL) -> Estimate:
    """From values over `resamples`: row 0 is the measured value, the others give the percentile interval.

    ``groups``: how many were drawn. Percentiles of few groups are too narrow (eight: 88 % instead of 95 %), so the tails are
    Student's, as far out as normal ones: Phi(-t sqrt(n / (n - 1))). Where every draw gives 1, the most that a leak can be, the
    lower limit is 1 - 2 (1 - 0.025^(1/n)): so many groups without one exception. No limits (NaN) for one group, and where the
    value itself is not finite. Source: Hesterberg, What teachers should know about the bootstrap, 2015 (expanded percentiles).
    """
    if not np.isfinite(values[0]) or (groups is not None and groups < 2):
        return Estimate(float(values[0]), math.nan, math.nan)
    tail = (1 - level) / 2
    if groups is not None:
        tail = NormalDist().cdf(-student(1 - tail, groups - 1) * math.sqrt(groups / (groups - 1)))
    low, high = np.nanquantile(values[1:], [tail, 1 - tail])
    if groups is not None and values[0] == low == 1:
        low = 2 * ((1 - level) / 2) ** (1 / groups) - 1
    return Estimate(float(values[0]), float(low), float(high))


def student(share: float, free: int) -> float:
    """The quantile of Student's t: exact for one and two degrees of freedom, else within 1 % by Hill's series in 1 / free."""
    if free == 1:
        return math.tan(math.pi * (share - 0.5))
    if free == 2:
        return (2 * share - 1) / math.sqrt(2 * share * (1 - share))
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / free ** (k + 1) for k, term in enumerate(terms))


def three(value: float) -> str:
    """Three digits, and no minus before a zero."""
    return f"{round(value, 3) + 0.0:.3f}"


def known(value: Estimate | float) -> Estimate:
    """A number as an `Estimate` without spread."""
    return value if isinstance(value, Estimate) else Estimate(float(value), float(value), float(value))
