"""Reciprocal, square root and its inverse, logarithm on shares: normalise by a power of four, then one Fourier series.

Thresholds 4^j against one opening (`at_least`) tell where x lies without telling anybody; a public linear map of their bits
gives the secret power c with v = x c in [1/4, 1), and another one brings the series' value back. c is exact in fixed point.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mpc.functions import fits
from mpc.protocols.base import Protocol
from mpc.protocols.series import SCALE, Series
from mpc.sharing import Share, add

RECIPROCAL_LOW = -6  # log2 of the smallest |x| that has a reciprocal
LN2 = 0.6931471805599453
FINE = 20  # scale of a normalised result before it is scaled back: relative error 2^-20


def _from(limit: float, x: Share) -> int:
    """The smallest word that stands for a value of at least ``limit`` at x's scale."""
    return math.ceil(math.ldexp(limit, x.scale))


def _steps(protocol: Protocol, x: Share, limits: Sequence[int], *values: tuple[int, Sequence[float]]) -> list[Share]:
    """Step functions of x: for each (scale, steps) the value steps[j] where limits[j-1] <= x's word < limits[j].

    Steps are multiples of 2^-scale (or rounded to them). One `at_least` kernel; the rest is local.
    """
    bits = protocol.at_least(x, limits)
    rounded = [np.array([round(math.ldexp(q, scale)) for q in steps]) for scale, steps in values]
    protocol.party.note("steps", [row.tolist() for row in rounded])
    weights = np.stack([np.diff(row) for row in rounded]).astype(np.int64).view(np.uint64)
    sums = protocol.matmul_public(bits.reshape((len(limits), x.size)), weights, 0, left=True)
    out = []
    for k, (scale, _) in enumerate(values):
        start = np.asarray(int(rounded[k][0]) % 2**64, np.uint64)
        out.append(protocol.add_public(sums[k].reshape(x.shape).rescaled(scale), start))
    return out


def _scale_of_steps(frac_bits: int) -> int:
    """Fraction bits at which the power for the largest encodable x is exact."""
    return max(16, 33 - frac_bits)


def _fitting(protocol: Protocol, x: Share, frac_bits: int) -> Share:
    """x at a scale to which a power can be multiplied and that a series can take."""
    protocol.expect(x, 31 - frac_bits + x.scale)
    excess = x.scale + _scale_of_steps(frac_bits) - 61
    return x if excess <= 0 else protocol.truncate(x, max(excess, x.scale - frac_bits))


def _scaled_back(protocol: Protocol, v: Share, fit: Series, power: Share) -> Share:
    """fit(v) * power at scale `FINE` + the power's, or 42: the truncation and the product behind one opening."""
    return protocol.mul_truncated(protocol.series(v, fit), SCALE - min(FINE, 42 - power.scale), power)[1]


def reciprocal(protocol: Protocol, x: Share, frac_bits: int) -> Share:
    """1 / x at scale 37 (16 fraction bits), pending; x of any scale up to 2 frac_bits.

    Domain 2^-6 <= |x| < 2^(31 - frac_bits); 0 for |x| < 2^-6. Error: relative 7e-5. Rounds: 3 of the thresholds, then the
    openings of x and c, of v and of the series; 22 thresholds at 16 fraction bits.
    """
    x = _fitting(protocol, x, frac_bits)
    exponents = range(RECIPROCAL_LOW, 31 - frac_bits, 2)
    sizes = [2.0**e for e in exponents]
    powers = [2.0 ** -(e + 2) for e in exponents]
    above = [1 + math.floor(math.ldexp(-t, x.scale)) for t in reversed(sizes)]  # x > -t
    limits = above + [_from(t, x) for t in sizes]
    steps = [-c for c in reversed(powers)] + [0.0] + powers
    (c,) = _steps(protocol, x, limits, (_scale_of_steps(frac_bits), steps))
    return _scaled_back(protocol, protocol.mul(x, c), fits.RECIPROCAL, c)


