"""How the coefficients of mpc/functions/fits.py came about: ``python -m mpc.benchmarks.fits`` prints them (needs scipy).

A minimax fit is a linear program: minimise e with |weight(x) (f(x) - series(x))| <= e on Chebyshev points of the interval,
and every coefficient bounded, so that the series stays small between the periods' copies of the interval and roundings of
its factors stay harmless.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mpc.fixed_point import Floats


class Fit(NamedTuple):
    """A function on [low, high] by ``orders`` harmonics of a period; ``parity``: odd, even or both kinds of terms."""

    function: Callable[[Floats], Floats]
    low: float
    high: float
    period: float
    orders: int
    parity: str = "both"
    bound: float = 40.0  # of every coefficient
    weight: Callable[[Floats], Floats] | None = None  # 1 / |f| for relative errors
    points: int = 1500


def _phi(x: Floats) -> Floats:
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _erf(x: Floats) -> Floats:
    return np.vectorize(math.erf)(x)


FITS = {
    "SIGMOID": Fit(lambda x: 1 / (1 + np.exp(-x)) - 0.5, 0, 10, 32, 12, "odd", 1),
    "NORMAL_CDF": Fit(lambda x: _erf(x / math.sqrt(2)) / 2, 0, 4.25, 16, 8, "odd", 1),
    "NORMAL_PDF": Fit(_phi, 0, 4.25, 16, 8, "even", 4),
    "ERF": Fit(_erf, 0, 3, 16, 10, "odd", 16),
    "ERF_SLOPE": Fit(lambda x: 2 * np.exp(-x * x) / math.sqrt(math.pi), 0, 3, 16, 11, "even", 8),
    "RECIPROCAL": Fit(lambda x: 1 / x, 0.25, 1, 2, 5, weight=lambda x: x),
    "ROOT_INVERSE": Fit(lambda x: x**-0.5, 0.25, 1, 2, 5, weight=lambda x: x**0.5),
    "ROOT_INVERSE_COARSE": Fit(lambda x: x**-0.5, 1 / 16, 1, 2, 4, "both", 10, lambda x: x**0.5),
    "ROOT": Fit(lambda x: x**0.5, 0.25, 1, 2, 4, weight=lambda x: x**-0.5),
    "LOG": Fit(np.log, 0.25, 1, 2, 5),
    "RECIPROCAL_16": Fit(lambda x: 1 / x, 1, 16, 32, 12, points=4000),
    "LOG_16": Fit(np.log, 1, 16, 32, 11, "both", 30, points=4000),
}  # the constants of SIGMOID and NORMAL_CDF are 1/2 more


def solve(fit: Fit) -> tuple[Floats, float]:
    """(coefficients: the constant and cosines unless odd, then the sines unless even; the largest weighted error)."""
    from scipy.optimize import linprog

    middle, half = (fit.low + fit.high) / 2, (fit.high - fit.low) / 2
    x = middle - half * np.cos(np.pi * (np.arange(fit.points) + 0.5) / fit.points)
    x = np.concatenate([[fit.low], x, [fit.high]])
    angles = x[:, None] * (2 * np.pi / fit.period * np.arange(1, fit.orders + 1))
    columns = [] if fit.parity == "odd" else [np.ones_like(x)[:, None], np.cos(angles)]
    basis = np.concatenate([*columns, *([] if fit.parity == "even" else [np.sin(angles)])], axis=1)
    weight = (np.ones_like(x) if fit.weight is None else fit.weight(x))[:, None]
    wanted, slack = fit.function(x)[:, None] * weight, np.full_like(weight, -1.0)
    rows = np.concatenate([np.hstack([basis * weight, slack]), np.hstack([-basis * weight, slack])])
    bounds: list[Any] = [(-fit.bound, fit.bound)] * basis.shape[1] + [(0, None)]
    found = linprog(
        np.eye(basis.shape[1] + 1)[-1], A_ub=rows, b_ub=np.concatenate([wanted, -wanted])[:, 0], bounds=bounds, method="highs"
    )
    return found.x[:-1], float(found.x[-1])


def main() -> None:
    """Print every fit."""
    for name, fit in FITS.items():
        coefficients, error = solve(fit)
        print(f"{name}: period {fit.period:g}, {fit.parity}, error {error:.2g}\n  {np.round(coefficients, 9).tolist()}")


if __name__ == "__main__":
    main()
