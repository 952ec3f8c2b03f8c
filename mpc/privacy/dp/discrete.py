"""Discrete Laplace by the bits of a geometric, discrete Gaussian by a table."""
from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext
from functools import cached_property
from typing import Any, Final

import numpy as np

from mpc.errors import NotSupported
from mpc.fixed_point import Words
from mpc.privacy.dp import accounting
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.circuits import below, biased, compressed
from mpc.privacy.dp.coins import Coins
from mpc.privacy.dp.mechanisms import Integers, Mechanism, Norms, Probabilities

RESOLUTION: Final = 40  # bits of a biased coin
MOST_BITS: Final = 62
DIGITS: Final = 40  # decimal ones, with which biases are computed
LEAST_RATE: Final = 1e-15
TAIL: Final = 40.0  # a geometric is cut where e^-40 of it is left
MOST_SUPPORT: Final = 1 << 22
EXACT_SUPPORT: Final = 1 << 13  # up to which the privacy loss is computed from the probabilities themselves
MOST_THRESHOLDS: Final = 512


def resolution(epsilon: float, values: float) -> int:
    """Bits of a coin with which (1 + e^epsilon) times the total variation of so many values is what 40 bits give one value."""
    return min(MOST_BITS, RESOLUTION + math.ceil(epsilon / math.log(2)) + math.ceil(math.log2(max(1.0, values))))


class DiscreteLaplace(Mechanism):
    """P(n) = (1 - q) / (1 + q) q^|n| with q = e^-rate, in grid steps.

    n = z (s ? -(1 + g) : 1 + g): z is 1 with probability 2q / (1 + q), the sign s a fair coin, and g geometric, whose bit i
    is independently 1 with probability q^(2^i) / (1 + q^(2^i)), i < k = ceil(log2(40 / rate)). With y_i = g_i ^ s the integer
    is sum 2^i (z y_i) - (2^k + 1)(z s) + z: k + 1 biased coins, half of what the difference of two geometrics takes. Rounds:
    6 + 1 + 1; about 88 (k + 1) bits each way (`cost` says exactly). `total_variation` bounds the distance to the formula: the
    coins' rounding to 2^-bits and the cut tail.
    """

    def __init__(self, rate: float, bits: int = RESOLUTION) -> None:
        if not LEAST_RATE < rate <= 40:
            raise ValueError(f"rate {rate} per grid step; want more than {LEAST_RATE:g} and at most 40: above, no noise is "
                             "left")
        if not 16 <= bits <= MOST_BITS:
            raise ValueError(f"coins of {bits} bits; want 16 to {MOST_BITS}")
        self.rate = float(rate)
        self.bits = bits
        self.places = max(1, math.ceil(math.log2(TAIL / rate)))
        with localcontext(Context(prec=DIGITS)):
            exact = Decimal(self.rate)
            biases = [2 / (exact.exp() + 1), *(1 / (1 + (exact * (1 << i)).exp()) for i in range(self.places))]
            self.thresholds = [int((p * (1 << bits)).to_integral_value()) for p in biases]
            wrong = sum(abs(t - p * (1 << bits)) for t, p in zip(self.thresholds, biases, strict=True)) / (1 << bits)
        self.total_variation = float(wrong) * (1 + 2.0**-50) + math.exp(-self.rate * 2.0**self.places)

    @property
    def key(self) -> tuple[Any, ...]:
        return "DiscreteLaplace", self.rate, self.bits

    @property
    def std(self) -> float:
        return math.sqrt(2 * math.exp(-self.rate)) / -math.expm1(-self.rate)

    def circuit(self, coins: Coins) -> Words:
        k = self.places
        drawn = biased(coins, self.thresholds, self.bits)
        z, sign = drawn[:1], coins.fair(1)
        planes = np.concatenate([z, drawn[1:] ^ sign, sign])
        kept = coins.both(planes, [0] * (k + 1), range(1, k + 2))
        return coins.total(np.concatenate([kept, z]), [*(1 << i for i in range(k)), -(1 << k) - 1, 1])

    def pmf(self) -> tuple[Integers, Probabilities]:
        k = self.places
        if 2 << k > MOST_SUPPORT:
            raise NotSupported(f"{self!r} has {2 << k} values; its probabilities are listed up to {MOST_SUPPORT}")
        p = [math.ldexp(t, -self.bits) for t in self.thresholds]
        geometric = np.ones(1)
        for one in p[1:]:
            geometric = np.concatenate([geometric * (1 - one), geometric * one])
        side = geometric * (p[0] / 2)
        support = np.arange(-(1 << k), (1 << k) + 1)
        return support, np.concatenate([side[::-1], [1 - p[0]], side])

    def privacy(
        self, l1: float | None = None, l2: float | None = None, linf: float | None = None, size: int = 1
    ) -> Guarantee:
        """One value: from the probabilities themselves where they are few, else the formula and the distance to it. Several
        values: the worst mechanism that is (rate * l1, 0) private, and the distance for each value that can differ."""
        norms = Norms(l1, l2, linf, size)
        if norms.single and 2 << self.places <= EXACT_SUPPORT:
            bound = accounting.Pure(self.rate * norms.linf, self.total_variation)
            return accounting.from_pmf(*self.pmf(), norms.linf, bound, self.total_variation)
        if norms.single:
            return accounting.discrete_laplace(self.rate, norms.linf, self.total_variation)
        return accounting.pure(self.rate * norms.l1, self.total_variation * norms.changed)


