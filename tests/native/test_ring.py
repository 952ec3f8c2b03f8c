"""Elementwise ring kernels and truncation's last step against the numpy twin."""

import numpy as np
import pytest

from mpc._native import core, twin


def both(name, size, words, *arguments, **options):
    """Run core and twin on equal copies of `out`; compare."""
    ours, theirs = (words(size),) * 2
    ours, theirs = ours.copy(), theirs.copy()
    at = options.pop("at", len(arguments))
    for module, out in ((core, ours), (twin, theirs)):
        getattr(module, name)(*arguments[:at], out, *arguments[at:])
    np.testing.assert_array_equal(ours, theirs, err_msg=name)


def test_products(isa, size, words):
    e, f, a, b = (words(size) for _ in range(4))
    both("mul", size, words, a, b)
    both("mul_add", size, words, a, b)
    for k in (0, 1, -1, 3, 2**63, 2**64 - 1, -(2**62)):
        both("mul_scalar", size, words, a, k)
    for first in (False, True):
        both("beaver_mul", size, words, e, f, a, b, first, at=4)
        both("beaver_square", size, words, e, a, first, at=2)


@pytest.mark.parametrize("shift", (1, 16, 31, 62))
@pytest.mark.parametrize("first", (False, True))
def test_truncate_finish(isa, size, words, shift, first):
    c, rc, s = (words(size) for _ in range(3))
    rb = words(size)
    narrow = rb.astype(np.uint32)
    for bit in (rb, narrow):
        both("truncate_finish", size, words, c, rc, bit, None, first, shift)
        both("truncate_finish", size, words, c, rc, bit, s, first, shift)


@pytest.mark.parametrize("shift", (1, 16, 31, 62))
@pytest.mark.parametrize("first", (False, True))
def test_truncated_product(isa, size, words, shift, first):
    c, rc, rb, low_b, top_b, y, f = (words(size) for _ in range(7))
    for bit in (rb, rb.astype(np.uint32)):
        results = []
        for module in (core, twin):
            truncated, product = words(size).copy(), words(size).copy()
            module.truncated_product(c, rc, bit, low_b, top_b, y, f, first, shift, truncated, product)
            results.append((truncated, product))
        np.testing.assert_array_equal(results[0][0], results[1][0])
        np.testing.assert_array_equal(results[0][1], results[1][1])


def test_out_may_be_an_input(isa, words):
    a, b = words(1001), words(1001)
    want = a * b
    core.mul(a, b, a)
    np.testing.assert_array_equal(a, want)
