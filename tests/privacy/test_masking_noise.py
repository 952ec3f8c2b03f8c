"""Noise on a column: what is said of it is what the mechanism's own probabilities give."""
from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mpc.errors import ConfigError
from mpc.privacy.masking import add_noise
from tests.privacy.noise import SIGNIFICANCE


def test_laplace_says_its_epsilon_and_draws_that_noise() -> None:
    x = np.full(4000, 30.0)
    out = add_noise("age", x, bounds=(0, 100), epsilon=2.0)
    assert out.statement.epsilon == pytest.approx(2.0, rel=1e-3) and out.statement.rho == 2.0
    assert "epsilon = 2" in str(out.statement) and "local" in str(out.statement)
    assert "if the bounds were not taken from the data" in str(out.statement)
    assert stats.kstest(out.values - 30, stats.laplace(scale=50).cdf).pvalue > SIGNIFICANCE
    assert out.statement.std[0] == pytest.approx(math.sqrt(2) * 50, rel=1e-3)


def test_gaussian_says_epsilon_and_rho_of_what_is_drawn() -> None:
    out = add_noise("age", np.zeros(4000), bounds=(0, 10), noise_multiplier=2.0)
    said = out.statement
    ideal = 1 / (2 * 2.0**2)  # rho of a Gaussian
    assert said.rho is not None and ideal <= said.rho < 1.5 * ideal
    assert said.epsilon is not None and said.guarantee is not None
    assert said.guarantee.delta(said.epsilon) <= 1e-6
    assert said.epsilon <= said.rho + 2 * math.sqrt(said.rho * math.log(1e6))  # the conversion from rho, which is looser
    assert stats.kstest(out.values, stats.norm(scale=20).cdf).pvalue > SIGNIFICANCE


def test_values_are_clipped_and_stand_on_a_grid() -> None:
    out = add_noise("pay", [-50.0, 0.3, 7.0, 1e9], bounds=(0.1, 9.0), epsilon=10.0)
    grid = 2.0 ** (math.floor(math.log2(8.9)) - 12)
    steps = (out.values - 0.1) / grid
    assert np.abs(steps - np.round(steps)).max() < 1e-6 and np.abs(out.values).max() < 60
    again = add_noise("pay", [-50.0, 0.3, 7.0, 1e9], bounds=(0.1, 9.0), epsilon=10.0)
    assert (again.values != out.values).any()


def test_without_bounds_nothing_is_guaranteed_and_it_says_so() -> None:
    out = add_noise("pay", np.zeros(4000), std=3.0)
    assert out.statement.epsilon is out.statement.rho is out.statement.guarantee is None
    assert "no guarantee" in str(out.statement) and out.statement.to_dict()["epsilon"] is None
    assert SIGNIFICANCE < stats.chi2.sf((out.values**2).sum() / 3.0**2, 4000) < 1 - SIGNIFICANCE


def test_statements_add_up() -> None:
    one = add_noise("age", np.zeros(3), bounds=(0, 1), epsilon=1.0).statement
    two = one + add_noise("pay", np.zeros(3), bounds=(0, 9), epsilon=0.5).statement
    assert two.epsilon == pytest.approx(1.5, rel=1e-2) and two.rho == 0.625 and two.columns == ("age", "pay")
    nothing = two + add_noise("tax", np.zeros(3), std=1.0).statement
    assert nothing.epsilon is None and "no guarantee" in str(nothing)


@pytest.mark.parametrize("case", [
    {}, {"epsilon": 1.0}, {"noise_multiplier": 1.0}, {"bounds": (0, 1)}, {"bounds": (1, 0), "epsilon": 1.0},
    {"bounds": (0, math.inf), "epsilon": 1.0}, {"bounds": (0, 1), "epsilon": 1.0, "noise_multiplier": 1.0},
    {"bounds": (0, 1), "epsilon": 1.0, "std": 1.0}, {"bounds": (0, 1), "epsilon": 99.0}, {"std": 1.0, "epsilon": 1.0},
])  # fmt: skip
def test_what_means_nothing_is_refused(case: Any) -> None:
    with pytest.raises(ConfigError, match="'x'"):
        add_noise("x", [1.0, 2.0], **case)