class DiscreteGaussian(Mechanism):
    """P(n) ~ e^(-n^2 / 2 sigma^2) on the integers, |n| <= 9 sigma, by its inverse distribution function.

    One uniform u of ``bits`` coins against the cumulated probabilities of |n|, each rounded to 2^-bits, and a fair sign: |n|
    = sum over k of 1{u < T_k}, T_k ~ P(|n| >= k), counted by full adders. About 20 opened bits per threshold, 7 sigma
    thresholds (`cost` says exactly): at sigma = 16 two thirds of 1,024 coins of `Binomial`. But its tails are as coarse as
    its coins: for vectors the total variation, once for each value, soon is more than delta, so `Gaussian` draws `Binomial`.
    Exact rejection sampling (Canonne, Kamath, Steinke 2020) takes a secret number of rounds and so cannot run on shares; the
    same table serves in clear, so that `pmf` is what runs.
    """

    def __init__(self, sigma: float, bits: int = RESOLUTION) -> None:
        if not 0.1 <= sigma <= MOST_THRESHOLDS / 9:
            raise NotSupported(f"sigma {sigma} grid steps; want 0.1 to {MOST_THRESHOLDS / 9:.4g} (Gaussian has no such bound)")
        if not 16 <= bits <= MOST_BITS:
            raise ValueError(f"coins of {bits} bits; want 16 to {MOST_BITS}")
        self.sigma = float(sigma)
        self.bits = bits

    @cached_property
    def _ideal(self) -> Probabilities:
        """Of |n| = 0, 1, ... far into the tail."""
        n = np.arange(math.ceil(40 * self.sigma) + 2)
        weights = np.exp(-(n**2) / (2 * self.sigma**2)) * np.where(n == 0, 1.0, 2.0)
        return np.asarray(weights / weights[::-1].sum())

    @cached_property
    def thresholds(self) -> list[int]:
        """T_k / 2^bits ~ P(|n| >= k) for k = 1, 2, ... as long as it is not 0."""
        tails = self._ideal[::-1].cumsum()[::-1][1:]
        rounded = [round(math.ldexp(float(p), self.bits)) for p in tails[: math.ceil(9 * self.sigma) + 1]]
        return [t for t in rounded if t]

    @cached_property
    def total_variation(self) -> float:
        """Of what is drawn to the formula."""
        got = self._magnitudes()
        ideal = self._ideal
        whole = np.zeros_like(ideal)
        whole[: len(got)] = got
        return float(np.abs(whole - ideal).sum() / 2) + 2.0**-50

    def _magnitudes(self) -> Probabilities:
        scaled = [1 << self.bits, *self.thresholds, 0]
        return np.array([math.ldexp(a - b, -self.bits) for a, b in zip(scaled[:-1], scaled[1:], strict=True)])

    @property
    def key(self) -> tuple[Any, ...]:
        return "DiscreteGaussian", self.sigma, self.bits

    @property
    def std(self) -> float:
        support, p = self.pmf()
        return float(np.sqrt(np.sum(p * support**2)))

    def circuit(self, coins: Coins) -> Words:
        planes, weights = compressed(coins, [below(coins, coins.fair(self.bits), self.thresholds)])
        sign, count = coins.fair(1), len(planes)
        negative = coins.both(np.concatenate([planes, sign]), range(count), [count] * count)
        # a fair sign on a magnitude: n - 2 n s
        return coins.total(np.concatenate([planes, negative]), [*weights, *(-2 * w for w in weights)])

    def pmf(self) -> tuple[Integers, Probabilities]:
        p = self._magnitudes()
        top = len(p) - 1
        return np.arange(-top, top + 1), np.concatenate([p[:0:-1] / 2, p[:1], p[1:] / 2])

    def privacy(
        self, l1: float | None = None, l2: float | None = None, linf: float | None = None, size: int = 1
    ) -> Guarantee:
        """One value: from the probabilities. Several: the discrete Gaussian's concentrated privacy l2^2 / (2 sigma^2) (Canonne,
        Kamath, Steinke 2020, Theorem 4) and the distance to it for each value that can differ."""
        norms = Norms(l1, l2, linf, size)
        if norms.single:
            return accounting.from_pmf(*self.pmf(), norms.linf, None, self.total_variation)
        return accounting.concentrated(norms.l2**2 / (2 * self.sigma**2), self.total_variation * norms.changed)
