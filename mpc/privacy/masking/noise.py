"""Additive noise on a column, and what that guarantees: a number, or plainly nothing."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mpc.errors import ConfigError
from mpc.privacy.dp.accounting import ORDERS, Guarantee
from mpc.privacy.dp.binomial import Binomial
from mpc.privacy.dp.gaussian import Gaussian
from mpc.privacy.dp.grid import Grid
from mpc.privacy.dp.laplace import Laplace
from mpc.privacy.dp.mechanisms import Norms
from mpc.privacy.dp.renyi import Ladder
from mpc.privacy.masking.columns import Floats, numbers

MOST_ORDER: Final = 32.0
NO_GUARANTEE: Final = (
    "no guarantee: the column has no public bounds, so one person's value may move what is released by any amount. The noise "
    "blurs values of about its own size; an outlier stays visible. Clip to public bounds (bounds=(low, high)) for a guarantee."
)


@dataclass(frozen=True)
class Statement:
    """What the noise on ``columns`` guarantees to each person who has one value in each.

    ``guarantee`` is None where there is none. Local differential privacy: whoever sees the noisy values, knows all other people
    and the mechanism, tells any two values within the bounds apart no better than (epsilon, delta) says. It does not cover a
    second release of the same values with new noise (add the statements), columns released without noise, or people with
    several rows (multiply). ``rho``: truncated concentrated privacy (Bun, Dwork, Rothblum, Steinke 2018), Renyi divergence at
    most rho * order: epsilon^2 / 2 for Laplace, for every order; for Gaussian at the orders accounted for, up to 32 (beyond,
    coins are no Gaussian); both up to a delta of 1e-9.
    """

    columns: tuple[str, ...]
    guarantee: Guarantee | None
    std: tuple[float, ...]
    delta: float
    rho: float | None = None

    @property
    def epsilon(self) -> float | None:
        """At ``delta``; None without a guarantee."""
        return None if self.guarantee is None else self.guarantee.epsilon(self.delta)

    def __add__(self, other: Statement) -> Statement:
        """Both were released about the same people."""
        both = None if self.guarantee is None or other.guarantee is None else self.guarantee + other.guarantee
        rho = None if self.rho is None or other.rho is None else self.rho + other.rho
        return Statement(self.columns + other.columns, both, self.std + other.std, self.delta + other.delta, rho)

    def to_dict(self) -> dict[str, Any]:
        return {"columns": list(self.columns), "epsilon": self.epsilon, "delta": self.delta, "rho": self.rho,
                "std": list(self.std), "statement": str(self)}  # fmt: skip

    def __str__(self) -> str:
        what = ", ".join(self.columns)
        if self.guarantee is None:
            return f"{what}: {NO_GUARANTEE}"
        rho = "" if self.rho is None else f", rho = {self.rho:.4g}"
        return (f"{what}: epsilon = {self.epsilon:.4g} at delta = {self.delta:g}{rho}, per person with one value each (local "
                "differential privacy), if the bounds were not taken from the data")


@dataclass(frozen=True)
class NoisyColumn:
    """``values`` to hand out, and the ``statement`` about them."""

    values: Floats
    statement: Statement


def add_noise(
    name: str, column: Any, *, bounds: Sequence[float] | None = None, epsilon: float | None = None, delta: float = 1e-6,
    noise_multiplier: float | None = None, std: float | None = None,
) -> NoisyColumn:  # fmt: skip
    """Every value of a column plus its own noise, from the operating system (it cannot be seeded).

    ``bounds``: public (low, high), not taken from the data: values are clipped to them, so one person moves one value by high -
    low at most. ``epsilon`` alone: `Laplace` (standard deviation about 1.4 (high - low) / epsilon); ``noise_multiplier``, in
    units of high - low: `Gaussian`, accounted at ``delta``. Values go onto the mechanism's grid (about 2^-12 of the range)
    before the integer noise is added: floating-point noise leaks through the spacing of floats. Without bounds: ``std``, noise
    of that standard deviation, and a statement that says that nothing is guaranteed. Raises ConfigError.
    """
    x = numbers(name, np.asarray(column))
    if bounds is None:
        if std is None or epsilon is not None or noise_multiplier is not None:
            raise ConfigError(f"column {name!r}: epsilon or noise_multiplier mean nothing without public bounds; give "
                              "bounds=(low, high), or std alone for noise without a guarantee")
        noise: Grid = Gaussian(noise_multiplier=1.0, sensitivity=std)
        return NoisyColumn(_noisy(x, 0.0, noise), Statement((name,), None, (noise.std * noise.grid,), 0.0))
    low, high = map(float, bounds)
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ConfigError(f"column {name!r}: bounds ({low}, {high}); want two finite numbers, low < high")
    if std is not None or (epsilon is None) == (noise_multiplier is None):
        raise ConfigError(f"column {name!r}: want epsilon or noise_multiplier, one of the two, with bounds")
    try:
        if epsilon is not None:
            noise = Laplace(epsilon, high - low)
        else:
            noise = Gaussian(None, delta, high - low, noise_multiplier=noise_multiplier)
    except ValueError as error:
        raise ConfigError(f"column {name!r}: {error}") from None
    drawn, guarantee = noise.on_grid(noise.grid)
    rho = None if epsilon is None else epsilon**2 / 2
    if isinstance(drawn, Binomial):
        curve = Ladder(drawn.coarse, drawn.fine).guarantee(Norms(None, (high - low) / noise.grid, None, 1)).rdp
        rho = None if curve is None or not curve.any() else float(np.max((curve / ORDERS)[ORDERS <= MOST_ORDER]))
    statement = Statement((name,), guarantee, (drawn.std * noise.grid,), noise.delta, rho)
    return NoisyColumn(_noisy(np.clip(x, low, high), low, noise), statement)


def _noisy(x: Floats, low: float, noise: Grid) -> Floats:
    """low + (steps above low + noise) * grid: the sum is of integers, and what floats round comes after it. Steps are rounded
    towards zero, so that they stay within the bounds."""
    steps = np.trunc((x - low) / noise.grid)
    if len(x) and np.abs(steps).max() >= 2.0**52:
        raise ConfigError(f"values up to {np.abs(x).max():.3g}, grid {noise.grid:.3g}; want fewer than 2^52 steps")
    return np.asarray(low + (steps.astype(np.int64) + noise.sample(x.shape)) * noise.grid)
