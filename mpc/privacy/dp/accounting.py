"""What a release guarantees, and what several guarantee together.

`Guarantee` holds up to four things, each of which composes by itself: a privacy loss distribution (exact, discretised
pessimistically by Google's dp-accounting), a curve of Renyi divergences (for vectors), and the total variation between noise
that was accounted for and noise that was drawn. `delta(epsilon)` adds them up; `epsilon(delta)` inverts it.

Sources: privacy loss distributions: Koskela et al. 2020, Doroshenko et al. 2022. Renyi divergence: Mironov 2017; its
conversion: Canonne, Kamath, Steinke 2020, Proposition 12.
"""
from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mpc.privacy.extras import needed

Curve = npt.NDArray[np.float64]

RUNS: Final = ((1 / 16, 16), (1 / 8, 8), (1 / 4, 20), (1.0, 24), (4.0, 8), (16.0, 12), (64.0, 12), (128.0, 8))  # (step, count)
ORDERS: Final[Curve] = 1 + np.cumsum(np.repeat([step for step, _ in RUNS], [n for _, n in RUNS]))  # of divergences: to 2048
INTERVAL: Final = 1e-4  # of the discretised privacy loss
STEPS: Final = 4096
LOG_CUT: Final = -50.0  # e^-50 of the mass may count as infinite loss instead: bounds the distribution's length
_SPLITS: Final = tuple(np.linspace(0.0, 1.0, 17).tolist())


class Pure(NamedTuple):
    """(epsilon, 0) privacy of noise within ``total_variation`` of the noise drawn."""

    epsilon: float
    total_variation: float


class Guarantee:
    """(epsilon, delta) differential privacy of one release or of many, for every epsilon at once."""

    __slots__ = ("lost", "pld", "pure", "rdp", "total_variation")

    def __init__(
        self, pld: Any = None, rdp: Curve | None = None, total_variation: float = 0.0, lost: float = 0.0,
        pure: Pure | None = None,
    ) -> None:  # fmt: skip
        self.pld = pld  # dp_accounting's PrivacyLossDistribution
        self.rdp = rdp  # Renyi divergence at ORDERS, both ways the larger
        self.total_variation = total_variation  # between the noise that these account for and the noise drawn
        self.lost = lost  # probability of noise that the Renyi curve leaves out
        self.pure = pure  # another bound on all of it

    def __add__(self, other: Guarantee) -> Guarantee:
        """Both releases."""
        pld = self.pld if other.pld is None else other.pld if self.pld is None else self.pld.compose(other.pld)
        rdp = self.rdp if other.rdp is None else other.rdp if self.rdp is None else self.rdp + other.rdp
        a, b = self.pure, other.pure
        pure = None if a is None or b is None else Pure(a.epsilon + b.epsilon, a.total_variation + b.total_variation)
        return Guarantee(pld, rdp, self.total_variation + other.total_variation, self.lost + other.lost, pure)

    def repeated(self, times: int) -> Guarantee:
        """So many releases with fresh noise each."""
        if times < 1:
            raise ValueError(f"{times} releases; want at least 1")
        if times == 1:
            return self
        pld = None if self.pld is None else self.pld.self_compose(times)
        rdp = None if self.rdp is None else self.rdp * times
        pure = None if self.pure is None else Pure(self.pure.epsilon * times, self.pure.total_variation * times)
        return Guarantee(pld, rdp, self.total_variation * times, self.lost * times, pure)

    def delta(self, epsilon: float) -> float:
        """The smallest delta shown for this epsilon.

        Noise within total variation t of (epsilon, delta) private noise is (epsilon, delta + (1 + e^epsilon) t) private.
        """
        if not epsilon >= 0:
            raise ValueError(f"epsilon {epsilon}; want a number of at least 0")
        if self.pld is None or self.rdp is None:
            shown = self._loss(epsilon) + self._divergence(epsilon)
        else:  # one epsilon for each kind: any split of the whole will do
            shown = min(self._loss(part * epsilon) + self._divergence((1 - part) * epsilon) for part in _SPLITS)
        found = shown + self.lost + _slack(self.total_variation, epsilon)
        if self.pure is not None and epsilon >= self.pure.epsilon:
            found = min(found, _slack(self.pure.total_variation, self.pure.epsilon))
        return min(1.0, found)

    def within(self, epsilon: float, delta: float) -> bool:
        """Is it (epsilon, delta) private, as far as is shown here? What holds for a smaller epsilon holds, though the delta
        that total variation adds grows with epsilon."""
        return self.delta(epsilon) <= delta or self.epsilon(delta) <= epsilon

    def epsilon(self, delta: float) -> float:
        """The smallest epsilon found for this delta; infinite where there is none (delta below what the coins resolve)."""
        if not 0 <= delta < 1:
            raise ValueError(f"delta {delta}; want at least 0 and less than 1")
        if self.delta(0.0) <= delta:
            return 0.0
        high = next((e for e in self._candidates() if self.delta(e) <= delta), math.inf)
        if math.isinf(high):
            return high
        low = 0.0
        for _ in range(40):  # what is kept as high holds, whatever delta does below
            middle = (low + high) / 2
            low, high = (low, middle) if self.delta(middle) <= delta else (middle, high)
        return high

    def _candidates(self) -> Iterator[float]:
        """Where an epsilon may do: delta falls at first, and grows again where total variation dominates."""
        if self.pure is not None:
            yield self.pure.epsilon
        yield from (2.0**k for k in range(-6, 6))
        yield from (2.0 ** (k / 8) for k in range(-48, 80))

    def _loss(self, epsilon: float) -> float:
        """Of the privacy loss distribution. One by one: for several at once dp-accounting subtracts what nearly cancels."""
        return 0.0 if self.pld is None else max(0.0, float(self.pld.get_delta_for_epsilon(float(epsilon))))

    def _divergence(self, epsilon: float) -> float:
        """exp((a - 1)(R(a) - epsilon)) / (a - 1) * (1 - 1/a)^a at the best order a."""
        if self.rdp is None:
            return 0.0
        a = ORDERS
        log = (a - 1) * (self.rdp - epsilon) - np.log(a - 1) + a * np.log1p(-1 / a)
        return math.exp(min(0.0, float(np.min(log))))

    def __repr__(self) -> str:
        return f"Guarantee(epsilon={self.epsilon(1e-6):.4g} at delta=1e-6)"


