"""Powers modulo large odd numbers with secret exponents: the compiled kernel where the machine has AVX-512 IFMA, else GMP.

The kernel (native/csrc/modular.h) computes eight powers together and releases the GIL, so threads share the cores. Here,
one core of an AMD EPYC (Zen 5): 0.15 ms for a 1024-bit power modulo 2048 bits where `gmpy2.powmod_sec` takes 1.6 ms, and
0.2 ms for one of a fixed base modulo 4096 bits where a table of GMP's products takes 0.7 ms.

Constant-time: with the kernel everything here but GMP's reductions of inputs and results; without it `powers` only
(`gmpy2.powmod_sec`), while `FixedBase` reads its table at the exponent's digits.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import gmpy2
import numpy as np
import numpy.typing as npt
from gmpy2 import mpz

from mpc import ring
from mpc.paillier.parallel import in_parallel

Words = npt.NDArray[np.uint64]
WINDOW: Final = 6  # bits, of tables without the kernel
LIMB_BITS: Final = 52  # of the kernel
MAX_BITS: Final = 64 * 128


def has_kernel(modulus: mpz) -> bool:
    return ring.modular_lanes() > 0 and modulus.bit_length() <= MAX_BITS


def powers(bases: Sequence[mpz], exponent: mpz, modulus: mpz) -> list[mpz]:
    """Every base^exponent mod ``modulus``, which is odd; 0 < exponent. The exponent's length is not hidden."""
    if not has_kernel(modulus):
        return in_parallel(lambda piece: [gmpy2.powmod_sec(b, exponent, modulus) for b in piece], bases)
    field, bits = _Field(modulus), exponent.bit_length()
    secret = _to_words([exponent], -(-bits // 64))

    def piece(some: Sequence[mpz]) -> list[mpz]:
        out = np.empty(len(some) * field.words, np.uint64)
        ring.modular_power(field.modulus, field.square, field.numbers(some), bits, secret, out)
        return field.read(out)

    return in_parallel(piece, bases, ring.modular_lanes())


class FixedBase:
    """base^s mod modulus for many secret s below 2^bits, by a table of base^(digit * 2^(window * place)).

    The table of a 2048-bit Paillier key (powers modulo 4096 bits of 1024-bit exponents) has 4 MB, or 6 without the kernel.
    """

    def __init__(self, base: mpz, modulus: mpz, bits: int) -> None:
        self._modulus, self._bits = modulus, bits
        self._rows: list[list[mpz]] | None = None
        if has_kernel(modulus):
            self._field = field = _Field(modulus)
            self._table = np.empty(ring.modular_table_size(field.words, bits), np.uint64)
            ring.modular_table(field.modulus, field.square, field.numbers([base]), bits, self._table)
        else:
            self._rows = _rows(base, modulus, bits)

    def powers(self, exponents: Sequence[int]) -> list[mpz]:
        if self._rows is None:
            return in_parallel(self._by_kernel, exponents, ring.modular_lanes())
        modulus, mask, out = self._modulus, (1 << WINDOW) - 1, []
        for exponent in exponents:  # not over threads: products of 4 us each would hand the GIL to and fro
            s, result = exponent, mpz(1)
            for row in self._rows:
                result = result * row[s & mask] % modulus
                s >>= WINDOW
            out.append(result)
        return out

    def _by_kernel(self, exponents: Sequence[int]) -> list[mpz]:
        field, out = self._field, np.empty(len(exponents) * self._field.words, np.uint64)
        secret = _to_words(exponents, -(-self._bits // 64))
        ring.modular_fixed(field.modulus, self._table, self._bits, secret, out)
        return field.read(out)


def _rows(base: mpz, modulus: mpz, bits: int) -> list[list[mpz]]:
    rows = []
    for _ in range(-(-bits // WINDOW)):
        row = [mpz(1)]
        for _ in range((1 << WINDOW) - 1):
            row.append(row[-1] * base % modulus)
        base = row[-1] * base % modulus
        rows.append(row)
    return rows


class _Field:
    """A modulus as the kernel takes it."""

    def __init__(self, modulus: mpz) -> None:
        self._n = modulus
        self.words = -(-modulus.bit_length() // 64)
        limbs = -(-(64 * self.words + 2) // LIMB_BITS)
        self.modulus = _to_words([modulus], self.words)
        self.square = _to_words([gmpy2.powmod(2, 2 * LIMB_BITS * limbs, modulus)], self.words)

    def numbers(self, values: Sequence[mpz]) -> Words:
        return _to_words([value % self._n for value in values], self.words)

    def read(self, words: Words) -> list[mpz]:
        data, width = words.tobytes(), 8 * self.words
        return [mpz.from_bytes(data[at : at + width], "little") % self._n for at in range(0, len(data), width)]


def _to_words(numbers: Sequence[Any], words: int) -> Words:
    return np.frombuffer(b"".join(x.to_bytes(8 * words, "little") for x in numbers), np.uint64)
