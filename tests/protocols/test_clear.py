"""The plaintext twin: the same kernels without secrets, and the only place where leaving the range can be seen."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mpc
from mpc.functions.fits import RECIPROCAL, SIGMOID
from mpc.protocols.series import NONPOSITIVE, QUARTER
from mpc.sharing import Share
from tests.protocols.programs import run, shares_of, signed, words


def both(program, values, scale=16):
    """The program's result under additive (summed over parties) and under clear, as signed integers."""
    x = words(values)

    def main(s, a):
        return np.array(program(s, a).words)

    secret = sum(run(main, 3, shares_of(x, 3), scale=scale))
    plain = run(main, 3, [x, x, x], protocol="clear", scale=scale)
    assert all(np.array_equal(p, plain[0]) for p in plain)
    return signed(secret), signed(plain[0])


def _columns(a):
    """Three columns of as many rows as fit."""
    return a[: a.size // 3 * 3].reshape((3, a.size // 3))


def _below_zero(s, a):
    return -s.protocol.relu(a)[0]


KERNELS = {
    "square": (lambda s, a: s.protocol.truncate(s.protocol.square(a), 16), 1),
    "relu": (lambda s, a: s.protocol.relu(a, 4)[0], 1),
    "bit": (lambda s, a: s.protocol.relu(a, 4)[1], 0),
    "negative": (lambda s, a: s.protocol.negative(a), 0),
    "zero": (lambda s, a: s.protocol.is_zero(a), 0),
    "select": (lambda s, a: s.protocol.select(s.protocol.negative(a), -a, a), 0),
    "exact": (lambda s, a: s.protocol.truncate(a, 7, exact=True), 0),
    "saturated": (lambda s, a: s.protocol.saturated(a, SIGMOID, 16), 1),
    "series": (lambda s, a: s.protocol.truncate(s.protocol.series(a, RECIPROCAL), 31), 3),
    "thresholds": (lambda s, a: s.protocol.at_least(a, [-(1 << 29), -1, 0, 1, 1 << 20]), 0),
    "exp": (lambda s, a: s.protocol.exp(a, QUARTER, 16), 1),
    "bounded exp": (lambda s, a: s.protocol.exp(_below_zero(s, a), NONPOSITIVE, 16, bounded=True), 1),
    "largest": (lambda s, a: s.protocol.largest(_columns(a))[0], 0),
    "winner": (lambda s, a: s.protocol.largest(_columns(a))[1], 0),
    "fused": (lambda s, a: s.protocol.mul_truncated(a, 8, a)[0], 1),
}


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("name", KERNELS)
@settings(max_examples=5, deadline=None)
@given(values=st.lists(st.integers(-(1 << 30), 1 << 30), min_size=1, max_size=30))
def test_protocols_agree_within_a_unit_per_truncation(name: str, values: list[int]) -> None:
    program, units = KERNELS[name]
    secret, plain = both(program, [*values, 0, 1, -1])
    assert np.abs(secret - plain).max() <= units


def fails(program, *values):
    operands = [[words(v)] * 2 for v in values]
    with pytest.raises(mpc.FixedPointRangeError, match="reaches") as caught:
        run(program, 2, *operands, protocol="clear", scale=16)
    return str(caught.value)


def test_leaving_the_range_is_an_error_that_says_where_and_how_far() -> None:
    big = [1 << 33] * 4
    message = fails(lambda s, a: s.protocol.mul(a, a), big)
    assert "a product" in message and "1.71799e+10" in message
    fails(lambda s, a, b: s.protocol.matmul(a, b), [[1 << 31] * 4], [[1 << 31]] * 4)
    fails(lambda s, a: s.protocol.truncate(a, 16), [1 << 62])
    fails(lambda s, a: s.protocol.relu(a, 16), [-(1 << 62) - 5])


def test_a_revealed_value_beyond_the_bound_is_refused_unless_widened() -> None:
    def program(s, a):
        try:
            s.reveal(Share(a.words, 16))
        except mpc.FixedPointRangeError:
            return float(s.reveal(Share(a.words, 16), check_range=False)[0])
        return None

    assert run(program, 2, shares_of(words([40_000 << 16]), 2)) == [40_000.0] * 2
