"""Functions of one secret that protocols evaluate behind one opening, by their public parameters: series and windows."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mpc.fixed_point import Floats

DEALT_SCALE: Final = 25  # of the dealt cosines and sines
PUBLIC_SCALE: Final = 22  # of the public factors
SCALE: Final = DEALT_SCALE + PUBLIC_SCALE  # of a series' value: 31 bits above 16, what a truncation's short parts allow


@dataclass(frozen=True)
class Series:
    """constant + sum_k cosines[k-1] cos(k w x) + sines[k-1] sin(k w x), w = 2 pi / 2^period_log2. Values below 2^14."""

    period_log2: int
    constant: float
    cosines: tuple[float, ...]
    sines: tuple[float, ...]

    @property
    def orders(self) -> int:
        return len(self.sines)

    @property
    def key(self) -> tuple[float, ...]:
        """What the transcript holds of it."""
        return self.period_log2, self.constant, *self.cosines, *self.sines

    def at(self, x: Floats) -> Floats:
        """The series at public points."""
        angle = 2 * np.pi * np.ldexp(np.asarray(x, np.float64), -self.period_log2)
        out = np.full(np.shape(x), self.constant)
        for k, (a, b) in enumerate(zip(self.cosines, self.sines, strict=True), 1):
            out += a * np.cos(k * angle) + b * np.sin(k * angle)
        return out


@dataclass(frozen=True)
class Saturated(Series):
    """The series where -limit <= x < limit, ``low`` below and ``high`` above."""

    limit: float
    low: float
    high: float

    @property
    def key(self) -> tuple[float, ...]:
        """What the transcript holds of it."""
        return *super().key, self.limit, self.low, self.high

    def at(self, x: Floats) -> Floats:
        """The function at public points."""
        return np.where(x < -self.limit, self.low, np.where(x >= self.limit, self.high, super().at(x)))


@dataclass(frozen=True)
class Window:
    """Where an exponential is computed: low <= x < high <= low + 2^width_log2; 0 below, e^high from high on.

    The scales of the dealt and the public factor leave the product below 2^61: their sum is at most 61 - 1.45 high.
    """

    width_log2: int
    low: float
    high: float
    dealt_scale: int
    public_scale: int

    @property
    def scale(self) -> int:
        """Of the untruncated product."""
        return self.dealt_scale + self.public_scale


NONPOSITIVE: Final = Window(4, -15.9, 0.0, 20, 40)  # error 4e-6 beside rounding; 0 itself lies inside the window
QUARTER: Final = Window(3, -4.0, 2.5, 24, 32)  # error 1e-6 beside rounding
