"""The ring product against numpy: shapes around every block edge, any strides, both faces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mpc.ring as ring
from mpc._native import core

SHAPES = [
    (1, 1, 1), (1, 7, 1), (5, 1, 1), (1, 1, 9), (3, 0, 4), (0, 3, 4), (3, 4, 0), (2, 300, 1), (1, 300, 2), (4, 30, 3),
    (3, 2, 1), (6, 9, 4), (7, 256, 23), (8, 257, 24), (9, 255, 25), (17, 300, 47), (48, 10, 48), (50, 513, 49),
    (130, 33, 100), (569, 30, 1), (30, 569, 1), (1, 569, 30), (129, 70, 1030), (5, 40, 1100), (300, 40, 5),
]  # fmt: skip
LAYOUTS = ("plain", "transposed", "every other", "reversed", "broadcast rows", "broadcast columns")


def laid_out(words, rows, columns, layout):
    if layout == "transposed":
        return words(columns, rows).T
    if layout == "every other":
        return words(2 * rows, 3 * columns)[::2, ::3]
    if layout == "reversed":
        return words(rows, columns)[::-1, ::-1]
    if layout == "broadcast rows":
        return np.broadcast_to(words(1, columns), (rows, columns))
    if layout == "broadcast columns":
        return np.broadcast_to(words(rows, 1), (rows, columns))
    return words(rows, columns)


def check(words, shape, left, right):
    m, k, n = shape
    a, b = laid_out(words, m, k, left), laid_out(words, k, n, right)
    want = np.ascontiguousarray(a) @ np.ascontiguousarray(b)
    out = words(m, n)
    before = out.copy()
    core.matmul(a, b, out)
    np.testing.assert_array_equal(out, want, err_msg=f"{shape} {left} {right}")
    out = before.copy()
    core.matmul(a, b, out, accumulate=True)
    np.testing.assert_array_equal(out, before + want, err_msg=f"{shape} {left} {right} accumulate")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes_and_layouts(isa, words, shape):
    for left, right in (
        [("plain", layout) for layout in LAYOUTS]
        + [(layout, "plain") for layout in LAYOUTS[1:]]
        + [("transposed", "transposed")]
    ):
        check(words, shape, left, right)


@settings(max_examples=60, deadline=None)
@given(*[st.integers(0, 70)] * 3, *[st.sampled_from(LAYOUTS)] * 2)
def test_any_shape(m, k, n, left, right):
    generator = np.random.default_rng(m + 71 * k + 71 * 71 * n)
    before = core.isa()
    try:
        for isa in core.available_isas():
            core.set_isa(isa)
            check(lambda *shape: generator.integers(0, 2**64, shape, np.uint64), (m, k, n), left, right)
    finally:
        core.set_isa(before)


def test_square_products_beyond_every_block(isa, words):
    check(words, (200, 520, 1050), "plain", "plain")
    check(words, (200, 520, 1050), "transposed", "transposed")


@pytest.mark.parametrize(
    "left, right",
    [((4,), (4,)), ((4,), (4, 3)), ((2, 4), (4,)), ((5, 2, 4), (4, 3)), ((5, 1, 2, 4), (6, 4, 3)), ((0, 2, 4), (4, 3)),
     ((5, 2, 4), (4,)), ((4,), (5, 4, 3))],
)  # fmt: skip
def test_numpy_semantics(words, left, right):
    a, b = words(*left), words(*right)
    want = a @ b
    np.testing.assert_array_equal(ring.matmul(a, b), want)
    out = words(*np.shape(want))
    before = out.copy()
    assert ring.matmul(a, b, out, accumulate=True) is out
    np.testing.assert_array_equal(out, before + want)


def test_threads_change_nothing(words):
    a, b = words(301, 256), words(256, 130)
    try:
        ring.set_threads(2)
        np.testing.assert_array_equal(ring.matmul(a, b), a @ b)
    finally:
        ring.set_threads(1)
    with pytest.raises(ValueError, match="got 0"):
        ring.set_threads(0)


def test_refusals(words):
    a, b = words(3, 4), words(4, 5)
    with pytest.raises(ValueError, match="shapes"):
        core.matmul(a, b, words(3, 4))
    with pytest.raises(ValueError, match="shapes"):
        core.matmul(a, b[:3], words(3, 5))
    with pytest.raises(ValueError, match="contiguous"):
        core.matmul(a, b, words(5, 3).T)
    with pytest.raises(ValueError, match="memory of a or b"):
        core.matmul(words(4, 4), out := words(4, 4), out)
    with pytest.raises(ValueError):
        core.matmul(a.astype(np.int64), b, words(3, 5))
    with pytest.raises(ValueError, match="inner"):
        ring.matmul(a, b[:3])
    with pytest.raises(ValueError, match="out"):
        ring.matmul(a, b, words(5, 3))
    with pytest.raises(TypeError, match="accumulate"):
        ring.matmul(a, b, accumulate=True)


@pytest.mark.parametrize("layouts", [("plain", "plain"), ("transposed", "every other")], ids=str)
def test_strassen_sizes(isa, words, layouts):
    """From 1024 on; compared through 40 random columns (an error survives them with probability 2^-40)."""
    m, k, n = 1024, 1030, 1026
    a, b = laid_out(words, m, k, layouts[0]), laid_out(words, k, n, layouts[1])
    probe = words.generator.integers(0, 2**64, (n, 40), np.uint64)
    want = np.ascontiguousarray(a) @ (np.ascontiguousarray(b) @ probe)
    out = np.empty((m, n), np.uint64)
    core.matmul(a, b, out)
    np.testing.assert_array_equal(out @ probe, want)
    core.matmul(a, b, out, accumulate=True)
    np.testing.assert_array_equal(out @ probe, want + want)