def _slack(total_variation: float, epsilon: float) -> float:
    return (1.0 + math.exp(min(epsilon, 700.0))) * total_variation if total_variation else 0.0


def from_pmf(
    support: npt.NDArray[np.int64], probabilities: Curve, shift: int, bound: Pure | None = None, total_variation: float = 0.0
) -> Guarantee:
    """Exact: noise of this distribution, which is symmetric, on an integer that differs by ``shift``.

    ``total_variation``: its distance to a log-concave distribution. That covers every smaller shift by itself; the noise drawn
    is as near for both shifts, so twice the distance is added, unless there is no smaller shift.
    """
    needed("dp_accounting")
    from dp_accounting.pld import privacy_loss_distribution

    def mass(by: int) -> Mapping[int, float]:
        kept = probabilities > 0
        return dict(zip((support[kept] + by).tolist(), np.log(probabilities[kept]).tolist(), strict=True))

    pld = privacy_loss_distribution.from_two_probability_mass_functions(
        mass(0), mass(shift), value_discretization_interval=INTERVAL,
        log_mass_truncation_bound=LOG_CUT, symmetric=True,
    )
    return Guarantee(pld, None, 2 * total_variation if shift > 1 else 0.0, 0.0, bound)


def pure(epsilon: float, total_variation: float = 0.0) -> Guarantee:
    """Anything that is (epsilon, 0) private, up to total variation: composes as the worst such mechanism does."""
    needed("dp_accounting")
    from dp_accounting.pld import common, privacy_loss_distribution

    parameters = common.DifferentialPrivacyParameters(epsilon)
    pld = privacy_loss_distribution.from_privacy_parameters(parameters, INTERVAL)
    return Guarantee(pld, None, total_variation, 0.0, Pure(epsilon, total_variation))


def discrete_laplace(rate: float, shift: int, total_variation: float = 0.0) -> Guarantee:
    """Ideal noise P(n) ~ e^(-rate |n|) on an integer that differs by ``shift``: closed form.

    On grids finer than `STEPS` steps for the shift, those of a grid u times coarser: a geometric is u times a geometric of rate
    u * rate plus an independent rest below u, so the fine noise is the coarse noise and something independent of it.
    """
    needed("dp_accounting")
    from dp_accounting.pld import privacy_loss_distribution

    u = -(-shift // STEPS)
    pld = privacy_loss_distribution.from_discrete_laplace_mechanism(
        parameter=rate * u, sensitivity=-(-shift // u), value_discretization_interval=INTERVAL
    )
    return Guarantee(pld, None, total_variation, 0.0, Pure(rate * shift, total_variation))


def concentrated(rho: float, total_variation: float = 0.0) -> Guarantee:
    """Renyi divergence at most rho * order: zero-concentrated differential privacy."""
    return Guarantee(None, rho * ORDERS, total_variation)
