"""Shares of records, their differences and the best threshold; limits that few records, all or none do not make too narrow."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from mpc.privacy.audit.intervals import DRAWS, LEVEL, Estimate, Floats, estimate

_HALVINGS: Final = 50


def share(hits: Floats, totals: Floats, seed: int = 0) -> Estimate:
    """sum(hits) / sum(totals) over groups. Limits: Clopper and Pearson's where every group is one record; else the bootstrap
    over groups, and Clopper and Pearson's for as many trials as groups where all or none are hits, so that no draw differs."""
    count, right = float(totals.sum()), float(hits.sum())
    if count == 0:
        return Estimate(math.nan, math.nan, math.nan)
    n = len(totals)
    if (totals == 1).all():
        return Estimate(right / n, *clopper_pearson(round(right), n))
    if right in (0.0, count):
        return Estimate(right / count, *clopper_pearson(n if right else 0, n))
    w = np.vstack([np.ones(n), np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), DRAWS)])
    with np.errstate(invalid="ignore"):
        return estimate((w @ hits) / (w @ totals), n)


def clopper_pearson(hits: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Exact limits of a probability: those at which so few, or so many, hits have a chance of (1 - level) / 2 still."""
    if not 0 <= hits <= trials or trials < 1:
        raise ValueError(f"got {hits} hits of {trials}; want 0 to as many as trials, at least one trial")
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else _where(lambda p: 1 - at_most(hits - 1, trials, p) < tail)
    high = 1.0 if hits == trials else _where(lambda p: at_most(hits, trials, p) > tail)
    return low, high


def at_most(hits: int, trials: int, p: float) -> float:
    """The probability of at most so many hits."""
    if hits < 0 or p >= 1:
        return float(hits >= trials)
    if p <= 0:
        return 1.0
    k = np.arange(min(hits, trials) + 1)
    steps = np.log((trials - k[1:] + 1) / k[1:]) + math.log(p / (1 - p))
    logs = trials * math.log1p(-p) + np.concatenate([[0.0], np.cumsum(steps)])
    return min(1.0, float(np.exp(logs).sum()))


def difference(a: Estimate, b: Estimate) -> Estimate:
    """a - b of two groups that have nothing to do with each other. Source: Newcombe, Interval estimation for the difference
    between independent proportions, 1998 (hybrid of the limits of both)."""
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    return Estimate(value, low, value + math.hypot(a.high - a.value, b.value - b.low))


def best_threshold(positives: Floats, negatives: Floats) -> float:
    """The t for which "score > t" has the largest true minus false positive rate, midway between records; -inf: yes to all."""
    at = np.concatenate([[-np.inf], np.unique(np.concatenate([positives, negatives]))])
    rates = [1 - np.searchsorted(np.sort(a), at, "right") / len(a) for a in (positives, negatives)]
    gain = rates[0] - rates[1]
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
    k = int(best[len(best) // 2])
    with np.errstate(invalid="ignore", over="ignore"):
        middle = (at[k] + at[k + 1]) / 2 if 0 < k < len(at) - 1 else at[k]
    return float(middle if at[k] <= middle < at[min(k + 1, len(at) - 1)] else at[k])


def plain(value: Estimate | None) -> list[float] | None:
    """[value, low, high] for JSON; None for what is not finite in there."""
    return None if value is None else [round(v, 5) if math.isfinite(v) else None for v in (value.value, value.low, value.high)]  # type: ignore[misc]


def _where(below: Callable[[float], bool]) -> float:
    """The p up to which ``below`` holds."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return low
