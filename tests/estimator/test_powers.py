"""Secret powers of two and quotients by them."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mpc
from mpc.estimator import power_of_two, quotient
from tests.linear_model.sets import run, ways
from tests.owners import mixed


@pytest.mark.parametrize("step", [1, 2])
@ways
def test_powers_of_two(protocol: str, parties: int, step: int) -> None:
    """c^step t in [2^-step, 1) inside the range, at its ends and on every power of two; 1 / c exact."""
    t = np.r_[np.ldexp(1.0, np.arange(-8, 9)), np.ldexp(1.0, np.arange(-8, 9)) - 2.0**-16, np.linspace(0.01, 200, 50), 0.0]

    def program() -> Any:
        with mpc.session() as s:
            c, inverse = power_of_two(mixed(t), step, -4, 3)
            assert not s.ledger
            return c.reveal(), inverse.reveal()

    c, inverse = run(program, protocol, parties)
    np.testing.assert_array_equal(c * inverse, 1.0)
    k = np.clip(np.floor(np.log2(np.maximum(t, 2.0**-30)) / step), -5, 3)
    np.testing.assert_array_equal(c, np.ldexp(1.0, (-k - 1).astype(int)))


@pytest.mark.parametrize("frac_bits", [12, 16, 20])
def test_pending_products_are_compared_before_rounding(frac_bits: int) -> None:
    """Squares down to 2^-18, below the last fraction bit at 12 and 16 bits."""
    root = np.ldexp(1.0, -np.arange(1, 10))

    def program() -> Any:
        with mpc.session():
            return power_of_two(mixed(root).square(), 2, -9, 8)[0].reveal()

    np.testing.assert_array_equal(run(program, "additive", frac_bits=frac_bits), 1 / (2 * root))


@ways
def test_quotients(protocol: str, parties: int) -> None:
    y = np.geomspace(2.0**-11, 2.0**13, 400)
    x = y * np.linspace(0, 2, 400)

    def program() -> Any:
        with mpc.session():
            return quotient(mixed(x), mixed(y)).reveal()

    near = np.rint(y * 2**16) / 2**16
    np.testing.assert_allclose(run(program, protocol, parties), x / near, atol=2.0**-11 + 2.0**-16 / y.min())
