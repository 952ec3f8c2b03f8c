"""Laplace noise for sums, counts and histograms: discrete Laplace on the value's own grid."""
from __future__ import annotations

import math
from typing import Any, Final

from mpc.privacy.dp.accounting import Guarantee
from mpc.privacy.dp.discrete import LEAST_RATE, DiscreteLaplace, resolution
from mpc.privacy.dp.grid import Grid, positive, too_much
from mpc.privacy.dp.mechanisms import Mechanism

MOST_EPSILON: Final = 12.0
REPORTED_DELTA: Final = 1e-9


class Laplace(Grid):
    """(epsilon, delta) privacy for values of L1 ``sensitivity``, with a delta of about 1e-11 that comes of the coins' 40 bits.

    P(n steps) ~ exp(-epsilon |n| / sensitivity in steps): nothing is rounded and no floating-point noise is added. Raises
    ValueError for an epsilon above 12, which protects nobody.
    """

    def __init__(
        self, epsilon: float, sensitivity: float | None = None, *, truncations: int | None = None, grid: float | None = None
    ) -> None:
        self.epsilon = positive("epsilon", epsilon)
        if self.epsilon > MOST_EPSILON:
            raise ValueError(f"epsilon {epsilon}; want at most {MOST_EPSILON:g}: beyond it the noise protects nobody")
        self.delta = REPORTED_DELTA
        super().__init__(sensitivity, truncations, grid)
        self.declared()

    @property
    def key(self) -> tuple[Any, ...]:
        return "Laplace", self.epsilon, self.sensitivity, self.truncations

    def enlarged(self, steps: float, size: int, truncations: int) -> float:
        return math.ceil(steps) + truncations * size

    def noise(self, steps: float, size: int) -> Mechanism:
        if self.epsilon / steps <= LEAST_RATE:
            raise too_much(math.sqrt(2) * steps / self.epsilon, math.sqrt(2) / LEAST_RATE)
        return DiscreteLaplace(self.epsilon / steps, resolution(self.epsilon, min(size, steps)))

    def guarantee(self, noise: Mechanism, steps: float, size: int) -> Guarantee:
        return noise.privacy(l1=steps, size=size)
