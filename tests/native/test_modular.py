"""Powers modulo large numbers: the kernel against the twin, and what both refuse."""
from __future__ import annotations

import numpy as np
import pytest

from mpc._native import core, twin


def words_of(number: int, words: int) -> np.ndarray:
    return np.frombuffer(number.to_bytes(8 * words, "little"), np.uint64)


def square_of(modulus: np.ndarray) -> np.ndarray:
    n = int.from_bytes(modulus.tobytes(), "little")
    return words_of(pow(2, 104 * -(-(64 * len(modulus) + 2) // 52), n), len(modulus))


def draw(words: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, words]).integers(0, 1 << 64, words, np.uint64)


def test_lanes_follow_the_instruction_set(isa: str) -> None:
    assert core.modular_lanes() in ((0, 8) if isa == "avx512" else (0,))
    assert twin.modular_lanes() == 0


@pytest.mark.skipif(not core.modular_lanes(), reason="no AVX-512 IFMA here")
@pytest.mark.parametrize("words", [1, 2, 13, 64, 128])
@pytest.mark.parametrize("top", [0, (1 << 64) - 1, 1])
def test_the_twins_numbers(words: int, top: int) -> None:
    modulus = draw(words)
    modulus[-1], modulus[0] = top or modulus[-1], modulus[0] | np.uint64(1)
    if top == (1 << 64) - 1:
        modulus[:] = np.uint64(top)  # 2^(64 words) - 1: the most that every limb can be
    n = int.from_bytes(modulus.tobytes(), "little")
    if n == 1:
        n, modulus = 3, words_of(3, words)
    rng = np.random.default_rng(words)
    bases = np.concatenate([words_of(int.from_bytes(rng.bytes(8 * words), "little") % n, words) for _ in range(9)])
    bases[:words], bases[words : 2 * words] = words_of(n - 1, words), words_of(1, words)
    for bits in (1, 5, 64, 77):
        exponent = draw(-(-bits // 64), 3)
        got, want = np.empty_like(bases), np.empty_like(bases)
        for module, out in ((core, got), (twin, want)):
            module.modular_power(modulus, square_of(modulus), bases, bits, exponent, out)
        assert_congruent(got, want, n, words)
        exponents = draw(9 * -(-bits // 64), 4)
        for module, out in ((core, got), (twin, want)):
            table = np.empty(module.modular_table_size(words, bits), np.uint64)
            module.modular_table(modulus, square_of(modulus), bases[2 * words : 3 * words], bits, table)
            module.modular_fixed(modulus, table, bits, exponents, out)
        assert_congruent(got, want, n, words)


def assert_congruent(got: np.ndarray, want: np.ndarray, n: int, words: int) -> None:
    for a, b in zip(got.reshape(-1, words), want.reshape(-1, words), strict=True):
        value = int.from_bytes(a.tobytes(), "little")
        assert value <= n and value % n == int.from_bytes(b.tobytes(), "little")


@pytest.mark.skipif(not core.modular_lanes(), reason="no AVX-512 IFMA here")
def test_bad_arguments() -> None:
    modulus = words_of(15, 2)
    good = {"modulus": modulus, "square": square_of(modulus), "bases": draw(4), "bits": 64, "exponent": draw(1), "out": draw(4)}
    for bad in (
        {"modulus": words_of(16, 2)}, {"modulus": draw(0)}, {"modulus": np.ones(129, np.uint64)}, {"square": draw(1)},
        {"bases": draw(3)}, {"bits": 0}, {"bits": 65}, {"bits": 1 << 21}, {"exponent": draw(2)}, {"out": draw(5)},
        {"out": draw(2)},
    ):
        with pytest.raises(ValueError, match="want"):
            core.modular_power(**{**good, **bad})
    table = np.empty(core.modular_table_size(2, 64), np.uint64)
    with pytest.raises(ValueError, match="want"):
        core.modular_table(modulus, square_of(modulus), draw(2), 64, table[1:])
    with pytest.raises(ValueError, match="want"):
        core.modular_fixed(modulus, table[1:], 64, draw(1), draw(2))
    with pytest.raises(ValueError, match="want"):
        core.modular_fixed(modulus, table, 64, draw(2), draw(2))
