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
    dealt, amplitudes = draw(2 * orders * n, 2), np.ldexp(np.linspace(-1, 1, orders), 17)
    got, want = (np.empty(n, np.uint64) for _ in range(2))
    core.sine_series(r, bits, amplitudes, dealt, got)
    twin.sine_series(r, bits, amplitudes, dealt, want)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("module", [core, twin])
def test_bad_arguments(module) -> None:
    r = np.zeros(4, np.uint64)
    for bits, orders, scale, size in [(0, 1, 15, 8), (64, 1, 15, 8), (21, 0, 15, 8), (21, 1, 51, 8), (21, 1, 15, 7)]:
        with pytest.raises(ValueError):
            module.harmonics(r, bits, orders, scale, np.zeros(size, np.uint64))
    with pytest.raises(ValueError):
        module.sine_series(r, 21, np.ones(2), np.zeros(8, np.uint64), np.zeros(4, np.uint64))
