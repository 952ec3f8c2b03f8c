"""Variances of many records from a few values each: every one is drawn towards what they have in common."""
from __future__ import annotations

import math
from typing import Final

import numpy as np

from mpc.privacy.audit.intervals import Floats

LEAST: Final = 1e-6  # answers at the end of the scale do not vary at all
LEAST_FREE: Final = 4.0  # degrees of freedom that the common variance counts for, at least
_MOST_FREE: Final = 1e6


def moderated(squares: Floats, free: int) -> Floats:
    """(d s^2 + squares) / (d + free) for each sum of squares with so many degrees of ``free``dom.

    Common variance s^2 and its weight d are those of the scaled inverse chi-square prior that fits mean and spread of the
    logarithms: records alike share one variance, records that differ more than chance explains keep their own. Source: Smyth,
    Linear models and empirical Bayes methods for assessing differential expression, 2004.
    """
    own = np.maximum(squares / free, LEAST)
    logs = np.log(own) - _digamma(free / 2) + math.log(free / 2)
    spread = float(logs.var(ddof=1)) - _trigamma(free / 2) if len(own) > 1 else 0.0
    if spread <= _trigamma(_MOST_FREE / 2):
        return np.full(len(own), max(float(squares.mean()) / free, LEAST))
    low, high = LEAST_FREE, _MOST_FREE
    for _ in range(60):  # trigamma falls
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _trigamma(middle / 2) > spread else (low, middle)
    common = math.exp(float(logs.mean()) + _digamma(low / 2) - math.log(low / 2))
    return np.asarray((low * common + free * own) / (low + free))


def _digamma(x: float) -> float:
    """From x = 1/2: upwards by the recurrence, then the asymptotic series."""
    out = 0.0
    while x < 8:
        out, x = out - 1 / x, x + 1
    return out + math.log(x) - 1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4) - 1 / (252 * x**6)


def _trigamma(x: float) -> float:
    out = 0.0
    while x < 8:
        out, x = out + 1 / x**2, x + 1
    return out + 1 / x + 1 / (2 * x**2) + 1 / (6 * x**3) - 1 / (30 * x**5) + 1 / (42 * x**7)
