"""Every kernel against integer arithmetic in numpy: N = 2..5, random and extreme secrets, random and extreme shares."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mpc.functions.fits import RECIPROCAL, SIGMOID
from mpc.protocols.series import QUARTER
from mpc.sharing import Share
from tests.protocols.programs import MAX, PARTIES, PRODUCT_RANGE, SHARINGS, revealed, run, shares_of, signed, words

EDGES = [0, 1, -1, 2, -2, (1 << 16) - 1, 1 << 16, -(1 << 16), (1 << 31) - 1, -(1 << 31)]
LIMITS = [PRODUCT_RANGE - 1, -PRODUCT_RANGE, PRODUCT_RANGE - 2, -PRODUCT_RANGE + 1]
FULL = [(1 << 63) - 1, -(1 << 63), -(1 << 63) + 1]

common = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
parties = pytest.mark.parametrize("n", PARTIES)
counts = st.sampled_from(PARTIES)  # drawn beside the values: every number of parties appears


def vectors(low: int, high: int, extremes: list[int]) -> st.SearchStrategy[list[int]]:
    value = st.one_of(st.sampled_from(extremes), st.integers(low, high))
    return st.lists(value, min_size=1, max_size=70)


in_range = vectors(-PRODUCT_RANGE, PRODUCT_RANGE - 1, EDGES + LIMITS)
anything = vectors(-(1 << 63), (1 << 63) - 1, EDGES + LIMITS + FULL)
sharings = st.sampled_from(SHARINGS)
both_forms = pytest.mark.usefixtures("form")  # of the comparison


@common
@given(n=counts, values=anything, sharing=sharings, seed=st.integers(0, 1000))
def test_product_and_square_are_exact_in_the_ring(n: int, values: list[int], sharing: str, seed: int) -> None:
    x = words(values)
    y = np.random.default_rng(seed).integers(0, MAX, x.shape, np.uint64, endpoint=True)
    got = revealed(lambda s, a, b: s.protocol.mul(a, b), n, shares_of(x, n, sharing), shares_of(y, n, "uniform", seed))
    np.testing.assert_array_equal(got, x * y)
    got = revealed(lambda s, a: s.protocol.square(a), n, shares_of(x, n, sharing))
    np.testing.assert_array_equal(got, x * x)


@parties
@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 4), (4, 5)), ((4,), (4,)), ((2, 3, 4), (4, 2)), ((3, 4), (4,)), ((1, 4), (2, 4, 3)), ((0, 4), (4, 2))],
)
def test_matmul_is_numpys_matmul_in_the_ring(n: int, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, MAX, left, np.uint64, endpoint=True)
    y = rng.integers(0, MAX, right, np.uint64, endpoint=True)
    got = revealed(lambda s, a, b: s.protocol.matmul(a, b), n, shares_of(x, n), shares_of(y, n, "ones"))
    np.testing.assert_array_equal(got, np.matmul(x, y))


@both_forms
@pytest.mark.parametrize("opened", [False, True], ids=["fresh", "opened"])
@common
@given(n=counts, values=in_range, sharing=sharings, bits=st.sampled_from([1, 4, 16, 20, 32, 44]))
@example(n=5, values=EDGES + LIMITS, sharing="ones", bits=16)
def test_truncation_is_floor_or_one_more_and_exact_is_floor(
    n: int, opened: bool, values: list[int], sharing: str, bits: int
) -> None:
    x = words(values)
    floor = signed(x) >> bits

    def probabilistic(s, a):
        if opened:
            s.protocol.open(a)
        return s.protocol.truncate(a, bits)

    got = signed(revealed(probabilistic, n, shares_of(x, n, sharing)))
    assert set(np.unique(got - floor)) <= {0, 1}
    got = signed(revealed(lambda s, a: s.protocol.truncate(a, bits, exact=True), n, shares_of(x, n, sharing)))
    np.testing.assert_array_equal(got, floor)


@common
@given(n=counts, values=in_range, sharing=sharings, bits=st.sampled_from([1, 16, 32]), seed=st.integers(0, 100))
@example(n=5, values=EDGES + LIMITS, sharing="ones", bits=16, seed=0)
def test_truncation_and_product_behind_one_opening(
    n: int, values: list[int], sharing: str, bits: int, seed: int
) -> None:
    x = words([values, values])
    y = np.random.default_rng(seed).integers(0, MAX, len(values), np.uint64, endpoint=True)

    def program(s, a, b):
        before = s.total.rounds
        truncated, product = s.protocol.mul_truncated(a, bits, b)
        assert s.total.rounds == before + 1
        return Share(np.stack([truncated.words, product.words]), 0)

    truncated, product = revealed(program, n, shares_of(x, n, sharing), shares_of(y, n, "ones"))
    assert set(np.unique(signed(truncated) - (signed(x) >> bits))) <= {0, 1}
    np.testing.assert_array_equal(product, truncated * y)


@parties
def test_truncation_is_unbiased(n: int) -> None:
    count, fraction = 40_000, 0.25
    x = words(np.full(count, (123 << 16) + int(fraction * (1 << 16))))
    got = signed(revealed(lambda s, a: s.protocol.truncate(a, 16), n, shares_of(x, n)))
    ups = (got == 124).mean()
    assert set(np.unique(got)) == {123, 124}
    assert abs(ups - fraction) < 6 * np.sqrt(fraction * (1 - fraction) / count)


@both_forms
@common
@given(n=counts, values=anything, sharing=sharings)
@example(n=5, values=EDGES + LIMITS + FULL, sharing="halves")
def test_comparison_equality_and_complement(n: int, values: list[int], sharing: str) -> None:
    x = words(values)
    held = shares_of(x, n, sharing)
    np.testing.assert_array_equal(revealed(lambda s, a: s.protocol.negative(a), n, held), signed(x) < 0)
    np.testing.assert_array_equal(
        revealed(lambda s, a: s.protocol.complement(s.protocol.negative(a)), n, held), signed(x) >= 0
    )
    zero = revealed(lambda s, a: s.protocol.is_zero(a), n, held)
    defined = x != np.uint64(1 << 63)  # |x| < 2^63
    np.testing.assert_array_equal(zero[defined], (x == 0)[defined])


@both_forms
@common
@given(n=counts, values=in_range, sharing=sharings, bits=st.sampled_from([0, 16, 32]))
@example(n=5, values=EDGES + LIMITS, sharing="ones", bits=16)
def test_relu_with_and_without_truncation(n: int, values: list[int], sharing: str, bits: int) -> None:
    x = words(values)
    want = np.maximum(signed(x), 0) >> bits
    got = signed(revealed(lambda s, a: s.protocol.relu(a, bits)[0], n, shares_of(x, n, sharing)))
    slack = {0} if bits == 0 else {0, 1}
    assert set(np.unique(got - want)) <= slack
    negative = signed(x) < 0
    np.testing.assert_array_equal(got[negative], 0)
    bit = revealed(lambda s, a: s.protocol.relu(a, bits)[1], n, shares_of(x, n, sharing))
    np.testing.assert_array_equal(bit, ~negative)


@both_forms
@common
@given(n=counts, values=anything, seed=st.integers(0, 100))
def test_select_and_the_product_with_a_bit_that_keeps_its_form(n: int, values: list[int], seed: int) -> None:
    x = words(values)
    y = np.random.default_rng(seed).integers(0, MAX, x.shape, np.uint64, endpoint=True)
    condition = signed(x) >= 0

    def masked(s, a, b):
        bit = s.protocol.complement(s.protocol.negative(a))
        assert bit.bit is not None
        return s.protocol.mul(bit, b)

    got = revealed(masked, n, shares_of(x, n), shares_of(y, n, "ones"))
    np.testing.assert_array_equal(got, np.where(condition, y, np.uint64(0)))
    got = revealed(lambda s, a, b: s.protocol.select(s.protocol.negative(a), a, b), n, shares_of(x, n), shares_of(y, n))
    np.testing.assert_array_equal(got, np.where(condition, y, x))


@both_forms
@parties
@pytest.mark.parametrize("scale", [16, 32])
def test_sigmoid_on_a_dense_grid_and_far_outside(n: int, scale: int) -> None:
    grid = np.concatenate([np.linspace(-20, 20, 4001), [-32767.9, 32767.9, 12, -12, 11.9999, 12.0001, 0]])
    x = words(np.rint(np.ldexp(grid, scale)).astype(np.int64))

    def program(s, a):
        a = a.rescaled(scale)
        out = s.protocol.saturated(a, SIGMOID, 16)
        assert out.scale == 16
        return out

    got = np.ldexp(signed(revealed(program, n, shares_of(x, n))).astype(float), -16)
    want = np.exp(-np.logaddexp(0, -np.ldexp(signed(x).astype(float), -scale)))
    assert np.abs(got - want).max() <= 6e-5 + 2**-16


@parties
def test_broadcasting_and_movement_carry_the_opened_form(n: int) -> None:
    rng = np.random.default_rng(5)
    x = rng.integers(0, MAX, (6, 4), np.uint64, endpoint=True)
    y = rng.integers(0, MAX, (4,), np.uint64, endpoint=True)
    rows = np.array([5, 0, 0, 3])

    def program(s, a, b):
        s.protocol.open(a, b)
        before = s.total.rounds
        moved = a[rows].transpose((1, 0)).reshape((2, 8))
        outs = [
            s.protocol.mul(a, b).words,
            s.protocol.mul(moved, moved).words,
            s.protocol.matmul(a[:, 1:3].transpose((1, 0)), -a).words,
            s.protocol.mul(a[0], b.broadcast_to((3, 4))).words,
        ]
        assert s.total.rounds == before  # nothing was opened again
        return Holder(outs)

    parts = run(program, n, shares_of(x, n), shares_of(y, n))
    got = [sum(p.outs[k] for p in parts) for k in range(4)]
    moved = x[rows].T.reshape(2, 8)
    wanted = [x * y, moved * moved, np.matmul(x[:, 1:3].T, np.negative(x)), x[0] * np.broadcast_to(y, (3, 4))]
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


@parties
def test_opening_a_view_opens_what_it_comes_from(n: int) -> None:
    rng = np.random.default_rng(6)
    x = rng.integers(0, MAX, (6, 4), np.uint64, endpoint=True)
    y = rng.integers(0, MAX, (3, 6), np.uint64, endpoint=True)

    def program(s, a, b):
        outs = [s.protocol.matmul(b, a.transpose((1, 0)).transpose((1, 0))).words]
        before = s.total.rounds
        outs.append(s.protocol.mul(a, a.reshape((4, 6)).reshape((6, 4))).words)
        outs.append(s.protocol.matmul(a.transpose((1, 0)), b.transpose((1, 0))).words)
        assert s.total.rounds == before
        fresh = Share(a.words, 0)
        outs.append(s.protocol.mul(fresh.reshape((4, 6)), fresh.reshape((4, 6))).words)  # two views of one opening
        assert s.total.rounds == before + 1
        return Holder(outs)

    parts = run(program, n, shares_of(x, n), shares_of(y, n))
    got = [sum(p.outs[k] for p in parts) for k in range(4)]
    wanted = [np.matmul(y, x), x * x, np.matmul(x.T, y.T), (x * x).reshape(4, 6)]
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


class Holder:
    def __init__(self, outs: list[np.ndarray]) -> None:
        self.outs = outs


@both_forms
@parties
@pytest.mark.parametrize("columns", [2, 4, 5, 6, 16])
def test_the_largest_of_extreme_columns_is_exact_and_the_first_of_equals(n: int, columns: int) -> None:
    half = 1 << 62  # differences stay below 2^63
    pool = np.array([0, 1, -1, half - 1, -half, 5, 5, 1 << 40], object)
    rows = np.random.default_rng(columns).choice(pool, (columns, 70))
    x = words(rows)
    best = signed(revealed(lambda s, a: s.protocol.largest(a)[0], n, shares_of(x, n)))
    np.testing.assert_array_equal(best, signed(x).max(axis=0))
    bits = revealed(lambda s, a: s.protocol.largest(a)[1], n, shares_of(x, n))
    np.testing.assert_array_equal(bits, np.arange(columns)[:, None] == signed(x).argmax(axis=0))


@both_forms
@parties
@settings(max_examples=10, deadline=None)
@given(values=anything, sharing=st.sampled_from(SHARINGS))
def test_thresholds_are_exact(n: int, values: list[int], sharing: str) -> None:
    limits = [-(1 << 61), -1, 0, 1, 77, (1 << 61) - 1]
    near = words([v for v in values if abs(v) < 1 << 62] or [0])  # |x - t| < 2^63
    got = revealed(lambda s, a: s.protocol.at_least(a, limits), n, shares_of(near, n, sharing))
    np.testing.assert_array_equal(got, signed(near)[None, :] >= np.array(limits)[:, None])


@both_forms
@parties
def test_empty_tensors_go_through_every_kernel(n: int) -> None:
    nothing = shares_of(words(np.zeros((0, 3), int)), n)

    def program(s, a):
        k = s.protocol
        for out in (
            k.mul(a, a), k.square(a), k.truncate(a, 16), k.truncate(a, 16, exact=True), k.mul_truncated(a, 16, a)[1],
            k.negative(a), k.is_zero(a), k.relu(a, 16)[0], k.relu(a)[1], k.saturated(a.rescaled(16), SIGMOID, 16),
            k.series(a.rescaled(16), RECIPROCAL), k.at_least(a, [0])[0], k.exp(a.rescaled(16), QUARTER, 16),
            k.largest(a.transpose((1, 0)))[1].transpose((1, 0)),
        ):  # fmt: skip
            assert out.shape == (0, 3)
        return s.reveal(k.mul(k.negative(a), a)).shape

    assert run(program, n, nothing) == [(0, 3)] * n


@both_forms
def test_eight_parties() -> None:
    n, values = 8, [*EDGES, *LIMITS]
    x = words(values)
    held = shares_of(x, n)
    np.testing.assert_array_equal(revealed(lambda s, a: s.protocol.mul(a, a), n, held), x * x)
    np.testing.assert_array_equal(
        signed(revealed(lambda s, a: s.protocol.truncate(a, 16, exact=True), n, held)), signed(x) >> 16
    )
    kept = signed(revealed(lambda s, a: s.protocol.relu(a, 16)[0], n, held))
    assert set(np.unique(kept - (np.maximum(signed(x), 0) >> 16))) <= {0, 1}
    np.testing.assert_array_equal(revealed(lambda s, a: s.protocol.is_zero(a), n, held), x == 0)
