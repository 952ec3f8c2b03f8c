"""Harmonics: accurate against numpy's cos and sin, and the same bits from every instruction set and the twin."""
from __future__ import annotations

import numpy as np
import pytest

from mpc._native import core, twin

SIZES = [0, 1, 63, 64, 65, 1000]
BITS = [21, 37, 1, 53, 63]


def draw(n: int, seed: int = 0) -> np.ndarray:
    out = np.random.default_rng(seed).integers(0, 1 << 64, n, np.uint64)
    edges = [0, 1, (1 << 64) - 1, 1 << 20, (1 << 20) - 1, (1 << 18) + 1, 3 << 18, 1 << 63]
    out[: len(edges)] = edges[:n]
    return out


@pytest.mark.parametrize("bits", [21, 37, 53])
def test_accuracy(isa: str, bits: int) -> None:
    r, orders, scale = draw(5000), 12, 40
    out = np.empty(2 * orders * r.size, np.uint64)
    core.harmonics(r, bits, orders, scale, out)
    got = np.ldexp(out.view(np.int64).astype(float), -scale).reshape(2, orders, -1)
    t = (r & np.uint64((1 << bits) - 1)).astype(float) / (1 << bits)
    for k in range(1, orders + 1):
        angle = 2 * np.pi * ((k * t) % 1.0)
        assert np.abs(got[0, k - 1] - np.cos(angle)).max() < 1e-11
        assert np.abs(got[1, k - 1] - np.sin(angle)).max() < 1e-11


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("bits", BITS)
def test_every_instruction_set_gives_the_twins_bits(isa: str, n: int, bits: int) -> None:
    r, orders = draw(n, 1), 12
    got, want = (np.empty(2 * orders * n, np.uint64) for _ in range(2))
    core.harmonics(r, bits, orders, 15, got)
    twin.harmonics(r, bits, orders, 15, want)
    np.testing.assert_array_equal(got, want)
    dealt, sines = draw(2 * orders * n, 2), np.ldexp(np.linspace(-1, 1, orders), 17)
    cosines = np.ldexp(np.linspace(3, -2, orders), 20)
    got, want = (np.empty(n, np.uint64) for _ in range(2))
    core.fourier_series(r, bits, cosines, sines, dealt, got)
    twin.fourier_series(r, bits, cosines, sines, dealt, want)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("module", [core, twin])
def test_bad_arguments(module) -> None:
    r = np.zeros(4, np.uint64)
    for bits, orders, scale, size in [(0, 1, 15, 8), (64, 1, 15, 8), (21, 0, 15, 8), (21, 1, 51, 8), (21, 1, 15, 7)]:
        with pytest.raises(ValueError):
            module.harmonics(r, bits, orders, scale, np.zeros(size, np.uint64))
    with pytest.raises(ValueError):
        module.fourier_series(r, 21, np.ones(2), np.ones(2), np.zeros(8, np.uint64), np.zeros(4, np.uint64))
    with pytest.raises(ValueError):
        module.fourier_series(r, 21, np.ones(1), np.ones(2), np.zeros(16, np.uint64), np.zeros(4, np.uint64))
    for frac, scale, size in [(64, 20, 4), (16, 51, 4), (16, 20, 3)]:
        with pytest.raises(ValueError):
            module.exponentials(r, frac, 0.0, scale, np.zeros(size, np.uint64))


def test_a_series_is_the_function_of_the_difference(isa: str) -> None:
    c, t, bits = draw(1000), draw(1000, 3), 40
    dealt, out = np.empty(6 * c.size, np.uint64), np.empty(c.size, np.uint64)
    core.harmonics(t, bits, 3, 20, dealt)
    cosines, sines = np.array([1.5, -2.0, 0.25]), np.array([0.5, 3.0, -1.0])
    core.fourier_series(c, bits, np.ldexp(cosines, 24), np.ldexp(sines, 24), dealt, out)
    x = 2 * np.pi * np.ldexp(((c - t) & np.uint64((1 << bits) - 1)).astype(float), -bits)
    want = sum(cosines[k] * np.cos((k + 1) * x) + sines[k] * np.sin((k + 1) * x) for k in range(3))
    assert np.abs(np.ldexp(out.view(np.int64).astype(float), -44) - want).max() < 1e-5


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("frac", "offset", "scale"), [(16, -32.0, 40), (32, 16.0, 20), (36, 0.5, 0)])
def test_exponentials(isa: str, n: int, frac: int, offset: float, scale: int) -> None:
    x = draw(n, 4) >> np.uint64(60 - frac)  # below 2^(frac + 4)
    if offset > 0:
        x = -x
    got, want = (np.empty(n, np.uint64) for _ in range(2))
    core.exponentials(x, frac, offset, scale, got)
    twin.exponentials(x, frac, offset, scale, want)
    np.testing.assert_array_equal(got, want)
    real = np.ldexp(np.exp(np.ldexp(x.view(np.int64).astype(float), -frac) + offset), scale)
    assert np.all(np.abs(got.view(np.int64) - real) <= 0.51 + 1e-14 * 50 * real)