def _positive(frac_bits: int) -> range:
    """Even exponents e of the thresholds 2^e for positive x: from the smallest encodable value on."""
    return range(-2 * ((frac_bits + 1) // 2), 31 - frac_bits, 2)


def _power_steps(exponents: Sequence[int]) -> list[float]:
    """c with x c in [1/4, 1) for 2^e <= x < 2^(e + 2), and 0 below the first."""
    return [0.0, *(2.0 ** -(e + 2) for e in exponents)]


def rsqrt(protocol: Protocol, x: Share, frac_bits: int) -> Share:
    """x^(-1/2) at scale 37 (16 fraction bits), pending; x of any scale up to 2 frac_bits.

    Domain 2^-frac_bits <= x < 2^(31 - frac_bits); the value of the lower end (256) below it, for negative x too. Error:
    relative 2e-5. Rounds: as `reciprocal`; 16 thresholds at 16 fraction bits.
    """
    exponents = [e for e in _positive(frac_bits) if -e <= 2 * (30 - frac_bits)]  # whose results can be encoded
    scale = _scale_of_steps(frac_bits)
    end = 2.0 ** (-exponents[0] / 2) / float(fits.ROOT_INVERSE.at(np.zeros(())))
    back = [end, *(2.0 ** -(e / 2 + 1) for e in exponents)]
    return _root(protocol, x, frac_bits, exponents, fits.ROOT_INVERSE, (scale, back))


def sqrt(protocol: Protocol, x: Share, frac_bits: int) -> Share:
    """x^(1/2) at scale 37 (16 fraction bits), pending; x of any scale up to 2 frac_bits.

    Domain 0 <= x < 2^(31 - frac_bits); 0 for negative x. Error: relative 3e-5 from 2^-frac_bits on. Rounds: as `rsqrt`.
    """
    exponents, scale = _positive(frac_bits), _scale_of_steps(frac_bits)
    back = [0.0, *(2.0 ** (e / 2 + 1) for e in exponents)]
    return _root(protocol, x, frac_bits, exponents, fits.ROOT, (scale, back))


def rsqrt_coarse(protocol: Protocol, x: Share, low: int, high: int) -> Share:
    """x^(-1/2) at scale 20, pending, with a relative error of 1.1 %: for step sizes. x of any scale.

    Domain 2^low <= x < 2^high (low even, high <= 20); 2^(-low/2) below it. Rounds: as `rsqrt`; a threshold for each
    factor of 16.
    """
    if x.scale > 40:
        x = protocol.truncate(x, x.scale - 40)
    exponents = range(low, high, 4)
    end = 2.0 ** (-low / 2) / float(fits.ROOT_INVERSE_COARSE.at(np.zeros(())))
    c, m = _steps(
        protocol,
        x,
        [_from(2.0**e, x) for e in exponents],
        (20, [0.0, *(2.0 ** -(e + 4) for e in exponents)]),
        (10, [end, *(2.0 ** -(e / 2 + 2) for e in exponents)]),
    )
    series = protocol.series(protocol.mul(x, c), fits.ROOT_INVERSE_COARSE)
    return protocol.mul_truncated(series, SCALE - 10, m)[1]


def _root(
    protocol: Protocol, x: Share, frac_bits: int, exponents: Sequence[int], fit: Series, back: tuple[int, Sequence[float]]
) -> Share:
    x = _fitting(protocol, x, frac_bits)
    limits = [_from(2.0**e, x) for e in exponents]
    c, m = _steps(protocol, x, limits, (_scale_of_steps(frac_bits), _power_steps(exponents)), back)
    return _scaled_back(protocol, protocol.mul(x, c), fit, m)


def log(protocol: Protocol, x: Share, frac_bits: int) -> Share:
    """Natural logarithm at scale 47, pending; x of any scale up to 2 frac_bits.

    Domain 2^-frac_bits <= x < 2^(31 - frac_bits); the value of the lower end (-11.09) below it, for negative x too. Error
    1.2e-5. Rounds: 3 of the thresholds, then the openings of x and c, and of v.
    """
    exponents = _positive(frac_bits)
    x = _fitting(protocol, x, frac_bits)
    limits = [_from(2.0**e, x) for e in exponents]
    offsets = [exponents[0] * LN2 - float(fits.LOG.at(np.zeros(()))), *((e + 2) * LN2 for e in exponents)]
    c, offset = _steps(protocol, x, limits, (_scale_of_steps(frac_bits), _power_steps(exponents)), (SCALE, offsets))
    return add(protocol.series(protocol.mul(x, c), fits.LOG), offset)


def _sum_limits(most: int) -> list[int]:
    """4, 16, ... below ``most``."""
    return [4**j for j in range(1, most.bit_length()) if 4**j < most]


def reciprocal_of_sum(protocol: Protocol, s: Share, most: int) -> Share:
    """1 / s for 1 <= s <= most, pending: up to 16 by one series alone (error 9e-5), beyond normalised (relative 7e-5)."""
    if most <= 16:
        return protocol.series(s, fits.RECIPROCAL_16)
    limits = _sum_limits(most)
    powers = [4.0 ** -(j + 1) for j in range(len(limits) + 1)]
    (c,) = _steps(protocol, s, [_from(t, s) for t in limits], (2 * len(limits) + 2, powers))
    return _scaled_back(protocol, protocol.mul(s, c), fits.RECIPROCAL, c)


def log_of_sum(protocol: Protocol, s: Share, most: int) -> Share:
    """log s for 1 <= s <= most at scale 47, pending, error 3e-5: up to 16 by one series alone, beyond normalised."""
    if most <= 16:
        return protocol.series(s, fits.LOG_16)
    limits = _sum_limits(most)
    powers, offsets = zip(*((4.0**-j, 2 * j * LN2) for j in range(1, len(limits) + 2)), strict=True)
    c, offset = _steps(protocol, s, [_from(t, s) for t in limits], (2 * len(limits) + 2, powers), (SCALE, offsets))
    return add(protocol.series(protocol.mul(s, c), fits.LOG), offset)
