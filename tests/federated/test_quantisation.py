"""Quantisation and its limits: the error bound, what is refused, and that what passes cannot wrap."""
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc import prg, ring
from mpc.errors import ConfigError, FixedPointRangeError
from mpc.federated.aggregators import validity
from mpc.federated.quantisation import PROJECTIONS, SQUARES, WIDTH, Limits

BOUNDED = Limits(frac_bits=12, max_norm=None, bound=4.0, max_weight=1000)


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=50), st.integers(1, 30))
def test_the_error_is_half_a_unit(values: list[float], frac_bits: int) -> None:
    limits = Limits(frac_bits=frac_bits, max_norm=None, bound=4.0, max_weight=1)
    back = limits.decode(limits.encode(values).view(np.int64).astype(np.float64), 1.0)
    assert np.abs(back - values).max() <= 2.0 ** -(frac_bits + 1)


@given(st.lists(st.tuples(st.floats(-4, 4), st.integers(1, 1000)), min_size=1, max_size=20))
def test_so_is_that_of_a_weighted_mean(pairs: list[tuple[float, int]]) -> None:
    values, weights = (np.array(column) for column in zip(*pairs, strict=True))
    words = np.concatenate([BOUNDED.encode([v]) for v in values])
    total = (words * weights.astype(np.uint64)).sum(dtype=np.uint64).view(np.int64)
    mean = BOUNDED.decode(np.float64(total), float(weights.sum()))
    assert abs(mean - (values * weights).sum() / weights.sum()) <= 2.0**-13 + 1e-12


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 4.0001, -4.0001])
def test_what_is_out_of_range_is_named(bad: float) -> None:
    with pytest.raises(FixedPointRangeError, match=rf"value {bad!r} at index 2 \(1 such values\).*want finite numbers"):
        BOUNDED.encode([0.0, 4.0, bad, -4.0])


def test_an_honest_update_keeps_its_norm_below_the_limit_after_rounding() -> None:
    """Values that all round away from zero, at exactly max_norm, as float32 computes it."""
    for frac_bits, length in ((4, 1000), (10, 1000), (20, 64)):
        limits = Limits(frac_bits=frac_bits, max_norm=2.0)
        update = np.full(length, 2.0 / math.sqrt(length), np.float32)
        squares = int((limits.encode(update).view(np.int64).astype(object) ** 2).sum())
        assert squares <= limits.norm(length) ** 2
        with pytest.raises(FixedPointRangeError, match="norm"):
            limits.encode(update * 1.001)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"frac_bits": 41}, "want 0 to 40"),
        ({"frac_bits": -1}, "want 0 to 40"),
        ({"max_norm": None}, "neither max_norm nor bound"),
        ({"max_norm": 0.0}, "max_norm 0.0; want at least one unit"),
        ({"max_norm": math.nan}, "max_norm nan"),
        ({"bound": math.inf}, "bound inf"),
        ({"bound": -1.0}, "bound -1.0"),
        ({"max_weight": 0}, "max_weight 0; want a whole number"),
        ({"max_weight": 1.5}, "max_weight 1.5; want a whole number"),
        ({"max_weight": 1 << 40}, "below 2\\^40"),
    ],
)
def test_limits_that_cannot_be(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Limits(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("frac_bits", [16, 20, 24])
@pytest.mark.parametrize("length", [1, 101_770, 100_000_000])
def test_the_largest_norm_that_is_accepted_cannot_wrap_and_the_message_names_it(frac_bits: int, length: int) -> None:
    with pytest.raises(ConfigError, match="squares could wrap; want at most about") as caught:
        Limits(frac_bits=frac_bits, max_norm=2.0**20, max_weight=1).check(length)
    most = float(str(caught.value).split("about ")[1].split(",")[0])
    limits = Limits(frac_bits=frac_bits, max_norm=0.999 * most, max_weight=1)
    limits.check(length)
    norm = limits.norm(length)
    assert SQUARES * norm**2 < 1 << 63 and 2 * length * WIDTH * norm < 1 << 63
    with pytest.raises(ConfigError):
        Limits(frac_bits=frac_bits, max_norm=1.001 * most, max_weight=1).check(length)


def test_a_sum_that_could_wrap_is_refused() -> None:
    limits = Limits(frac_bits=20, max_norm=None, bound=8.0, max_weight=1 << 30)  # 2^23 2^30 c < 2^62
    limits.check(10, (1 << 9) - 1)
    with pytest.raises(ConfigError, match="their sum could wrap"):
        limits.check(10, 1 << 9)


def test_the_smaller_of_bound_and_norm_counts() -> None:
    assert Limits(frac_bits=4, max_norm=100.0, bound=2.0).largest(1) == 32
    assert Limits(frac_bits=4, max_norm=2.0, bound=100.0).largest(4) == math.ceil(32 * (1 + 2**-20) + 1)


@pytest.mark.parametrize("case", ["one", "two", "spread", "search"])
def test_words_whose_squares_wrap_to_something_small_fail_a_projection(case: str) -> None:
    """S = sum q^2 modulo 2^64 alone would let these through."""
    length, norm = 3000, 1 << 20
    words = {
        "one": [1 << 32],
        "two": [1 << 63, 1 << 63],
        "spread": [1 << 31] * 4,
        "search": _searched(),
    }[case]
    w = np.zeros((1, length), np.uint64)
    w[0, 5 : 5 + len(words)] = [x % 2**64 for x in words]
    squares = int((w * w).sum(dtype=np.uint64))
    assert squares <= norm**2
    key = prg.derive(prg.fresh_secret(), "coins")
    x = validity.projected([w[:, :1000], w[:, 1000:]], key).view(np.int64).astype(object)
    assert max(abs(x[0])) > WIDTH * norm


def _searched() -> list[int]:
    """Squares that fill 2^64 greedily, the last one beyond it by a little."""
    missing, out = 2**64, []
    while missing > 1 << 30:
        out.append(math.isqrt(missing - 1))
        missing -= out[-1] ** 2
    return [*out, math.isqrt(missing) + 1]


def test_an_honest_update_stays_far_from_the_projections_limit() -> None:
    """|X| is below T = 8 N with probability 1 - 2^-84 for all; here with room to spare, at the norm's very limit."""
    length, norm = 4096, 1 << 20
    rng = np.random.default_rng(4)
    w = np.zeros((3, length), np.int64)
    w[0, 7] = norm
    w[1] = norm // 64
    w[2] = rng.normal(size=length) * norm / 64.5
    x = validity.projected([w.view(np.uint64)], prg.derive(b"k" * 32, "coins")).view(np.int64)
    assert x.shape == (3, PROJECTIONS)
    assert np.abs(x).max() < WIDTH * norm
    assert np.abs(x).max(axis=1).min() > norm / 2  # and none is trivially small
    np.testing.assert_array_equal(
        x.view(np.uint64), ring.matmul(w.view(np.uint64), validity.coins(prg.derive(b"k" * 32, "coins"), 0, length))
    )
