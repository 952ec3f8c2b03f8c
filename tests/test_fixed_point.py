"""Encoding: exact where it says so, refused where it must be."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc import fixed_point
from mpc.errors import FixedPointRangeError, NotSupported

reals = st.floats(-32767.99, 32767.99, allow_nan=False)


@given(st.lists(reals, max_size=50), st.sampled_from([8, 12, 16]))
def test_round_trip_is_within_half_a_unit(values: list[float], frac_bits: int) -> None:
    x = np.array(values)
    back = fixed_point.decode(fixed_point.encode(x, frac_bits), frac_bits)
    assert back.shape == x.shape
    assert np.all(np.abs(back - x) <= 2.0 ** -(frac_bits + 1))


@given(st.integers(-32767, 32767), st.integers(0, 32))
def test_integers_are_exact_at_every_scale(value: int, scale: int) -> None:
    words = fixed_point.encode(value, 16, scale)
    assert int(words.view(np.int64)) == value << scale


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 32768.0, -32768.0, 1e300])
def test_what_the_ring_cannot_hold_is_refused_with_its_place(bad: float) -> None:
    x = np.zeros((3, 4))
    x[1, 2] = bad
    with pytest.raises(FixedPointRangeError, match=r"index \(1, 2\)"):
        fixed_point.encode(x, 16)


@pytest.mark.parametrize("bad", [np.array([1, "a"], object), np.array(["x"]), np.array([1j]), [[1, 2], [3]], [object()]])
def test_what_is_no_real_array_is_refused(bad: object) -> None:
    with pytest.raises(NotSupported):
        fixed_point.encode(bad, 16)


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint16, np.float32, np.float64])
def test_dtypes(kind: type) -> None:
    np.testing.assert_array_equal(fixed_point.decode(fixed_point.encode(np.array([0, 1], kind), 16), 16), [0.0, 1.0])


def test_empty_and_scalar() -> None:
    assert fixed_point.encode(np.zeros((0, 3)), 16).shape == (0, 3)
    assert fixed_point.encode(1.5, 16).shape == ()


def test_revealed_values_beyond_the_bound_are_refused() -> None:
    words = np.array([1 << 47], np.uint64)
    fixed_point.check_decoded(words - np.uint64(1 << 40), 32, 16)
    with pytest.raises(FixedPointRangeError, match="left the fixed-point range"):
        fixed_point.check_decoded(words, 32, 16)
