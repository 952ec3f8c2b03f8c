"""Harmonics of an angle (section 7): the same additions and products of doubles as the compiled kernel, in its order.

Separate ufunc calls cannot be contracted, so every machine rounds alike; see csrc/harmonics_impl.h for why it must.
"""

from math import factorial

import numpy as np

from .checks import WORD, flat

TERMS = 8
SIN_SERIES = [(-1) ** (k + 1) / factorial(2 * k + 3) for k in range(TERMS)]
COS_SERIES = [(-1) ** (k + 1) / factorial(2 * k + 2) for k in range(TERMS)]
EXP_SERIES = [1 / factorial(k) for k in range(13, -1, -1)]
ROUNDER = 6755399441055744.0


def _first(words, bits):
    """cos and sin of 2 pi words / 2^bits."""
    turn = (words << WORD(64 - bits)).view(np.int64).astype(np.float64) * 2.0**-64
    shifted = turn * 4 + ROUNDER
    quarter = shifted.view(WORD)
    x = (turn - (shifted - ROUNDER) * 0.25) * 6.283185307179586
    xx = x * x
    sine, cosine = SIN_SERIES[-1], COS_SERIES[-1]
    for k in range(TERMS - 2, -1, -1):
        sine = sine * xx + SIN_SERIES[k]
        cosine = cosine * xx + COS_SERIES[k]
    sine = sine * xx * x + x
    cosine = cosine * xx + 1
    odd = (quarter & WORD(1)).astype(bool)
    s, c = np.where(odd, cosine, sine), np.where(odd, sine, cosine)
    s = np.where((quarter & WORD(2)).astype(bool), -s, s)
    c = np.where(((quarter + WORD(1)) & WORD(2)).astype(bool), -c, c)
    return c, s


def _harmonics(words, bits, orders):
    """(cos k t, sin k t) for k = 1..orders."""
    c1, s1 = _first(words, bits)
    c, s = c1, s1
    for k in range(orders):
        if k:
            c, s = c * c1 - s * s1, s * c1 + c * s1
        yield c, s


def _nearest(x):
    return (x + ROUNDER).view(WORD) - np.float64(ROUNDER).view(WORD)


def _want_angle(bits, orders):
    if not 1 <= bits <= 63:
        raise ValueError(f"period_bits: got {bits}; want 1..63")
    if orders < 1:
        raise ValueError(f"orders: got {orders}; want at least 1")


def harmonics(r, period_bits, orders, scale, out):
    """out = round(2^scale cos(k t)) for k = 1..orders, then the sines; t = 2 pi r / 2^period_bits."""
    _want_angle(period_bits, orders)
    if not 0 <= scale <= 50:
        raise ValueError(f"scale: got {scale}; want 0..50")
    rows = flat("out", out, 2 * orders * r.size).reshape(2, orders, r.size)
    one = 2.0**scale
    for k, (c, s) in enumerate(_harmonics(r, period_bits, orders)):
        rows[0, k] = _nearest(c * one)
        rows[1, k] = _nearest(s * one)


def fourier_series(d, period_bits, cosines, sines, dealt, out):
    """out = sum_k round(a_k cos k c + b_k sin k c) [cos k t] + round(a_k sin k c - b_k cos k c) [sin k t];
    a, b = cosines, sines; c = 2 pi d / 2^period_bits."""
    orders = len(sines)
    _want_angle(period_bits, orders)
    if len(cosines) != orders:
        raise ValueError(f"cosines: got {len(cosines)} for {orders} sines; want as many")
    flat("d", d, out.size)
    rows = flat("dealt", dealt, 2 * orders * out.size).reshape(2, orders, out.size)
    out[...] = 0
    for k, (c, s) in enumerate(_harmonics(d, period_bits, orders)):
        a, b = cosines[k], sines[k]
        out += _nearest(a * c + b * s) * rows[0, k] + _nearest(a * s - b * c) * rows[1, k]


def exponentials(x, frac, offset, scale, out):
    """out = round(2^scale exp(x 2^-frac + offset)) of two's complement x; the caller keeps results below 2^51."""
    if not 0 <= frac <= 63 or not 0 <= scale <= 50:
        raise ValueError(f"exponentials: got frac {frac}, scale {scale}; want 0..63 and 0..50")
    t = (flat("x", x, out.size).view(np.int64).astype(np.float64) * 2.0**-frac + offset) * 1.4426950408889634
    whole = t + ROUNDER
    g = (t - (whole - ROUNDER)) * 0.6931471805599453
    power = np.full(out.size, EXP_SERIES[0])
    for coefficient in EXP_SERIES[1:]:
        power = power * g + coefficient
    exponent = whole.view(WORD) - np.float64(ROUNDER).view(WORD) + WORD(scale)
    out[...] = _nearest((power.view(WORD) + (exponent << WORD(52))).view(np.float64))
