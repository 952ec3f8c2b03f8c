"""Choosing one of several privately: the noisy maximum with one-sided geometric noise."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc import sharing
from mpc.errors import ShapeError
from mpc.fixed_point import Words
from mpc.ops.value import Value
from mpc.privacy.dp import accounting, budget
from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.circuits import biased
from mpc.privacy.dp.coins import Coins
from mpc.privacy.dp.discrete import RESOLUTION, DiscreteLaplace, resolution
from mpc.privacy.dp.grid import positive
from mpc.privacy.dp.laplace import MOST_EPSILON, REPORTED_DELTA
from mpc.privacy.dp.mechanisms import Integers, Mechanism, Norms, Probabilities
from mpc.tensor import SecretTensor


class Geometric(Mechanism):
    """P(g) = (1 - q) q^g, g >= 0, q = e^-rate: bit i is independently 1 with probability q^(2^i) / (1 + q^(2^i)), as in
    `DiscreteLaplace`. As additive noise it guarantees nothing (g >= 0 tells a bound); the place of the largest sum does."""

    def __init__(self, rate: float, bits: int = RESOLUTION) -> None:
        two_sided = DiscreteLaplace(rate, bits)  # its bits without the first coin and the sign
        self.rate, self.bits, self.places = two_sided.rate, bits, two_sided.places
        self.thresholds = two_sided.thresholds[1:]
        self.total_variation = two_sided.total_variation

    @property
    def key(self) -> tuple[Any, ...]:
        return "Geometric", self.rate, self.bits

    @property
    def std(self) -> float:
        return math.exp(-self.rate / 2) / -math.expm1(-self.rate)

    def circuit(self, coins: Coins) -> Words:
        return coins.total(biased(coins, self.thresholds, self.bits), [1 << i for i in range(self.places)])

    def pmf(self) -> tuple[Integers, Probabilities]:
        support, both = DiscreteLaplace(self.rate, self.bits).pmf()
        side = both[support > 0]
        return np.arange(len(side)), side / side.sum()

    def privacy(
        self, l1: float | None = None, l2: float | None = None, linf: float | None = None, size: int = 1
    ) -> Guarantee:
        """Of the *place* of the largest of ``size`` noisy scores that each move by at most ``linf`` steps: (2 rate linf, 0),
        up to total variation.

        With the other noises fixed, i is chosen if and only if g_i >= t, which has probability q^max(t, 0); t moves by at most
        2 linf between neighbours, whatever the rule for equal scores.
        """
        return accounting.pure(2 * self.rate * Norms(l1, l2, linf, size).linf, self.total_variation * size)


class Exponential:
    """Select the candidate of (nearly) the largest score, (epsilon, delta) private with a delta of about 1e-11 per candidate.

    ``sensitivity``: how far one person can move any single score. P(i) follows permute-and-flip (McKenna, Sheldon 2020),
    which the noisy maximum with geometric noise is (Ding et al. 2021), on the scores' own grid: it errs less than, and is as
    private as, the exponential mechanism of McSherry and Talwar. Only the place is revealed, never a score or its noise.
    """

    def __init__(self, epsilon: float, sensitivity: float | None = None, *, truncations: int | None = None) -> None:
        self.epsilon = positive("epsilon", epsilon)
        if self.epsilon > MOST_EPSILON:
            raise ValueError(f"epsilon {epsilon}; want at most {MOST_EPSILON:g}: beyond it the noise protects nobody")
        if sensitivity is None:
            raise ValueError("Exponential without a sensitivity: say by how much one person can move a score (sensitivity=...)")
        self.sensitivity = positive("sensitivity", sensitivity)
        self.truncations = truncations

    @property
    def key(self) -> tuple[Any, ...]:
        return "Exponential", self.epsilon, self.sensitivity, self.truncations

    def __repr__(self) -> str:
        return f"Exponential(epsilon={self.epsilon:g}, sensitivity={self.sensitivity:g})"

    def select(self, scores: SecretTensor, to: int | Sequence[int] | None = None, reason: str = "") -> int | None:
        """The place of the chosen one of ``scores`` (one axis) at the receivers, None elsewhere.

        Costs the noise, a maximum over the scores and one reveal. Raises BudgetExceeded before anything opens, ShapeError.
        """
        return self.selected(scores, to, reason)

    def selected(self, scores: SecretTensor, to: int | Sequence[int] | None, reason: str) -> int | None:
        """`select`, with the ledger's line at its caller's caller."""
        if scores.ndim != 1 or not scores.shape[0]:
            raise ShapeError(f"scores of shape {scores.shape}; want one axis with at least one candidate")
        party, count, receivers = scores.party, scores.shape[0], scores.party.receivers(to)
        value = scores._value
        if not value.gain:
            raise ValueError("scores times 0: there is nothing to select by")
        share = -value.share if value.gain < 0 else value.share  # a public factor keeps the order, or turns it round
        exact = share.scale == 0 or share.scale > party.frac_bits
        truncations = (0 if exact else 1) if self.truncations is None else self.truncations
        steps = math.ceil(self.sensitivity / (abs(value.gain) * 2.0**-share.scale)) + truncations
        noise = Geometric(self.epsilon / (2 * steps), resolution(self.epsilon, count))
        guarantee = noise.privacy(linf=steps, size=count)
        party.note("dp", self.key, noise.key, value.number, truncations)
        budgets = budget.charge(party, guarantee, str(self), reason)
        noisy = sharing.add(share.rescaled(0), noise.sample_shares(party, (count,)))  # integers: compared without truncation
        place = SecretTensor(Value(party, noisy)).argmax()
        remark = f"epsilon={guarantee.epsilon(REPORTED_DELTA):.4g}, delta={REPORTED_DELTA:g}{budgets}"
        got = party.reveal(place._value.settled(exact=True), receivers, reason, depth=3, remark=remark)
        return None if got is None else round(float(got))
