"""Gaussian noise in clear on a grid of sigma / 2^35, as exact as integers can be: for models that are trained in the open.

P(n) ~ e^(-n^2 / 2 sigma^2) on the integers with sigma = 2^35, by rejection. |n| = 2^30 k + r: the cell k has probability ~
e^(-(k / 32)^2 / 2) by a table of 128-bit thresholds, r and the sign are uniform, and n is kept with probability e^-t, t = r
(2^31 k + r) / 2 sigma^2. Where 64 random bits do not settle a comparison (once in 2^40 samples) 64 more do, against numbers of
256 bits. So what is drawn is within `TOTAL_VARIATION` of a normal number rounded to the grid, and adding that to an integer is
the continuous Gaussian mechanism with its result rounded: whatever is known of that one holds, amplification by subsampling
too. Not constant-time.
"""
from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import gmpy2
import numpy as np
import numpy.typing as npt

from mpc import prg
from mpc.fixed_point import Words
from mpc.preprocessing.base import COINS

SIGMA_BITS: Final = 35
TOTAL_VARIATION: Final = 2.0**-72  # a sample: the cut at 12 sigma 4e-33, the rounding 1 / (24 sigma^2) 4e-23
CELLS_BITS: Final = 5
CELLS: Final = 12 << CELLS_BITS
WITHIN_BITS: Final = SIGMA_BITS - CELLS_BITS
CLOSE: Final = 2.0**-44  # beyond the error of a comparison in float64

Integers = npt.NDArray[np.int64]


class Table(NamedTuple):
    """Cumulated probabilities of the cells times 2^128: high and low words."""

    high: Words
    low: Words


@lru_cache(maxsize=1)
def table() -> Table:
    """T_k = 2^128 P(cell < k) for k = 1 .. CELLS - 1."""
    with gmpy2.context(precision=256):
        weights = [gmpy2.exp(-gmpy2.mpfr(k * k) / (2 << 2 * CELLS_BITS)) for k in range(CELLS)]
        whole, at, thresholds = sum(weights), gmpy2.mpfr(0), []
        for weight in weights[:-1]:
            at += weight
            thresholds.append(int(gmpy2.rint(at / whole * gmpy2.mpfr(2) ** 128)))
    split = np.array([(t >> 64, t % 2**64) for t in thresholds], np.uint64)
    return Table(split[:, 0].copy(), split[:, 1].copy())


def cells(uniform: Words, more: Words) -> Integers:
    """How many thresholds are at most the number whose high word is ``uniform``, the low one ``more``."""
    high, low = table()
    found = np.searchsorted(high, uniform, side="right")
    for i in np.flatnonzero(high[np.maximum(found - 1, 0)] == uniform):  # as good as never
        number = int(uniform[i]) << 64 | int(more[i])
        found[i] = sum((int(h) << 64 | int(w)) <= number for h, w in zip(high, low, strict=True))
    return found.astype(np.int64)


def kept(k: Integers, r: Integers, uniform: Words, more: Words) -> npt.NDArray[np.bool_]:
    """Is the number uniform 2^-64 + more 2^-128 below e^-t?"""
    t = r.astype(np.float64) * ((k << (WITHIN_BITS + 1)) + r) * 2.0 ** -(2 * SIGMA_BITS + 1)
    difference = np.exp(-t) - uniform * 2.0**-64
    out: npt.NDArray[np.bool_] = difference > 0
    for i in np.flatnonzero(np.abs(difference) < CLOSE):
        out[i] = _below(int(k[i]), int(r[i]), int(uniform[i]) << 64 | int(more[i]))
    return out


def _below(k: int, r: int, number: int) -> bool:
    with gmpy2.context(precision=256):
        exponent = gmpy2.mpfr(r * ((k << (WITHIN_BITS + 1)) + r)) / (2 << 2 * SIGMA_BITS)
        return bool(gmpy2.mpfr(number) < gmpy2.exp(-exponent) * gmpy2.mpfr(2) ** 128)


def sample(count: int) -> Integers:
    """``count`` numbers, from a fresh key of the operating system's entropy; it cannot be seeded."""
    key, op = prg.derive(prg.fresh_secret(), "normal noise"), 0
    parts: list[Integers] = [np.empty(0, np.int64)]
    missing = count
    while missing > 0:
        op += 1
        n = missing + missing // 32 + 16  # about one in sixty is rejected
        words = prg.words(key, op, COINS, 5 * n).reshape(5, n)
        k = cells(words[0], words[1])
        r = (words[2] >> np.uint64(64 - WITHIN_BITS)).astype(np.int64)
        negative = (words[2] & np.uint64(1)).astype(bool)
        fine = kept(k, r, words[3], words[4])
        n_abs = (k << WITHIN_BITS) + r
        fine &= ~(negative & (n_abs == 0))  # 0 has one sign
        got = np.where(negative, -n_abs, n_abs)[fine][:missing]
        parts.append(got)
        missing -= got.size
    return np.concatenate(parts)
