"""Renyi divergence of symmetric counting noise on vectors: per value, for every shift that a value can have.

Wanted is a bound sum_i R(s_i) <= A L2^2 + B c over all integer vectors s with c nonzero values, |s_i| <= linf and norm L2,
per order. Let N = 2^w N' + U + V with U, V uniform on 0 .. 2^w - 1 (noise N' on a grid that is 2^w times coarser). Given N
mod 2^w, N and its shift by 2^w (s + t), 0 <= t <= 1, are mixtures of the same N' shifted by s and, a part t of the time, s +
1. With M = sum P^a Q^(1 - a) = e^((a - 1) R) being jointly convex,

    M(2^w (s + t)) <= (1 - t) M'(s) + t M'(s + 1).                                            (*)

So shifts are evaluated on a ladder of grids: 1 .. 16 on the finest, 8 .. 32 and 16 .. 32 steps on coarser ones. In a cell the
logarithm of (*) less A (s + t)^2 is concave in t; its maximum is found by bisection.

Where the noise of one hypothesis cannot occur under the other, and beyond 9.5 standard deviations, nothing is summed: the
probability of that, for each value that differs, is added to delta (`Guarantee.lost`). For the rest M may be summed over a
part of P: the conversion to (epsilon, delta) bounds (P - e^epsilon Q)+ point by point.
"""
from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np

from mpc.privacy.dp.accounting import ORDERS, RUNS, Curve, Guarantee
from mpc.privacy.dp.mechanisms import Norms, Probabilities

FINEST: Final = 10  # most digits below a step of the coarse noise that are looked at
RUN: Final = 32  # shifts evaluated on one grid; half as many on the finest, where one costs most
WIDTH: Final = 9.5  # standard deviations
MOST_SHIFTS: Final = 4096


class Ladder:
    """``coarse``: probabilities of a count from 0 on, symmetric; the noise has ``fine`` digits below it."""

    def __init__(self, coarse: Probabilities, fine: int) -> None:
        self.coarse = coarse
        self.fine = fine

    def guarantee(self, norms: Norms) -> Guarantee:
        """See this module."""
        # B is about A / 4 in steps of the finest grid looked at: fine enough that it adds one percent
        digits = math.log2(max(32 * norms.changed, 1)) / 2 - math.log2(norms.l2) + self.fine
        level = min(self.fine, FINEST, max(2, math.ceil(digits)))
        a, b, lost = _coefficients(self.coarse.tobytes(), self.fine, level, norms.linf)
        return Guarantee(None, a * norms.l2**2 + b * norms.changed, 0.0, lost * norms.changed)


@lru_cache(maxsize=64)
def _coefficients(coarse: bytes, fine: int, level: int, linf: int) -> tuple[Curve, Curve, float]:
    """(A, B) per order in steps of the fine grid, and the mass that is left out per value."""
    top = np.frombuffer(coarse)
    rounded = fine > level  # the finest grid looked at is coarser than the noise's own
    step = 1 << (fine - level)
    a, b, lost, first = np.zeros_like(ORDERS), np.zeros_like(ORDERS), 0.0, 0
    while True:
        largest = -(-linf // step)
        if not level and largest > min(MOST_SHIFTS, len(top)):
            return np.zeros_like(ORDERS), np.zeros_like(ORDERS), 1.0  # the noise is far too small for that: no guarantee
        run = RUN if first else RUN // 2
        last = largest if not level else min(run, largest)
        shifts = range(first, last + 1)
        log_m, left = _moments(top, level, shifts)
        lost = max(lost, left)
        squares = np.square(np.array(shifts, float))[:, None]
        divergence = log_m / (ORDERS - 1)
        a_here = a * step**2
        if first == 0:
            a_here = np.maximum(a_here, np.max(divergence[1:] / squares[1:], axis=0))
            if rounded:
                b = np.maximum(0.0, np.max(_excess(log_m, a_here, first), axis=0))
        else:
            a_here = np.maximum(a_here, np.max(divergence / squares, axis=0))
            over = _excess(log_m, a_here, first) / squares[:-1] if len(shifts) > 1 else np.zeros((1, len(ORDERS)))
            a_here = a_here + np.maximum(0.0, np.max(over, axis=0))
        a = a_here / step**2
        if largest <= last:
            return a, b, lost
        level, step, first = level - 1, step * 2, run // 2


def _moments(top: Probabilities, level: int, shifts: range) -> tuple[Curve, float]:
    """log M per shift and order, and the largest mass left out."""
    p = refined(top, level)
    centre = (len(p) - 1) / 2
    std = np.sqrt(np.sum(p * (np.arange(len(p)) - centre) ** 2))
    inside = np.abs(np.arange(len(p)) - centre) <= WIDTH * std
    log_m, lost = np.full((len(shifts), len(ORDERS)), -np.inf), 0.0
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    for row, s in enumerate(shifts):
        if s == 0:
            log_m[row] = 0.0
            continue
        overlap = max(len(p) - s, 0)
        q = np.full(len(p), -np.inf)
        q[s:] = log_p[:overlap]
        kept = inside & np.isfinite(q) & np.isfinite(log_p)
        lost = max(lost, float(p[~kept].sum()))
        if not kept.any():
            continue
        log_m[row] = _logs(log_p[kept], log_p[kept] - q[kept])
    return np.maximum(log_m, 0.0), lost


def _logs(log_p: Curve, ratio: Curve) -> Curve:
    """log sum e^(log_p + (order - 1) ratio) for all orders: one exponential for each run of them."""
    term, sums = np.exp(log_p), []
    with np.errstate(over="ignore"):
        for step, count in RUNS:
            factor = np.exp(step * ratio)
            for _ in range(count):
                term *= factor
                sums.append(term.sum())
        out = np.log(np.array(sums))
    for k in np.flatnonzero(~np.isfinite(out)):  # beyond float64
        terms = log_p + (ORDERS[k] - 1) * ratio
        most = terms.max()
        out[k] = most + np.log(np.exp(terms - most).sum())
    return np.asarray(out)


def _excess(log_m: Curve, a: Curve, first: int) -> Curve:
    """The largest log((1 - t) M(s) + t M(s + 1)) / (order - 1) - a (s + t)^2 over 0 <= t <= 1, per cell and order."""
    low, high = log_m[:-1], log_m[1:]
    s = np.arange(first, first + len(low))[:, None]
    rise = np.expm1(np.minimum(high - low, 700.0))  # M(s + 1) / M(s) - 1
    left, right = np.zeros_like(low), np.ones_like(low)
    for _ in range(50):
        t = (left + right) / 2
        up = rise / (1 + rise * t) / (ORDERS - 1) > 2 * a * (s + t)
        left, right = np.where(up, t, left), np.where(up, right, t)

    def value(t: Curve) -> Curve:
        return np.asarray((low + np.log1p(rise * t)) / (ORDERS - 1) - a * (s + t) ** 2)

    return np.maximum(value(left), value(right))


def refined(p: Probabilities, digits: int) -> Probabilities:
    """Probabilities of 2^digits X + U + V for X of probabilities p (from 0 on) and uniform U, V of so many digits: straight
    lines between the p."""
    if not digits:
        return p
    up = np.arange(1, (1 << digits) + 1) / 4.0**digits
    padded = np.concatenate([p, [0.0]])
    before = np.concatenate([[0.0], p])
    lines = padded[:, None] * up + before[:, None] * (2.0**-digits - up)
    return np.asarray(lines.reshape(-1)[: (len(p) << digits) + (1 << digits) - 1])
