"""Updates as integers, and what the ring must hold so that no sum and no square wraps around.

q = round(w 2^frac_bits), ties to even: |w - q 2^-frac_bits| <= 2^-(frac_bits + 1). A weighted mean of quantised updates is
off by as much at most, whatever the weights: it is an average of the single errors.

The arithmetic of `Limits`, in units of the ring (u = 2^frac_bits; dim values per update, c contributions):

- N = max_norm u (1 + 2^-20) + sqrt(dim)/2 is what an honest update's norm cannot exceed after rounding, so that a client that
  clips at exactly max_norm (in float32, too) passes.
- Sum: |sum n_i q_ij| <= c max_weight B < 2^62, where B is the largest |q| that passes (from the bound, else N).
- Norm: the parties compute S = sum q_j^2 modulo 2^64 and want 0 <= S <= N^2. A client may send any words, whose S wraps to
  whatever it likes. So `PROJECTIONS` = 128 public sums X_k = sum r_kj q_j, with r in {-1, 0, 1} at odds 1:2:1 drawn after the
  messages have arrived, must satisfy |X_k| <= T = 8 N.
  *Sound*: (1) Suppose some word has |q_j| > 2 T. Given the other coins of row k, X_k is t, or t +- q_j; of t (probability 1/2)
  and t +- q_j (1/2 together) only one kind can lie in [-T, T] modulo 2^64, so all 128 rows pass with probability <= 2^-128.
  (2) Otherwise all |q_j| <= 2 T, and with 2 dim T < 2^63 the X_k are sums over the integers: E X^2 = L^2 / 2 for L the norm,
  E X^4 <= 3 (E X^2)^2, so by Paley and Zygmund P(X^2 > E X^2 / 10) >= 0.9^2 / 3 = 0.27, and L^2 > 20 T^2 passes all rows with
  probability <= 0.73^128 < 2^-58. What passes has S <= 20 T^2 = 1280 N^2 over the integers; with 1280 N^2 < 2^63
  nothing wrapped, and S <= N^2 is the truth: the norm is enforced exactly but for a chance of 2^-58.
  *Complete*: E exp(tX) <= exp(t^2 L^2 / 4), so an honest row fails with probability <= 2 exp(-T^2 / N^2) = 2 exp(-64), and an
  honest client is refused with probability <= 2^-84.
- Bound, where one is given: each word is compared with both ends, exact for all 2^64 words.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mpc import fixed_point
from mpc.errors import ConfigError, FixedPointRangeError
from mpc.federated.aggregators.base import checked_update
from mpc.fixed_point import Floats, Words

PROJECTIONS: Final = 128
WIDTH: Final = 8  # T / N
SLACK: Final = 2.0**-20
SUM_BITS: Final = 62
SQUARES: Final = 20 * WIDTH**2  # what passes the projections has a norm below sqrt(this) N


@dataclass(frozen=True)
class Limits:
    """What an update may be: ``max_norm`` (L2), ``bound`` (each value), whole weights from 1 to ``max_weight``; at least one
    of the first two. A norm bounds every value too: ``bound`` beside it is for a smaller one. Raises ConfigError."""

    frac_bits: int = 20
    max_norm: float | None = 32.0
    bound: float | None = None
    max_weight: int = 1 << 20

    def __post_init__(self) -> None:
        if not isinstance(self.frac_bits, int) or not 0 <= self.frac_bits <= 40:
            raise ConfigError(f"got frac_bits {self.frac_bits!r}; want 0 to 40")
        if self.max_norm is None and self.bound is None:
            raise ConfigError("got neither max_norm nor bound; want one: without a limit a single client decides the result")
        for name, value in (("max_norm", self.max_norm), ("bound", self.bound)):
            if value is not None and not (math.isfinite(value) and value * 2.0**self.frac_bits >= 1):
                raise ConfigError(f"got {name} {value!r}; want at least one unit, 2^-{self.frac_bits}, and finite")
        if not isinstance(self.max_weight, (int, np.integer)) or not 1 <= self.max_weight < 1 << 40:
            raise ConfigError(f"got max_weight {self.max_weight!r}; want a whole number from 1, below 2^40")

    def largest(self, length: int) -> int:
        """B: the largest |q| of a valid update, in units."""
        ends = [] if self.max_norm is None else [self.norm(length)]
        return min(ends + ([] if self.bound is None else [self.end]))

    @property
    def end(self) -> int:
        """The bound in units, rounded as the values are."""
        assert self.bound is not None
        return int(np.rint(math.ldexp(self.bound, self.frac_bits)))

    def norm(self, length: int) -> int:
        """N: the largest norm of a valid update, in units."""
        assert self.max_norm is not None
        return math.ceil(math.ldexp(self.max_norm * (1 + SLACK), self.frac_bits) + math.sqrt(length) / 2)

    def check(self, length: int, clients: int = 1, session: int | None = None) -> None:
        """Raise ConfigError where a sum over so many clients, or a square, could leave the ring; or their mean what a session
        with that many fraction bits holds (``session``)."""
        what = f"{length} values at {self.frac_bits} fraction bits"
        if self.max_norm is not None:
            norm = self.norm(length)
            if SQUARES * norm**2 >= 1 << 63 or 2 * length * WIDTH * norm >= 1 << 63:
                most = max(0.0, math.ldexp(math.sqrt(2**63 / SQUARES) - math.sqrt(length) / 2, -self.frac_bits))
                raise ConfigError(f"max_norm {self.max_norm:g} with {what}: squares could wrap; want at most about {most:.4g}, "
                                  "or fewer frac_bits")
        if clients * self.max_weight * self.largest(length) >= 1 << SUM_BITS:
            raise ConfigError(f"{clients} clients with weights up to {self.max_weight} and {what}: their sum could wrap; want "
                              "a smaller max_weight (divide all weights by a common factor) or fewer frac_bits")
        if session is not None and math.ldexp(self.largest(length), -self.frac_bits) >= fixed_point.bound(session):
            raise ConfigError(f"a secret mean with {what} could leave the session's |x| < {fixed_point.bound(session):g}; want "
                              "a smaller max_norm or bound, or a session with fewer frac_bits")

    def encode(self, update: Any) -> Words:
        """Ring words of an update. Raises FixedPointRangeError for NaN, infinities, values beyond the bound, and a norm beyond
        max_norm; ShapeError for another shape; ConfigError where `check` does."""
        values = checked_update(update, math.inf if self.bound is None else self.bound)
        self.check(values.size)
        if self.max_norm is not None:
            norm = float(np.linalg.norm(values))
            if not norm <= self.max_norm * (1 + SLACK / 2):
                raise FixedPointRangeError(
                    f"got an update of norm {norm:g}; want at most max_norm = {self.max_norm:g}: clip it (scale it by "
                    "max_norm / norm) before it is sent, or raise max_norm everywhere"
                )
        return np.rint(np.ldexp(values, self.frac_bits)).astype(np.int64).view(np.uint64)

    def decode(self, total: Floats, weight: float) -> Floats:
        """The mean for a sum of n_i q_i, given as float64, and the sum of the n_i. Error: 2^-(frac_bits + 1), and float64's."""
        return np.ldexp(total, -self.frac_bits) / weight
